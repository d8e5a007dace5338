"""The function that posts prices to sockets, with the status that the benchmark expects."""

from typing import Any

from functions.price_broadcaster import app


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Post a batch; a message that cannot be read fails the whole batch."""
    failed = app.handler(event, context)["batchItemFailures"]
    return {"statusCode": 500 if failed else 200}
