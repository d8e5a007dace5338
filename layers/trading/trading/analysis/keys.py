"""Days: which one is meant, and where its files are in the bucket."""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from trading.core.values import parse_date
from trading.http.problems import FieldError, invalid

_SOURCE = re.compile(r"(\d{4})/(\d{2})/(\d{2})/trades\.csv(\.gz)?", re.ASCII)


def trades_key(day: date) -> str:
    """Return the key of a day's trades, such as 2024/05/15/trades.csv."""
    return f"{_folder(day)}/trades.csv"


def analysis_key(day: date) -> str:
    """Return the key of a day's analysis, beside its trades."""
    return f"{_folder(day)}/analysis_{day}.csv"


def rejects_key(day: date) -> str:
    """Return the key of the lines of a day's trades that could not be read."""
    return f"{_folder(day)}/rejects_{day}.csv"


def _folder(day: date) -> str:
    return day.isoformat().replace("-", "/")


def day_of(key: str) -> date | None:
    """Return the day whose trades a key is for, or nothing where it is no such key, or for no day that exists."""
    match = _SOURCE.fullmatch(key)
    if not match:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None


def day_asked_for(event: Mapping[str, Any]) -> date:
    """Return the day that an invocation is about: its `date`, or the day before the time of its schedule.

    Raises:
        ProblemError: 400, it has no date, or none that exists.
    """
    if event.get("source") == "aws.scheduler":
        return datetime.fromisoformat(event["time"]).date() - timedelta(days=1)
    try:
        return parse_date(event.get("date"))
    except ValueError:
        raise invalid(FieldError("date", "must be a day, such as 2024-05-15")) from None
