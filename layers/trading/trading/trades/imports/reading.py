"""Reading a broker file: its trades, and the reasons why other rows are not recorded."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import localcontext
from itertools import chain
from typing import Literal
from zoneinfo import ZoneInfo

from trading.core import tables
from trading.core.errors import FieldError, InvalidError
from trading.core.tables import HEADER_LINES, Row, Table, UnknownTableError
from trading.core.values import PRECISION, format_decimal
from trading.trades.imports import catalog
from trading.trades.imports.catalog import FORMATS, Layout, RepeatedColumnError
from trading.trades.imports.format import Fee, Format
from trading.trades.imports.options import GENERIC, GENERIC_FEE, GENERIC_FIELDS, Options
from trading.trades.imports.rows import FileSplit, FileTrade, RowReader, SkippedError, shown

_REQUIRED = ("price", "quantity", "timestamp")
_EXAMPLE = "format=generic&columns=ticker:Symbol,price:Price,quantity:Quantity,side:Side,timestamp:Date"
_NAMED = 10  # accounts named in an error


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that is not recorded: skipped because it is not a trade, or rejected because it cannot be read."""

    line: int
    outcome: Literal["skipped", "rejected"]
    reason: str


@dataclass(frozen=True, slots=True)
class FileReading:
    """The contents of a file: its trades, oldest first, and all other rows in file order.

    `zone` applies to dates without an offset; `ids_are_ours` means that the ids may be those of trades in this ledger.
    """

    format: str
    zone: ZoneInfo
    ids_are_ours: bool
    trades: list[FileTrade]
    left_out: list[LeftOut]
    splits: list[FileSplit]
    isins_without_ticker: list[str]

    @property
    def rows_read(self) -> int:
        """The number of rows without blank ones and headers."""
        return len(self.trades) + len(self.left_out)


def read(data: bytes, options: Options) -> FileReading:
    """Return the contents of a broker file.

    Raises:
        InvalidError: the file's format is unknown, or it has trades of several accounts at the broker.
    """
    with localcontext(prec=PRECISION):
        return _read(_recognized(data, options), data, options)


def _read(table: Table[Layout], data: bytes, options: Options) -> FileReading:
    format_ = table.layout.format
    reader = RowReader(format_, options, _marks(data, options, format_))
    trades: list[FileTrade] = []
    left_out: list[LeftOut] = []
    for row, layout in _of_sections(format_, table) if format_.is_sectioned else _of_one_header(table):
        try:
            if isinstance(layout, str):
                raise SkippedError(layout)  # noqa: TRY301 - one of several ways to skip a row
            trades.append(reader.trade(row, layout))
        except SkippedError as skipped:
            left_out.append(LeftOut(row.line, "skipped", str(skipped)))
        except ValueError as error:
            left_out.append(LeftOut(row.line, "rejected", str(error)))
    _refuse_several(reader.source_accounts)
    kept, repeated = _keyed(_oldest_first(trades, format_), format_)
    others = sorted(left_out + repeated, key=lambda each: each.line)
    zone = options.zone or ZoneInfo(format_.zone)
    return FileReading(format_.name, zone, format_.ids_are_ours, kept, others, reader.splits, sorted(reader.isins))


def _recognized(data: bytes, options: Options) -> Table[Layout]:
    formats = _candidates(options)
    try:
        return tables.read(data, lambda cells: catalog.recognize(cells, formats))
    except RepeatedColumnError as error:
        raise InvalidError(FieldError("body", str(error))) from None
    except UnknownTableError as error:
        seen = f"its first row is {error.seen!r}, and {HEADER_LINES} lines were searched"
        if len(formats) > 1:
            what = f"is in none of the formats {', '.join(FORMATS)}: {seen}. Name its columns: {_EXAMPLE}"
        else:
            what = f"has no header with the columns {', '.join(formats[0].header)}: {seen}"
        raise InvalidError(FieldError("body", what)) from None


def _candidates(options: Options) -> Sequence[Format]:
    if options.format in FORMATS:
        return [FORMATS[options.format]]
    if options.format == GENERIC or options.columns:
        return [_generic(options)]
    return list(FORMATS.values())


def _generic(options: Options) -> Format:
    missing = [name for name in _REQUIRED if name not in options.columns]
    if not {"ticker", "isin"} & options.columns.keys():
        missing.insert(0, "ticker")
    if missing:
        raise InvalidError(FieldError("columns", f"must also name the column of {' and '.join(missing)}: {_EXAMPLE}"))
    return Format(
        name=GENERIC,
        title="A file whose columns the request names",
        sources=(),
        header=tuple(options.columns.values()),
        columns={GENERIC_FIELDS[name]: [column] for name, column in options.columns.items() if name != GENERIC_FEE},
        dates=(options.date_format,),
        fees=[Fee([options.columns[GENERIC_FEE]])] if GENERIC_FEE in options.columns else [],
        decimal_mark=None,
        newest_first=False,
    )


def _of_one_header(table: Table[Layout]) -> Iterator[tuple[Row, Layout | str]]:
    for row in table.rows:
        yield row, table.layout


def _of_sections(format_: Format, table: Table[Layout]) -> Iterator[tuple[Row, Layout | str]]:
    """Yield the rows of a statement, each with the layout of its section's latest header or the reason to skip it."""
    section = format_.header[0]
    layout: Layout | str = f"comes before the header of {section}"
    for row in chain([table.header], table.rows):
        name, kind, *_ = [*row.cells, "", ""]
        if kind == "Header":
            if name == section:
                layout = _section_layout(format_, row)
        elif (row.fault and not isinstance(layout, str)) or (name == section and kind == "Data"):
            yield row, layout
        else:
            yield row, f"is in the section {shown(name)!r}" if name != section else f"is a {shown(kind)!r} of {name}"


def _section_layout(format_: Format, row: Row) -> Layout | str:
    try:
        return catalog.layout_of(format_, row.cells) or f"follows line {row.line}, which has other columns"
    except RepeatedColumnError as error:
        return f"follows line {row.line}, which {error}"


def _marks(data: bytes, options: Options, format_: Format) -> Sequence[str]:
    """Return the possible decimal marks of a file's numbers: the one that is evident from them, or both."""
    if format_.decimal_mark:
        return [format_.decimal_mark]
    table = _recognized(data, options)
    fields = table.layout.fields
    positions = [fields["quantity"], fields["price"], *(fee for fee, _ in table.layout.fees)]
    shown = {
        tables.find_decimal_mark([row.cells[position]])
        for row in table.rows
        for position in positions
        if position < len(row.cells)
    }
    return [mark for mark in (".", ",") if mark in shown] or [".", ","]


def _oldest_first(trades: Sequence[FileTrade], format_: Format) -> list[FileTrade]:
    """Return trades by time; those with the same timestamp in the order of execution, derived from the file's order."""
    if not trades:
        return []
    first, last = trades[0].timestamp, trades[-1].timestamp
    is_reversed = first > last or (first == last and format_.newest_first)
    return sorted(reversed(trades) if is_reversed else trades, key=lambda trade: trade.timestamp)


def _keyed(trades: Iterable[FileTrade], format_: Format) -> tuple[list[FileTrade], list[LeftOut]]:
    """Assign each trade its key; trades that repeat an earlier one's broker id are returned as left out."""
    kept: list[FileTrade] = []
    repeated: list[LeftOut] = []
    by_id: dict[tuple[str, str], FileTrade] = {}
    counts = Counter[bytes]()
    for trade in trades:
        if trade.broker_id:
            first = by_id.setdefault((trade.account, trade.broker_id), trade)
            if first is not trade:
                repeated.append(_repeated(trade, first))
                continue
            trade.key = _hashed(trade.account, format_.name, trade.broker_id)
        else:
            shares, price = format_decimal(trade.quantity), format_decimal(trade.price)
            told = _hashed(trade.account, trade.timestamp.isoformat(), trade.ticker, trade.side, shares, price)
            counts[told] += 1
            trade.key = _hashed(told.hex(), str(counts[told]))
        kept.append(trade)
    return kept, repeated


def _hashed(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()


def _repeated(trade: FileTrade, first: FileTrade) -> LeftOut:
    if trade.content() == first.content():
        return LeftOut(trade.line, "skipped", f"repeats line {first.line}")
    return LeftOut(trade.line, "rejected", f"has the broker's id of line {first.line}, and is another trade")


def _refuse_several(source_accounts: set[str]) -> None:
    if len(source_accounts) > 1:
        names = ", ".join(repr(shown(name)) for name in sorted(source_accounts)[:_NAMED])
        message = (
            f"must name one of the accounts whose trades the file has, {names}: import each into an account of its own"
        )
        raise InvalidError(FieldError("source_account", message))
