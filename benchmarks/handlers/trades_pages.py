"""A page of trades, as the business reads it."""

from typing import Any

from trading import trades
from trading.trades import TradeFilter


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Find the page that the event describes; 200 when it is full."""
    found, _cursor = trades.find(TradeFilter(**event))
    return {"statusCode": 200 if len(found) == event["limit"] else 404}
