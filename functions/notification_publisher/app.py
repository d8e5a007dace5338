"""Publishes the notifications on the queue to the topic; only those that fail return to the queue."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading.core import correlation
from trading.notifications import events, outbox
from trading.notifications.events import PriceAlerted

logger = Logger()
metrics = Metrics()
# A batch in which all records failed also returns the failed records instead of raising an error.
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def deliver(record: SQSRecord) -> None:
    """Deliver the notification in a message."""
    correlation.begin(correlation.of_record(record.raw_event))
    try:
        event = events.read(record.body)
        sent = outbox.deliver(event)
    except Exception:
        logger.exception("A notification was not delivered", message_id=record.message_id)
        raise
    outcome = "delivered" if sent else "was delivered before"
    logger.info(outcome, event_id=event.id, type=event.type, about=event.headline())
    if sent:
        metrics.add_metric("NotificationsDelivered", MetricUnit.Count, 1)
    if sent and not isinstance(event, PriceAlerted):  # an alert has the time of its tick, which may be any day
        lag = (datetime.now(UTC) - event.time).total_seconds() * 1_000
        metrics.add_metric("NotificationLag", MetricUnit.Milliseconds, max(0, round(lag)))


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Deliver a batch of SQS messages and return those that failed, for SQS to retry."""
    metrics.add_metric("NotificationsDelivered", MetricUnit.Count, 0)  # shows that the function ran
    return dict(process_partial_response(event, deliver, processor, context))
