"""Keyset pagination: each page begins after the key of the last row, so deep pages cost no more than the first."""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from trading.core import database
from trading.core.errors import BAD_CURSOR, FieldError, InvalidError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BIGINT = 2**63


def find(  # noqa: PLR0913 - the parts of a search
    table: str,
    columns: Sequence[str],
    wanted: Mapping[str, Any],
    *,
    key: Sequence[str],
    equal: Sequence[str],
    further: Mapping[str, str] | None = None,
) -> tuple[list[tuple[Any, ...]], str | None]:
    """Return a page of a table's rows, newest first, and the cursor of the next page if there is one.

    Args:
        table: the table or join; this and all column names must be constants.
        columns: the columns to return.
        wanted: the search parameters by name, None if not given; includes `limit` and `cursor`, and `start_date`
            and `end_date`, both inclusive.
        key: the columns to sort by: a timestamp, which the dates bound, and an id if the timestamp is not unique.
        equal: the columns that must equal the parameter of the same name.
        further: other conditions by parameter name, each applied if that parameter is given.

    Raises:
        InvalidError: start_date is after end_date, or the cursor is not valid.
        database.DatabaseUnavailableError: the database does not answer.
    """
    if wanted["start_date"] and wanted["end_date"] and wanted["start_date"] > wanted["end_date"]:
        raise InvalidError(FieldError("start_date", "must not be after end_date"))
    parameters = {name: value for name, value in wanted.items() if value is not None}
    conditions = {
        **{column: f"{column} = %({column})s" for column in equal},
        **(further or {}),
        "start_date": f"{key[0]} >= %(start_date)s",
        "end_date": f"{key[0]} <= %(end_date)s",
        "cursor": f"({', '.join(key)}) < ({', '.join(f'%(after_{number})s' for number, _ in enumerate(key))})",
    }
    if "cursor" in parameters:
        after = decode_cursor(parameters["cursor"])
        parameters |= {f"after_{number}": part for number, part in enumerate(after)}
    clauses = [clause for name, clause in conditions.items() if name in parameters]
    where = f"where {' and '.join(clauses)}" if clauses else ""
    # One extra row shows whether there is another page.
    statement = (
        f"select {', '.join([*columns, *key])} from {table} {where}"  # noqa: S608 - names are constants
        f" order by {', '.join(f'{column} desc' for column in key)} limit %(limit)s + 1"
    )
    rows = database.query(statement, parameters, repeatable=True)
    page = rows[: wanted["limit"]]
    cursor = encode_cursor(*page[-1][len(columns) :]) if len(rows) > len(page) else None
    return [row[: len(columns)] for row in page], cursor


def encode_cursor(timestamp: datetime, row_id: int = 0) -> str:
    """Return an opaque cursor for a row's sort key."""
    return _encoded(f"{(timestamp - _EPOCH) // _MICROSECOND}.{row_id}")


def decode_cursor(cursor: str) -> tuple[datetime, int]:
    """Return the sort key in a cursor of `encode_cursor`.

    Raises:
        InvalidError: the cursor is not valid.
    """
    try:
        microseconds, row_id = _decoded(cursor).split(".")
        key = _EPOCH + int(microseconds) * _MICROSECOND, int(row_id)
    except (ValueError, OverflowError):
        key = None
    if key is None or not 0 <= key[1] < _BIGINT:
        raise _invalid()
    return key


def encode_key(*parts: str | int) -> str:
    """Return an opaque cursor for a sort key with other parts."""
    return _encoded(json.dumps(parts, separators=(",", ":")))


def decode_key(cursor: str, *kinds: type[str | int]) -> list[Any]:
    """Return the sort key in a cursor of `encode_key`, whose parts have these types.

    Raises:
        InvalidError: the cursor is not valid.
    """
    try:
        parts = json.loads(_decoded(cursor))
    except (ValueError, RecursionError):
        parts = None
    if not isinstance(parts, list) or [type(part) for part in parts] != list(kinds):
        raise _invalid()
    if not all(isinstance(part, int) or (part.isascii() and part.isprintable()) for part in parts):
        raise _invalid()  # PostgreSQL rejects NUL and lone surrogates
    return parts


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decoded(cursor: str) -> str:
    return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")


def _invalid() -> InvalidError:
    return InvalidError(BAD_CURSOR)
