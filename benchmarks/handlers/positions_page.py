"""A page of positions, without the HTTP edge."""

from typing import Any

from trading.core import pagination
from trading.trades import positions
from trading.trades.positions import PositionFilter


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Find the page that the event describes, after a key if it has one; 200 if it is full."""
    wanted = dict(event)
    after = wanted.pop("after", None)
    found, _cursor = positions.find(PositionFilter(**wanted, cursor=pagination.encode_key(*after) if after else None))
    return {"statusCode": 200 if len(found) == event["limit"] else 404}
