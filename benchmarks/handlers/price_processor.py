"""The function that records prices, with the status that the measuring process looks for."""

from typing import Any

from functions.price_processor import app


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process a batch; a failure of any message is one of the whole."""
    failed = app.handler(event, context)["batchItemFailures"]
    return {"statusCode": 500 if failed else 200}
