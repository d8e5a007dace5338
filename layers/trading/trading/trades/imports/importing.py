"""Importing a broker file: recording its trades, or previewing that in a dry run."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from itertools import batched, islice
from typing import TYPE_CHECKING

from trading.core import database
from trading.core.values import Amount
from trading.trades.imports import reading, records, shortfalls
from trading.trades.imports.options import Options
from trading.trades.imports.reading import FileReading
from trading.trades.imports.records import OUTCOMES, Completed, ImportRow, KnownTrade, RowFilter, RowTrade
from trading.trades.imports.rows import FileTrade
from trading.trades.imports.shortfalls import Shortfall

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small

FIRST = 100  # rows of each outcome in a response
_KEYS = 5_000  # keys per statement


@dataclass(frozen=True, slots=True)
class ProposedSplit:
    """A stock split found in the file, for `POST /api/splits`.

    `quantity` is that of its row: for most brokers, the shares that were added. Files have no ratios.
    """

    line: int
    ticker: str
    effective_at: datetime
    quantity: Amount | None


@dataclass(frozen=True, slots=True)
class FirstRows:
    """The first rows of each outcome, and of those with a rounded price or fee."""

    recorded: list[ImportRow]
    already_recorded: list[ImportRow]
    skipped: list[ImportRow]
    rejected: list[ImportRow]
    adjusted: list[ImportRow]


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The outcome of a file: rows read = recorded + already recorded + skipped + rejected.

    `adjusted` is the number of rows whose price or fee was rounded to six decimals. `turns_short` is set in a dry run
    only.
    """

    import_id: int | None
    format: str
    rows_read: int
    recorded: int
    already_recorded: int
    skipped: int
    rejected: int
    adjusted: int
    rows: FirstRows
    splits: list[ProposedSplit]
    isins_without_ticker: list[str]
    turns_short: list[Shortfall]


def run(data: bytes, options: Options, imported_by: str) -> tuple[ImportResult, Completed]:
    """Record the trades of a file that are not recorded yet.

    Raises:
        InvalidError: the file's format is unknown, or it has trades of several accounts at the broker.
        ConflictError: the import was voided meanwhile.
        records.ImportUnfinishedError: the time limit of a request is exceeded; sending the same file again continues.
        database.DatabaseUnavailableError: the database does not answer; safe to repeat.
    """
    file = reading.read(data, options)
    completed = records.record(file, _digest(data, options), options.account, imported_by)
    known = completed.result
    first = {outcome: records.find_rows(RowFilter(known.id, outcome, limit=FIRST))[0] for outcome in OUTCOMES}
    adjusted = records.find_rows(RowFilter(known.id, only_adjusted=True, limit=FIRST))[0]
    return ImportResult(
        known.id,
        known.format,
        known.rows_read,
        known.recorded,
        known.already_recorded,
        known.skipped,
        known.rejected,
        known.adjusted,
        FirstRows(**first, adjusted=adjusted),
        _splits(file),
        file.isins_without_ticker,
        [],
    ), completed


def try_out(data: bytes, options: Options) -> ImportResult:
    """Return the result that `run` would have and the positions that would turn short, without recording anything.

    Raises:
        InvalidError: the file's format is unknown, or it has trades of several accounts at the broker.
        database.DatabaseUnavailableError: the database does not answer.
    """
    file = reading.read(data, options)

    def look(cursor: "Cursor") -> tuple[list[ImportRow], list[Shortfall]]:
        rows = [ImportRow(each.line, each.outcome, each.reason, adjusted=False) for each in file.left_out]
        new: list[FileTrade] = []
        for trades in batched(file.trades, _KEYS, strict=False):
            known = records.known_trades(cursor, trades, ids_are_ours=file.ids_are_ours)
            rows += [_tried(trade, known.get(trade.key)) for trade in trades]
            new += [trade for trade in trades if trade.key not in known]
        return rows, shortfalls.find(cursor, new)

    rows, turns_short = database.run(look, repeatable=True, snapshot=True)
    rows.sort(key=lambda row: row.line)
    counts = Counter(row.outcome for row in rows)
    first = {outcome: list(islice((row for row in rows if row.outcome == outcome), FIRST)) for outcome in OUTCOMES}
    adjusted = [row for row in rows if row.adjusted]
    return ImportResult(
        None,
        file.format,
        file.rows_read,
        counts["recorded"],
        counts["already_recorded"],
        counts["skipped"],
        counts["rejected"],
        len(adjusted),
        FirstRows(**first, adjusted=adjusted[:FIRST]),
        _splits(file),
        file.isins_without_ticker,
        turns_short,
    )


def _tried(trade: FileTrade, known: KnownTrade | None) -> ImportRow:
    told = RowTrade.of(trade)
    if known is None:
        return ImportRow(trade.line, "recorded", trade.remark, trade.is_adjusted, None, told)
    outcome, reason = known.judge(trade)
    return ImportRow(trade.line, outcome, reason, trade.is_adjusted, known.id, told)


def _splits(file: FileReading) -> list[ProposedSplit]:
    return [ProposedSplit(each.line, each.ticker, each.effective_at, each.quantity) for each in file.splits]


def _digest(data: bytes, options: Options) -> bytes:
    """Return the digest that identifies an import: of the file's bytes and the options."""
    read_as = (
        options.format,
        options.account,
        options.source_account,
        options.zone and options.zone.key,
        options.currency,
        sorted(options.tickers.items()),
        sorted(options.columns.items()),
        options.date_format,
    )
    return hashlib.sha256(data + repr(read_as).encode()).digest()
