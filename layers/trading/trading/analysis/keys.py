"""The keys of a day's files in the bucket, and parsing days."""

import re
from contextlib import suppress
from datetime import date, datetime, timedelta

from trading.core.errors import FieldError, InvalidError
from trading.core.values import parse_date

# The metadata of objects that the exporter wrote and so may replace.
EXPORTED = {"written-by": "trade-exporter"}

_ANALYSIS = re.compile(r"\d{4}/\d{2}/\d{2}/analysis_(\d{4}-\d{2}-\d{2})\.csv", re.ASCII)
_SOURCE = re.compile(r"(\d{4})/(\d{2})/(\d{2})/trades\.csv(\.gz)?", re.ASCII)


def trades_key(day: date) -> str:
    """Return the key of a day's trades, such as 2024/05/15/trades.csv."""
    return f"{_folder(day)}/trades.csv"


def analysis_key(day: date) -> str:
    """Return the key of a day's analysis, beside its trades."""
    return f"{_folder(day)}/analysis_{day}.csv"


def changes_key(day: date) -> str:
    """Return the key of the changes in the last revision of a day's analysis."""
    return f"{_folder(day)}/changes_{day}.csv"


def run_key(day: date, work: str) -> str:
    """Return the key of the last run of a day's analysis or export."""
    return f"{_folder(day)}/{work}_run_{day}.json"


def rejects_key(day: date) -> str:
    """Return the key of the rejected lines of a day's trades."""
    return f"{_folder(day)}/rejects_{day}.csv"


def _folder(day: date) -> str:
    return day.isoformat().replace("-", "/")


def day_of(key: str) -> date | None:
    """Return the day of a trade file's key, or None if it is not such a key or not a valid day."""
    match = _SOURCE.fullmatch(key)
    if not match:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None


def analyzed_day_of(key: str) -> date | None:
    """Return the day of an analysis's key, or None if it is not such a key."""
    match = _ANALYSIS.fullmatch(key)
    with suppress(ValueError):
        return parse_date(match[1]) if match else None
    return None


def day_before(instant: str) -> date:
    """Return the day before an ISO 8601 instant: the day that a nightly schedule processes."""
    return datetime.fromisoformat(instant).date() - timedelta(days=1)


def read_day(value: object) -> date:
    """Parse a day such as 2024-05-15.

    Raises:
        InvalidError: it is not a valid day.
    """
    try:
        return parse_date(value)
    except ValueError as error:
        raise InvalidError(FieldError("date", str(error))) from None
