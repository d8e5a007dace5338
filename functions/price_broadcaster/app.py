"""Prices and alerts off the broadcast queue, posted to everybody on the socket who follows them."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading.core import correlation
from trading.streaming import broadcasts

FRESH_SECONDS = 10
# Left over for the posts that are on their way when the time is up.
RESERVE_SECONDS = 5

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Post what a batch of SQS messages carries, and return those that cannot be read; what is stale is passed over."""
    fresh, stale, failed = [], 0, []
    for record in event["Records"]:
        correlation.begin(correlation.of_record(record))
        try:
            broadcast = broadcasts.read_message(record["body"])
        except ValueError:
            logger.exception("A message cannot be read", message_id=record["messageId"])
            failed.append(record["messageId"])
            continue
        if _is_stale(record["attributes"]):
            stale += 1
        else:
            fresh.append(broadcast)
    posted = broadcasts.post(fresh, context.get_remaining_time_in_millis() / 1_000 - RESERVE_SECONDS)
    logger.info("posted", stale=stale, **asdict(posted))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _is_stale(attributes: dict[str, str]) -> bool:
    """Whether newer prices than these were posted long ago: they come again, or have waited."""
    waited = int(attributes["ApproximateFirstReceiveTimestamp"]) - int(attributes["SentTimestamp"])
    return int(attributes["ApproximateReceiveCount"]) > 1 or waited > FRESH_SECONDS * 1_000
