"""The export of a day, as the exporter calls it."""

from datetime import date
from typing import Any

from trading.analysis import exports


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Export the event's day; 200 if it has the expected rows."""
    export = exports.export_day(event["bucket"], date.fromisoformat(event["day"]))
    return {"statusCode": 200 if export.records_exported == event["rows"] else 500}
