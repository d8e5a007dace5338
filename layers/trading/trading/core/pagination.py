"""Pages of a search, each beginning after the key of the last row before it (keyset), so that depth costs nothing."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from trading.core import database
from trading.http.problems import FieldError, invalid

PAGE_DEFAULT = 1_000
PAGE_LIMIT = 5_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BIGINT = 2**63


def find(
    select: str, wanted: Mapping[str, Any], conditions: Mapping[str, str], *, order: str, after: str
) -> tuple[list[tuple[Any, ...]], bool]:
    """Return a page of what a statement selects, and whether there are more.

    Args:
        select: the statement up to its `where`.
        wanted: what is searched for, by name, None for what does not matter; with `limit` and `cursor`, and with
            `start_date` and `end_date`, both included.
        conditions: what must hold of a row for each name, in SQL.
        order: the columns of the key, in SQL.
        after: what holds of the rows after the key `after_timestamp` and `after_id`, in SQL.

    Raises:
        ProblemError: 400, the dates are the wrong way round or the cursor is not one of ours.
        database.DatabaseUnavailableError: the database does not answer.
    """
    if wanted["start_date"] and wanted["end_date"] and wanted["start_date"] > wanted["end_date"]:
        raise invalid(FieldError("start_date", "must not be after end_date"))
    parameters = {name: value for name, value in wanted.items() if value is not None}
    clauses = [clause for name, clause in conditions.items() if name in parameters]
    if "cursor" in parameters:
        parameters["after_timestamp"], parameters["after_id"] = decode_cursor(parameters["cursor"])
        clauses.append(after)
    where = f"where {' and '.join(clauses)}" if clauses else ""
    # One row more than wanted tells whether there is another page.
    statement = f"{select} {where} order by {order} limit %(limit)s + 1"
    rows = database.query(statement, parameters, repeatable=True)
    return rows[: wanted["limit"]], len(rows) > wanted["limit"]


def encode_cursor(timestamp: datetime, row_id: int) -> str:
    """Return the opaque text that names a row by its sort key."""
    text = f"{(timestamp - _EPOCH) // _MICROSECOND}.{row_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, int]:
    """Return the sort key that `encode_cursor` was given.

    Raises:
        ProblemError: 400, the text is not a cursor of ours.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        microseconds, row_id = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").split(".")
        key = _EPOCH + int(microseconds) * _MICROSECOND, int(row_id)
    except (ValueError, OverflowError):
        key = None
    if key is None or not 0 <= key[1] < _BIGINT:
        raise invalid(FieldError("cursor", "is not a cursor that this API gave out; leave it away to start anew"))
    return key
