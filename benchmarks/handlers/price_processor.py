"""The function that records prices, with the status that the benchmark expects."""

from typing import Any

from functions.price_processor import app


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process a batch; the failure of any message fails the whole batch."""
    failed = app.handler(event, context)["batchItemFailures"]
    return {"statusCode": 500 if failed else 200}
