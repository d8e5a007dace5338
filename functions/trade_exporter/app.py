"""Exports a day's trades from the database to the bucket: nightly, hourly in prod for changed days, or on request."""

from dataclasses import asdict
from datetime import date
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading.analysis import exports, keys, runs
from trading.analysis.exports import Export
from trading.core import bus, correlation
from trading.core.settings import setting

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Export the day of the event, or all stale days; return the files and numbers of trades."""
    if event.get("days") == "stale":
        return {"exported": [_logged(outcome) for outcome in exports.export_stale_days(setting("DATA_BUCKET"))]}
    match event.get("source"):
        case "aws.scheduler":
            return _export(keys.day_before(event["time"]))
        case bus.SOURCE:
            return _export_as_asked(event["detail"])
        case _:
            return _export(keys.read_day(event.get("date")))


def _export_as_asked(detail: dict[str, str]) -> dict[str, Any]:
    correlation.begin(detail["correlation_id"])
    day = keys.read_day(detail["date"])
    with runs.recorded(setting("DATA_BUCKET"), "export", day, detail["requested_by"]):
        return _export(day)


def _export(day: date) -> dict[str, Any]:
    return _logged(exports.export_day(setting("DATA_BUCKET"), day))


def _logged(outcome: Export) -> dict[str, Any]:
    logger.info("exported", **asdict(outcome))
    return asdict(outcome)
