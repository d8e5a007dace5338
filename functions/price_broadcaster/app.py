"""Prices and alerts off the broadcast queue, posted to everybody on the socket who follows them."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading import broadcasts

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Post what a batch of SQS messages carries, and return those that cannot be read."""
    readable, failed = [], []
    for record in event["Records"]:
        try:
            readable.append(broadcasts.read_message(record["body"]))
        except ValueError:
            logger.exception("A message cannot be read", message_id=record["messageId"])
            failed.append(record["messageId"])
    logger.info("posted", **asdict(broadcasts.post(readable)))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
