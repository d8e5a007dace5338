"""Sends the events on the queue to webhooks, and retries failed deliveries every minute."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading.core import correlation
from trading.notifications.webhooks import dispatch, subscriptions
from trading.notifications.webhooks.dispatch import Outcome

if TYPE_CHECKING:
    from trading.notifications.webhooks.deliveries import Claimed
    from trading.notifications.webhooks.subscriptions import Target

# Reserved for storing the results of the last attempts.
RESERVE_SECONDS = 5

logger = Logger()
metrics = Metrics()
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Send the events of a batch of SQS messages and return those that cannot be read, or sweep on schedule."""
    _count(Outcome())  # shows that the function ran
    seconds = context.get_remaining_time_in_millis() / 1_000 - RESERVE_SECONDS
    if "Records" not in event:
        correlation.begin(context.aws_request_id)
        outcome = dispatch.sweep(seconds)
        _count(outcome)
        logger.info("swept", **asdict(outcome))
        return asdict(outcome)

    targets = subscriptions.targets()
    claimed: list[tuple[Target, Claimed]] = []

    def record(record: SQSRecord) -> None:
        correlation.begin(correlation.of_record(record.raw_event))
        try:
            claimed.extend(dispatch.record(record.body, targets))
        except Exception:
            logger.exception("An event was not recorded for webhooks", message_id=record.message_id)
            raise

    answer = dict(process_partial_response(event, record, processor, context))
    outcome = dispatch.attempt_all(claimed, seconds)
    _count(outcome)
    logger.info("sent", **asdict(outcome))
    return answer


def _count(outcome: Outcome) -> None:
    metrics.add_metric("WebhookDeliveriesSucceeded", MetricUnit.Count, outcome.delivered)
    metrics.add_metric("WebhookAttemptsFailed", MetricUnit.Count, outcome.postponed)
    metrics.add_metric("WebhookDeliveriesGivenUp", MetricUnit.Count, outcome.given_up)
    metrics.add_metric("WebhooksPaused", MetricUnit.Count, outcome.paused)
