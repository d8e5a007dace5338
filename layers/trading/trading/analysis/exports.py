"""Exports: streaming a day's trades from PostgreSQL to S3, in the format of the analysis."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from trading.analysis import keys
from trading.analysis.keys import EXPORTED
from trading.core import database, storage
from trading.core.errors import ConflictError
from trading.core.storage import Upload

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small

STARTED = "started-at"  # a key of an export's metadata

# Timestamps as in the API: with a fraction only if it is not zero.
_COPY = """
copy (
    select ticker, price, quantity, side,
        to_char(timestamp at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')
            || case when date_trunc('second', timestamp) = timestamp then 'Z'
                else to_char(timestamp at time zone 'UTC', '.US"Z"') end as timestamp,
        id as trade_id, account, fee, currency
    from trades
    where timestamp >= timestamp '{day}' at time zone 'UTC'
        and timestamp < (timestamp '{day}' + interval '1 day') at time zone 'UTC'
        and not exists (select from trade_changes where trade_id = trades.id)
    order by timestamp, id
) to stdout with (format csv, header)
"""


# recorded_at is assigned before the commit. No transaction lasts longer than this, because of the role's timeouts.
MARGIN = timedelta(seconds=60)
SWEPT_KEY = "exports/swept.json"

# The days with trades that were recorded or voided since an instant, and the latest time of that.
_TOUCHED = """
select (timestamp at time zone 'UTC')::date as day, max(touched_at) from (
    select timestamp, recorded_at as touched_at from trades where recorded_at >= %(since)s
    union all
    select timestamp, changed_at from trade_changes join trades on trades.id = trade_id where changed_at >= %(since)s
) as touched
where timestamp < %(today)s
group by day order by day
"""


@dataclass(frozen=True, slots=True)
class Export:
    """The result of an export: the key of the file and the number of trades."""

    output_file: str
    records_exported: int


def export_day(bucket: str, day: date) -> Export:
    """Write the trades of a day (UTC) to its file in the bucket.

    Raises:
        ConflictError: the existing file was not written by an export; it is unchanged.
        database.DatabaseUnavailableError: nothing was written.
    """
    key = keys.trades_key(day)
    present = storage.describe(bucket, key)
    if (present and not storage.has(present, EXPORTED)) or storage.describe(bucket, f"{key}.gz"):
        raise _theirs(day)

    metadata = {**EXPORTED, STARTED: datetime.now(UTC).isoformat()}
    with Upload(bucket, key, storage.CSV, metadata, replaces=present[0] if present else None) as upload:
        count = database.run(lambda cursor: _copy(cursor, _COPY.format(day=day), upload), repeatable=False, atomic=True)
        database.release()  # a setting has pinned the connection
        try:
            upload.complete()
        except storage.ReplacedError:
            raise _theirs(day) from None
    return Export(key, count)


def export_stale_days(bucket: str) -> list[Export]:
    """Export each past day that has no export, or for which trades were recorded or voided since its export.

    Files that this system did not export are left unchanged. A watermark is stored, so that the next call looks only
    at later changes.

    Raises:
        database.DatabaseUnavailableError: some days may not be exported; the next call starts at the same watermark.
    """
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    parameters = {"since": _swept_until(bucket) - MARGIN, "today": today}
    touched = database.query(_TOUCHED, parameters, repeatable=True)
    exports = [export_day(bucket, day) for day, touched_at in touched if _is_stale(bucket, day, touched_at)]
    storage.put(bucket, SWEPT_KEY, json.dumps({"until": now.isoformat()}).encode(), "application/json", {})
    return exports


def _is_stale(bucket: str, day: date, touched_at: datetime) -> bool:
    key = keys.trades_key(day)
    present = storage.describe(bucket, key) or storage.describe(bucket, f"{key}.gz")
    if present is None:
        return True
    if not storage.has(present, EXPORTED):
        return False
    started = present[1].get(STARTED)
    return started is None or touched_at >= datetime.fromisoformat(started) - MARGIN


def _swept_until(bucket: str) -> datetime:
    swept = storage.open_object(bucket, SWEPT_KEY)
    if swept is None:
        return datetime(1970, 1, 2, tzinfo=UTC)
    return datetime.fromisoformat(json.loads(b"".join(swept.chunks))["until"])


def _theirs(day: date) -> ConflictError:
    return ConflictError(f"The trades of {day} were not exported by this system and are left unchanged.")


def _copy(cursor: "Cursor", statement: str, upload: Upload) -> int:
    # A day may take longer than the role's timeouts allow.
    cursor.execute("select set_config('statement_timeout', '0', true), set_config('transaction_timeout', '0', true)")
    cursor.copy_expert(statement, upload)
    return cursor.rowcount
