"""Exports: a day's trades from PostgreSQL to S3, as a stream, in the form that the analysis reads."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from trading.analysis import keys
from trading.analysis.keys import EXPORTED
from trading.core import database, storage
from trading.core.errors import ConflictError
from trading.core.storage import Upload

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small

# Times as the API writes them: a fraction only where there is one.
_COPY = """
copy (
    select ticker, price, quantity, side,
        to_char(timestamp at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')
            || case when date_trunc('second', timestamp) = timestamp then 'Z'
                else to_char(timestamp at time zone 'UTC', '.US"Z"') end as timestamp
    from trades
    where timestamp >= timestamp '{day}' at time zone 'UTC'
        and timestamp < (timestamp '{day}' + interval '1 day') at time zone 'UTC'
    order by timestamp, id
) to stdout with (format csv, header)
"""


@dataclass(frozen=True, slots=True)
class Export:
    """What was written: where, and how many trades."""

    output_file: str
    records_exported: int


def export_day(bucket: str, day: date) -> Export:
    """Write the trades of a day, by their timestamps in UTC, to its file in the bucket.

    Raises:
        ConflictError: the file that is there was not written by an export; it stays as it is.
        database.DatabaseUnavailableError: nothing was written.
    """
    key = keys.trades_key(day)
    present = storage.describe(bucket, key)
    if (present and not storage.has(present, EXPORTED)) or storage.describe(bucket, f"{key}.gz"):
        raise _theirs(day)

    with Upload(bucket, key, storage.CSV, EXPORTED, replaces=present[0] if present else None) as upload:
        count = database.run(lambda cursor: _copy(cursor, _COPY.format(day=day), upload), repeatable=False)
        try:
            upload.complete()
        except storage.ReplacedError:
            raise _theirs(day) from None
    return Export(key, count)


def _theirs(day: date) -> ConflictError:
    return ConflictError(f"The trades of {day} were not exported by this system, and are left as they are.")


def _copy(cursor: "Cursor", statement: str, upload: Upload) -> int:
    cursor.copy_expert(statement, upload)
    return cursor.rowcount
