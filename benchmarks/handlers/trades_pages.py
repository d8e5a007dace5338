"""A page of trades, without the HTTP edge."""

from typing import Any

from trading.trades import ledger
from trading.trades.ledger import TradeFilter


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Find the page that the event describes; 200 if it is full."""
    found, _cursor = ledger.find(TradeFilter(**event))
    return {"statusCode": 200 if len(found) == event["limit"] else 404}
