"""Prices off their queue: averaged, judged and recorded, ticker by ticker, and sent on to the sockets."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading import price_processing

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Process a batch of SQS FIFO messages and return those that failed, for SQS to bring again."""
    failed = price_processing.process(event["Records"])
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
