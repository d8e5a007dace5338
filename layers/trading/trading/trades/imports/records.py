"""Imports in the database: recording a file's trades once, listing the outcomes of its rows, and voiding it."""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import partial
from itertools import batched
from typing import TYPE_CHECKING, Any, Literal

from trading.core import database, pagination
from trading.core.errors import ConflictError, NotFoundError, UnavailableError
from trading.core.values import PAGE_DEFAULT, Price, Quantity, Side

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small

    # Functions that announce imports load this module at each cold start and do not need the reader with all formats.
    from trading.trades.imports.reading import FileReading
    from trading.trades.imports.rows import FileTrade

IMPORT_SECONDS = 20.0  # API Gateway waits for 30
BATCH = 1_000  # trades per transaction
_TRADE_ID = re.compile(r"[1-9][0-9]{0,17}")

type Outcome = Literal["recorded", "already_recorded", "skipped", "rejected"]
OUTCOMES: tuple[Outcome, ...] = ("recorded", "already_recorded", "skipped", "rejected")


@dataclass(frozen=True, slots=True)
class Import:
    """An imported broker file, the number of rows of each outcome, and whether it was voided.

    `adjusted` is the number of rows whose price or fee was rounded.
    """

    id: int
    format: str
    account: str
    recorded_by: str
    recorded_at: datetime
    completed_at: datetime | None
    rows_read: int
    recorded: int
    already_recorded: int
    skipped: int
    rejected: int
    adjusted: int
    voided_at: datetime | None
    voided_by: str | None
    void_reason: str | None


@dataclass(frozen=True, slots=True)
class RowTrade:
    """The trade of a row."""

    account: str
    ticker: str
    side: Side
    quantity: Quantity
    price: Price
    fee: Price
    currency: str
    timestamp: datetime

    @classmethod
    def of(cls, trade: "FileTrade") -> "RowTrade":
        """Return the trade of a file's row."""
        return cls(
            trade.account,
            trade.ticker,
            trade.side,
            trade.quantity,
            trade.price,
            trade.fee,
            trade.currency,
            trade.timestamp,
        )


@dataclass(frozen=True, slots=True)
class ImportRow:
    """The outcome of a row. `line` is the line at which it begins, counted from 1."""

    line: int
    outcome: Outcome
    reason: str | None
    adjusted: bool
    trade_id: int | None = None
    trade: RowTrade | None = None


@dataclass(frozen=True, slots=True)
class ImportFilter:
    """The parameters of a search for imports; both dates are inclusive."""

    start_date: datetime | None = None
    end_date: datetime | None = None
    limit: int = PAGE_DEFAULT
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class RowFilter:
    """The parameters of a search for rows of an import."""

    import_id: int
    outcome: Outcome | None = None
    only_adjusted: bool = False
    limit: int = PAGE_DEFAULT
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Completed:
    """A completed import, and the id of its notification if this call wrote both."""

    result: Import
    notification_id: str | None


IMPORT_COLUMNS = tuple(field.name for field in fields(Import))
_TRADE_COLUMNS = ", ".join(f"trade.{field.name}" for field in fields(RowTrade))


def columns_of(relation: str) -> str:
    """Return the columns of an import, qualified with this relation's name."""
    return ", ".join(f"{relation}.{name}" for name in IMPORT_COLUMNS)


class ImportUnfinishedError(UnavailableError):
    """Time ran out; recorded trades are kept, and sending the same file again continues from there."""


def record(reading: "FileReading", digest: bytes, account: str, recorded_by: str) -> Completed:
    """Record the trades of a file that are not recorded yet, a thousand at a time, oldest first.

    If an earlier import of the same file was interrupted, it is continued.

    Raises:
        ConflictError: the import was voided meanwhile.
        ImportUnfinishedError: the import exceeds the time limit of a request; safe to repeat.
        database.DatabaseUnavailableError: the database does not answer; safe to repeat.
    """
    deadline = time.monotonic() + IMPORT_SECONDS
    import_id = _begin(reading.format, digest, account, recorded_by)
    done = {line for (line,) in _query("select line from import_rows where import_id = %(id)s", id=import_id)}
    others = [_row(each.line, each.outcome, each.reason) for each in reading.left_out if each.line not in done]
    for rows in batched(others, 10 * BATCH, strict=False):
        database.run(partial(_keep_rows, import_id=import_id, rows=rows), repeatable=True)
    missing = (trade for trade in reading.trades if trade.line not in done)
    for trades in batched(missing, BATCH, strict=False):
        if time.monotonic() > deadline:
            raise ImportUnfinishedError(f"import {import_id} exceeds the time limit of a request")
        record_some = partial(
            _record, import_id=import_id, trades=trades, recorded_by=recorded_by, ids_are_ours=reading.ids_are_ours
        )
        database.run(record_some, repeatable=True, atomic=True)
    return _complete(import_id)


_BEGIN = """
insert into imports (digest, format, account, recorded_by)
values (%(digest)s, %(format)s, %(account)s, %(recorded_by)s)
on conflict (digest) where completed_at is null and voided_at is null do nothing
returning id
"""
_UNFINISHED = "select id from imports where digest = %(digest)s and completed_at is null and voided_at is null"


def _begin(format_: str, digest: bytes, account: str, recorded_by: str) -> int:
    values = {"digest": digest, "format": format_, "account": account, "recorded_by": recorded_by}
    while True:
        rows = _query(_BEGIN, **values) or _query(_UNFINISHED, **values)
        if rows:  # otherwise completed between the two statements
            return int(rows[0][0])


# Ids follow the order of the trades. Rows are inserted in the order of their keys, so that two imports with common
# trades cannot deadlock.
_RECORD = """
with entries as materialized (
    select nextval('trades_id_seq') as id, entry.*, decode(key, 'hex') as import_key
    from json_to_recordset(%(trades)s) as entry(
        key text, account text, ticker text, side text, quantity numeric, price numeric, fee numeric, currency text,
        timestamp timestamptz
    )
)
insert into trades (
    id, ticker, price, quantity, side, timestamp, recorded_by, account, fee, currency, import_id, import_key
)
select id, ticker, price, quantity, side, timestamp, %(recorded_by)s, account, fee, currency, %(import_id)s, import_key
from entries
order by import_key
on conflict (import_key) where import_key is not null do nothing
returning import_key, id
"""


def _record(
    cursor: "Cursor", import_id: int, trades: "Sequence[FileTrade]", recorded_by: str, *, ids_are_ours: bool
) -> None:
    """Record trades and the outcomes of their rows."""
    # Serializes this transaction with a void of the import.
    cursor.execute("select voided_at from imports where id = %(id)s for share", {"id": import_id})
    if cursor.fetchone() != (None,):
        raise ConflictError(f"Import {import_id} is voided.")
    known = _trades_of_ours(cursor, trades) if ids_are_ours else {}
    entries = [
        {
            "key": trade.key.hex(),
            "account": trade.account,
            "ticker": trade.ticker,
            "side": trade.side,
            "quantity": str(trade.quantity),
            "price": str(trade.price),
            "fee": str(trade.fee),
            "currency": trade.currency,
            "timestamp": trade.timestamp.isoformat(),
        }
        for trade in trades
        if trade.key not in known
    ]
    cursor.execute(_RECORD, {"trades": json.dumps(entries), "recorded_by": recorded_by, "import_id": import_id})
    recorded = {bytes(key): trade_id for key, trade_id in cursor.fetchall()}
    answered = recorded.keys() | known.keys()
    known |= _trades_of_keys(cursor, [trade for trade in trades if trade.key not in answered])
    rows = []
    for trade in trades:
        if trade.key in recorded:
            rows.append(_row(trade.line, "recorded", trade.remark, recorded[trade.key], is_adjusted=trade.is_adjusted))
        else:
            outcome, reason = known[trade.key].judge(trade)
            rows.append(_row(trade.line, outcome, reason, known[trade.key].id, is_adjusted=trade.is_adjusted))
    _keep_rows(cursor, import_id, rows)


@dataclass(frozen=True, slots=True)
class KnownTrade:
    """A recorded trade with the same key as a trade in a file."""

    id: int
    content: tuple[object, ...]
    is_voided: bool

    def judge(self, trade: "FileTrade") -> tuple[Outcome, str]:
        """Return the outcome and the reason of a file's trade with this key."""
        voided = ", which is voided" if self.is_voided else ""
        if self.content == trade.content():
            return "already_recorded", f"is trade {self.id}{voided}"
        return "rejected", f"differs from trade {self.id}{voided}"


_KNOWN = """
select import_key, id, exists (select from trade_changes where trade_id = trades.id), account,
    ticker, side, quantity, price, fee, currency, timestamp
from trades
"""


def known_trades(cursor: "Cursor", trades: "Sequence[FileTrade]", *, ids_are_ours: bool) -> dict[bytes, KnownTrade]:
    """Return the recorded trades that have the keys or ids of a file's trades, by these keys."""
    ours = _trades_of_ours(cursor, trades) if ids_are_ours else {}
    return _trades_of_keys(cursor, trades) | ours


def _trades_of_keys(cursor: "Cursor", trades: "Sequence[FileTrade]") -> dict[bytes, KnownTrade]:
    if not trades:
        return {}
    cursor.execute(f"{_KNOWN} where import_key = any(%(keys)s)", {"keys": [trade.key for trade in trades]})
    return {
        bytes(key): KnownTrade(trade_id, tuple(content), is_voided)
        for key, trade_id, is_voided, _, *content in cursor.fetchall()
    }


def _trades_of_ours(cursor: "Cursor", trades: "Sequence[FileTrade]") -> dict[bytes, KnownTrade]:
    """Return the trades with the ids in a file exported by this system, unless they are trades of another ledger."""
    by_id = {int(trade.broker_id): trade for trade in trades if _TRADE_ID.fullmatch(trade.broker_id)}
    cursor.execute(f"{_KNOWN} where id = any(%(ids)s::bigint[])", {"ids": list(by_id)})
    found: dict[bytes, KnownTrade] = {}
    for _, trade_id, is_voided, account, *content in cursor.fetchall():
        trade = by_id[trade_id]
        if (trade.account, *trade.content()) == (account, *content):
            found[trade.key] = KnownTrade(trade_id, tuple(content), is_voided)
    return found


def _row(
    line: int, outcome: Outcome, reason: str | None, trade_id: int | None = None, *, is_adjusted: bool = False
) -> dict[str, Any]:
    return {"line": line, "outcome": outcome, "reason": reason, "trade_id": trade_id, "is_adjusted": is_adjusted}


def _keep_rows(cursor: "Cursor", import_id: int, rows: Sequence[dict[str, Any]]) -> None:
    cursor.execute(
        "insert into import_rows (import_id, line, outcome, reason, trade_id, is_adjusted)"
        " select %(import_id)s, * from json_to_recordset(%(rows)s)"
        " as entry(line integer, outcome text, reason text, trade_id bigint, is_adjusted boolean)"
        " on conflict (import_id, line) do nothing",
        {"import_id": import_id, "rows": json.dumps(rows)},
    )


# One statement, so one commit: a completed import always has its notification. The previous release's sweeper selects
# by due_at and does not know imports, so it must never find one due.
_COMPLETE = f"""
with counted as (
    select
        count(*) as rows_read,
        count(*) filter (where outcome = 'recorded') as recorded,
        count(*) filter (where outcome = 'already_recorded') as already_recorded,
        count(*) filter (where outcome = 'skipped') as skipped,
        count(*) filter (where outcome = 'rejected') as rejected,
        count(*) filter (where is_adjusted) as adjusted
    from import_rows where import_id = %(id)s
), completed as (
    update imports set
        completed_at = now(), rows_read = counted.rows_read, recorded = counted.recorded,
        already_recorded = counted.already_recorded, skipped = counted.skipped, rejected = counted.rejected,
        adjusted = counted.adjusted
    from counted
    where id = %(id)s and completed_at is null and voided_at is null
    returning {columns_of("imports")}
), announced as (
    insert into notifications (import_id, due_at) select id, 'infinity' from completed where recorded > 0 returning id
)
select (select id from announced), completed.* from completed
"""  # noqa: S608 - the columns are a constant


def _complete(import_id: int) -> Completed:
    rows = _query(_COMPLETE, id=import_id)
    if rows:
        return Completed(Import(*rows[0][1:]), rows[0][0])
    known = get(import_id)
    if known.voided_at:
        raise ConflictError(f"Import {import_id} is voided.")
    return Completed(known, None)  # completed by another call with the same file


def find(wanted: ImportFilter) -> tuple[list[Import], str | None]:
    """Return a page of imports, newest first, and the cursor of the next page if there is one.

    Raises:
        InvalidError: start_date is after end_date, or the cursor is not valid.
        database.DatabaseUnavailableError: the database does not answer.
    """
    rows, next_cursor = pagination.find("imports", IMPORT_COLUMNS, asdict(wanted), key=("recorded_at", "id"), equal=())
    return [Import(*row) for row in rows], next_cursor


def get(import_id: int) -> Import:
    """Return an import.

    Raises:
        NotFoundError: there is no such import.
        database.DatabaseUnavailableError: the database does not answer.
    """
    rows = _query(f"select {columns_of('imports')} from imports where id = %(id)s", id=import_id)  # noqa: S608
    if not rows:
        raise NotFoundError(f"There is no import {import_id}.")
    return Import(*rows[0])


_VOID = f"""
with voided as (
    update imports set voided_at = now(), voided_by = %(voided_by)s, void_reason = %(reason)s
    where id = %(id)s and voided_at is null
    returning {columns_of("imports")}
), changed as (
    insert into trade_changes (trade_id, reason, changed_by)
    select trade_id, %(reason)s, %(voided_by)s
    from import_rows join voided on import_id = voided.id
    where outcome = 'recorded'
    order by trade_id
    on conflict (trade_id) do nothing
), announced as (
    insert into notifications (voided_import_id, due_at) select id, 'infinity' from voided returning id
)
select announced.id, voided.* from announced, voided
"""  # noqa: S608 - the columns are a constant


def void(import_id: int, reason: str, voided_by: str) -> tuple[Import, str | None]:
    """Void an import and all trades that it recorded, unless it is already voided.

    Trades that were voided or corrected since remain unchanged.

    Returns:
        The import, and the id of the notification if this call wrote one.

    Raises:
        NotFoundError: there is no such import.
        database.DatabaseUnavailableError: the database does not answer; safe to repeat.
    """
    rows = _query(_VOID, id=import_id, reason=reason, voided_by=voided_by)
    return (Import(*rows[0][1:]), rows[0][0]) if rows else (get(import_id), None)


def find_rows(wanted: RowFilter) -> tuple[list[ImportRow], str | None]:
    """Return a page of an import's rows in file order, and the cursor of the next page if there is one.

    Raises:
        InvalidError: the cursor is not valid.
        NotFoundError: there is no such import.
        database.DatabaseUnavailableError: the database does not answer.
    """
    get(wanted.import_id)
    [after] = [0] if wanted.cursor is None else pagination.decode_key(wanted.cursor, int)
    rows = _query(
        f"select line, outcome, reason, is_adjusted, trade_id, {_TRADE_COLUMNS}"  # noqa: S608 - constants
        " from import_rows left join trades as trade on trade.id = trade_id"
        " where import_rows.import_id = %(import_id)s and line > %(after)s"
        " and (%(outcome)s::text is null or outcome = %(outcome)s)"
        " and (not %(only_adjusted)s or is_adjusted)"
        " order by line limit %(limit)s + 1",
        import_id=wanted.import_id,
        after=after,
        outcome=wanted.outcome,
        only_adjusted=wanted.only_adjusted,
        limit=wanted.limit,
    )
    found = [
        ImportRow(line, outcome, reason, adjusted, trade_id, RowTrade(*trade) if trade_id else None)
        for line, outcome, reason, adjusted, trade_id, *trade in rows[: wanted.limit]
    ]
    return found, pagination.encode_key(found[-1].line) if len(rows) > wanted.limit else None


def _query(statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    return database.query(statement, parameters, repeatable=True)
