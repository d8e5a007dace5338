"""Posts the prices and alerts on the broadcast queue to all connections that follow them."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading.core import correlation
from trading.streaming import broadcasts

FRESH_SECONDS = 10
# Reserved for posts that are in flight when the time is up.
RESERVE_SECONDS = 5

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Post the contents of a batch of SQS messages, skip stale ones, and return those that cannot be read."""
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
    """Whether a message is a retry or has waited so long that newer prices have already been posted."""
    waited = int(attributes["ApproximateFirstReceiveTimestamp"]) - int(attributes["SentTimestamp"])
    return int(attributes["ApproximateReceiveCount"]) > 1 or waited > FRESH_SECONDS * 1_000
