"""Every minute, in dev every night: announces notifications again that the queue lost or did not accept."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading.core import correlation
from trading.notifications import outbox

# Reserved for the last batch, which is claimed just before the time is up.
RESERVE_SECONDS = 5

logger = Logger()
metrics = Metrics()


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Sweep until shortly before the timeout, and return the number announced, refused and given up."""
    correlation.begin(context.aws_request_id)
    outcome = outbox.sweep(context.get_remaining_time_in_millis() / 1_000 - RESERVE_SECONDS)
    metrics.add_metric("NotificationsGivenUp", MetricUnit.Count, outcome.given_up)
    logger.info("swept", **asdict(outcome))
    return asdict(outcome)
