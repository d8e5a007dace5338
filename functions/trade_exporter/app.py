"""A day's trades from the database to the bucket: every night for the day before, or by hand for any day."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading.analysis import exports, keys
from trading.core.settings import setting

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Export the day that the event is about, and say where to and how many trades."""
    is_schedule = event.get("source") == "aws.scheduler"
    day = keys.day_before(event["time"]) if is_schedule else keys.read_day(event.get("date"))
    outcome = exports.export_day(setting("DATA_BUCKET"), day)
    logger.info("exported", **asdict(outcome))
    return asdict(outcome)
