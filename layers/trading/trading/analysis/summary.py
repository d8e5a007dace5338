"""Trade summaries: what a day's trades come to for each ticker, computed by DuckDB, exactly and in bounded memory."""

import os
import re
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, fields
from decimal import Decimal, localcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from trading.analysis import csv_files
from trading.analysis.csv_files import ABSENT, BYTE_ORDER_MARK, REPLACEMENT, SEPARATOR, Header, Segment, numbered
from trading.core.values import PRECISION, TICKER_PATTERN, divided

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Each segment that is worked on costs DuckDB a buffer of 32 MB: two keep two processors busy, and memory bounded.
PARALLEL = 2
MEMORY_LIMIT = "160MB"
TICKER_LIMIT = 50_000
PIECE_LINES = 50_000  # so many rejects are held at a time; and so many of the largest trades fit DuckDB's 38 digits
DOUBTFUL_BYTES = 1024 * 1024
SHORTEST_TRADE = len("T,1,1,BUY,2024-05-15T10:00:00\n")


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that could not be read as a trade: its number (the header is line 1), why, and what it says."""

    line: int
    reason: str
    row: str


@dataclass(frozen=True, slots=True)
class TickerSummary:
    """What the trades of one ticker come to. `opened` and `closed` order trades: by timestamp, then by line."""

    ticker: str
    trade_count: int
    total_volume: Decimal
    notional: Decimal
    price_sum: Decimal
    high: Decimal
    low: Decimal
    buy_volume: Decimal
    sell_volume: Decimal
    opened: int
    open: Decimal
    closed: int
    close: Decimal

    @property
    def average_price(self) -> Decimal:
        """The volume-weighted average price: notional / volume, six decimals, half-even; 0 where nothing was traded."""
        return divided(self.notional, self.total_volume)

    @property
    def mean_price(self) -> Decimal:
        """The plain mean of the prices: sum / count, six decimals, half-even."""
        return divided(self.price_sum, self.trade_count)

    def joined(self, later: "TickerSummary") -> "TickerSummary":
        """Return the summary of these trades and those of a later part of the same file."""
        first, last = min(self, later, key=lambda part: part.opened), max(self, later, key=lambda part: part.closed)
        with localcontext(prec=PRECISION):
            return TickerSummary(
                ticker=self.ticker,
                trade_count=self.trade_count + later.trade_count,
                total_volume=self.total_volume + later.total_volume,
                notional=self.notional + later.notional,
                price_sum=self.price_sum + later.price_sum,
                high=max(self.high, later.high),
                low=min(self.low, later.low),
                buy_volume=self.buy_volume + later.buy_volume,
                sell_volume=self.sell_volume + later.sell_volume,
                opened=first.opened,
                open=first.open,
                closed=last.closed,
                close=last.close,
            )


# The columns of a row of the statements: those of a TickerSummary, in its order, and one about what is no trade.
TICKER, COUNT, LAST = 0, 1, len(fields(TickerSummary))


@dataclass(frozen=True, slots=True)
class Summary:
    """What a file of trades comes to: its tickers in order, and how many rows were read and rejected."""

    tickers: list[TickerSummary]
    rows_read: int
    rows_rejected: int


class TooManyTickersError(ValueError):
    """There are more tickers than any market has, and than fit into memory."""


class UnreconciledError(Exception):
    """Rows read are not rows summarized and rows rejected together: a fault of this program, and no result."""


def summarize(chunks: Iterable[bytes], on_rejects: Callable[[Sequence[Reject]], None]) -> Summary:
    """Return the summary of a trade file, handing over what it rejects as it goes, in the order of the lines.

    Two segments of the file are worked on at a time, and no more than three are in memory.

    Raises:
        trade_files.BadHeaderError, trade_files.CutShortError: the file cannot be read.
        TooManyTickersError: no result, for want of memory.
        UnreconciledError: rows were lost or doubled.
    """
    header, segments = csv_files.read(chunks)
    if header is None:
        return Summary([], 0, 0)
    tickers: dict[str, TickerSummary] = {}
    rows_read = rows_rejected = 0
    with (
        # One thread in DuckDB: the parallel ones are ours.
        duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "threads": 1}) as connection,
        ThreadPoolExecutor(PARALLEL) as threads,
    ):
        for part in _parts(threads, _Reader(connection, header), segments):
            for ticker in part.tickers:
                known = tickers.get(ticker.ticker)
                tickers[ticker.ticker] = known.joined(ticker) if known else ticker
            if len(tickers) > TICKER_LIMIT:
                raise TooManyTickersError(f"it has more than {TICKER_LIMIT:,} tickers")
            on_rejects(part.rejects)
            rows_read += part.rows_read
            rows_rejected += len(part.rejects)
    summarized = sum(each.trade_count for each in tickers.values())
    if rows_read != summarized + rows_rejected:
        raise UnreconciledError(f"{rows_read} rows read, {summarized} summarized and {rows_rejected} rejected")
    return Summary([tickers[name] for name in sorted(tickers)], rows_read, rows_rejected)


@dataclass(frozen=True, slots=True)
class _Part:
    tickers: list[TickerSummary]
    rejects: list[Reject]
    rows_read: int
    doubtful: bytes = b""  # numbered lines that are yet to be read


def _parts(threads: ThreadPoolExecutor, reader: "_Reader", segments: Iterator[Segment]) -> Iterator[_Part]:
    doubtful = b""  # of several segments together, for a statement takes a while however little it reads
    for segment, part in _in_order(threads, reader.summarize, segments):
        if part:
            doubtful += part.doubtful
            yield part
        if doubtful and (part is None or len(doubtful) > DOUBTFUL_BYTES):
            yield reader.summarize_lines(doubtful)
            doubtful = b""
        if part is None:
            for _, piece in _in_order(threads, reader.summarize_lines, segment.numbered(PIECE_LINES)):
                yield piece
    if doubtful:
        yield reader.summarize_lines(doubtful)


def _in_order[Piece, Result](
    threads: ThreadPoolExecutor, work: Callable[[Piece], Result], pieces: Iterator[Piece]
) -> Iterator[tuple[Piece, Result]]:
    """Yield each piece with what `work` makes of it, in their order, no more of them begun than work in parallel."""
    begun: deque[tuple[Piece, Future[Result]]] = deque()
    for piece in pieces:
        begun.append((piece, threads.submit(work, piece)))
        if len(begun) > PARALLEL:
            first, result = begun.popleft()
            yield first, result.result()
    for each, result in begun:
        yield each, result.result()


class _Reader:
    """Reads segments, each with the quickest statement that can: from the first line that is no trade on, they sift."""

    def __init__(self, connection: "DuckDBPyConnection", header: Header) -> None:
        self._connection = connection
        self._header = header
        self._is_clean = True

    def summarize(self, segment: Segment) -> _Part | None:
        """Return what a segment comes to, or nothing where only its lines one by one can tell."""
        if segment.lines.startswith(BYTE_ORDER_MARK):  # DuckDB would take it for the beginning of a file, and drop it
            return None
        if segment.line_count * SHORTEST_TRADE > len(segment.lines):  # more are in doubt than memory has room to list
            return None
        part = None
        if self._is_clean and segment.is_plain:
            part = self._summarized_clean(segment)
            self._is_clean = part is not None
        return part or self._sifted(segment)

    def _summarized_clean(self, segment: Segment) -> _Part | None:
        """Return what a segment comes to if each of its lines is a trade, and nothing if any is not."""
        rows = self._rows_of_all(_clean_statement(self._header), segment)
        if rows is None or any(row[LAST] or not _TICKER.match(row[TICKER]) for row in rows):
            return None
        return _Part([TickerSummary(*row[:LAST]) for row in rows], [], segment.line_count)

    def _sifted(self, segment: Segment) -> _Part | None:
        """Return what a segment comes to without its doubtful lines, and those; nothing if they are too many."""
        rows = self._rows_of_all(_sifting_statement(self._header), segment)
        if rows is None:
            return None
        doubtful = _listed(rows)
        if len(doubtful) > PIECE_LINES:
            return None
        return _Part(
            tickers=[TickerSummary(*row[:LAST]) for row in rows if row[TICKER] is not None],
            rejects=[],
            rows_read=segment.line_count - len(doubtful),
            doubtful=numbered((number, line.encode()) for number, line in doubtful),
        )

    def _rows_of_all(self, statement: str, segment: Segment) -> list[tuple[Any, ...]] | None:
        """Return the rows of a statement that reads lines as fields, or nothing where it cannot, or passed one over."""
        try:
            rows = self._query(statement, segment.lines, before=segment.first_line - 1)
        except (
            duckdb.InvalidInputException,  # too few or too many fields
            duckdb.OutOfRangeException,  # too many digits
            duckdb.OutOfMemoryException,  # too many tickers, or what stands in their place
        ):
            return None
        return rows if sum(row[COUNT] for row in rows) == segment.line_count else None

    def summarize_lines(self, lines: bytes) -> _Part:
        """Return what numbered lines come to, with those that are no trades."""
        rows = self._query(_line_statement(self._header), lines)
        rejects = [Reject(*each) for each in _listed(rows)]
        return _Part(
            tickers=[TickerSummary(*row[:LAST]) for row in rows if row[TICKER] is not None],
            rejects=sorted(rejects, key=lambda reject: reject.line),
            rows_read=lines.count(b"\n") - lines.count(SEPARATOR + b"\n"),  # an empty line is no row
        )

    def _query(self, statement: str, lines: bytes, **parameters: int) -> list[tuple[Any, ...]]:
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as feeder:
            pipe = Path(folder) / "lines"
            os.mkfifo(pipe)
            fed = feeder.submit(_feed, pipe, lines)
            try:
                with self._connection.cursor() as cursor:
                    cursor.execute("set TimeZone = 'UTC'")  # a cursor is a session of its own
                    cursor.execute(statement, {"pipe": str(pipe), **parameters})
                    return cursor.fetchall()
            finally:
                # A statement that failed before it opened the pipe leaves the feeder waiting for somebody who does.
                while not fed.done():
                    os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))
                fed.result()


def _listed(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return what the rows list beside their sums, of each thing together what stands in the lists at its place."""
    return [each for row in rows if row[LAST] for each in zip(*row[LAST:], strict=True)]


def _feed(pipe: Path, lines: bytes) -> None:
    with suppress(BrokenPipeError):  # who reads says what is wrong
        pipe.write_bytes(lines)


_TICKER = re.compile(TICKER_PATTERN)
_TIMESTAMP = (
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?$"
)
# What must hold of each field, in the order in which it is asked, and the reason for a reject where it does not.
# Writing a value back the usual way is cheaper than a pattern, and where that is what was read, it says as much.
_CHECKS = {
    "bad ticker": f"regexp_matches(ticker, '{TICKER_PATTERN}')",
    "bad price": r"""case when price >= 0 and price::decimal(18, 2)::varchar = price_text then true
        else price is not null and regexp_matches(price_text, '^[0-9]{1,12}(\.[0-9]{1,6})?$') end""",
    "bad quantity": r"""case when quantity >= 0 and quantity::bigint::varchar = quantity_text then true
        else quantity is not null and regexp_matches(quantity_text, '^[0-9]{1,9}(\.[0-9]{1,6})?$') end""",
    "bad side": "side in ('BUY', 'SELL')",
    "bad timestamp": f"""case
        when microseconds >= 0 and strlen(timestamp_text) = 20
            and strftime(make_timestamp(microseconds), '%Y-%m-%dT%H:%M:%SZ') = timestamp_text then true
        when microseconds >= 0 and strlen(timestamp_text) = 27
            and strftime(make_timestamp(microseconds), '%Y-%m-%dT%H:%M:%S.%fZ') = timestamp_text then true
        else microseconds is not null and regexp_matches(timestamp_text, '{_TIMESTAMP}') end""",
}
# A field in quotes may hold commas and doubled quotes; any other quote is a stray one.
_QUOTED_LINE = r'^(?:"(?:[^"]|"")*"|[^",]*)(?:,(?:"(?:[^"]|"")*"|[^",]*))*$'
_QUOTED_FIELD = r',("(?:[^"]|"")*"|[^",]*)'  # with its comma, for an empty match would pass over what follows it
_UNQUOTED = f"""list_transform(
    regexp_extract_all(',' || line, '{_QUOTED_FIELD}', 1),
    lambda field: case when field[1] = '"' then replace(field[2:-2], '""', '"') else field end
)"""
_VALUES = """ticker, side, price_text, quantity_text, timestamp_text,
    try_cast(price_text as decimal(18, 6)) as price,
    try_cast(quantity_text as decimal(15, 6)) as quantity,
    epoch_us(try_cast(timestamp_text as timestamptz)) as microseconds"""
# A trade's moment orders trades by timestamp and then by line.
_BOUGHT = "coalesce(sum(quantity) filter (where side = 'BUY'), 0)"
_SUMS = f"""count(*), sum(quantity), sum(price::decimal(20, 6) * quantity), sum(price), max(price), min(price),
    {_BOUGHT}, sum(quantity) - {_BOUGHT},
    min(moment), arg_min(price, moment), max(moment), arg_max(price, moment)"""
_MOMENT = "microseconds::hugeint * 4294967296 + number"


def _source(columns: Mapping[str, str], separator: str, options: str = "") -> str:
    declared = ", ".join(f"'{column}': '{kind}'" for column, kind in columns.items())
    return f"""read_csv(
        $pipe, auto_detect = false, header = false, delim = '{separator}', quote = '', escape = '', new_line = '\\n',
        nullstr = '{ABSENT}', columns = {{{declared}}} {options}
    )"""


def _clean_statement(header: Header) -> str:
    """Return the statement that summarizes the lines of a pipe if all are trades; its last column counts the others."""
    checks = [check for reason, check in _CHECKS.items() if reason != "bad ticker"]  # asked of each group, not each row
    columns = _columns(header.count)
    return f"""
        with split as (
            select {_fields(header)}, $before + row_number() over () as number
            from {_source(dict.fromkeys(columns, "VARCHAR"), ",")}
        ), read as (
            select number, {_VALUES} from split
        ), keyed as (
            select *, {_MOMENT} as moment from read
        )
        select ticker, {_SUMS}, count_if((({") and (".join(checks)})) is not true)
        from keyed group by ticker
    """  # noqa: S608 - patterns and positions of our own


def _sifting_statement(header: Header) -> str:
    """Return the statement that summarizes those lines of a pipe that are trades beyond doubt, and lists the others.

    Those are in one row, under no ticker. A field too many goes to a column of its own; two are more than it can read.
    """
    columns = _columns(header.count + 1)
    last, beyond = columns[-2:]
    checks = [f"{last} is not null", f"{beyond} is null", *_CHECKS.values()]
    for position, column in enumerate(columns[:-1], start=1):
        if position not in header.positions.values():  # nothing else is asked of it
            checks += [f"not contains({column}, '\"')", f"not contains({column}, '{REPLACEMENT}')"]
    return f"""
        with split as (
            select *, {_fields(header)}, $before + row_number() over () as number
            from {_source(dict.fromkeys(columns, "VARCHAR"), ",", ", null_padding = true")}
        ), read as (
            select {", ".join(columns)}, number, {_VALUES} from split
        ), keyed as (
            select *, case when ({") and (".join(checks)}) then ticker end as sure_ticker, {_MOMENT} as moment from read
        )
        select sure_ticker, {_SUMS},
            (list(number) filter (where sure_ticker is null))[:{PIECE_LINES + 1}],
            (list(case when sure_ticker is null then concat_ws(',', {", ".join(columns)}) end)
                filter (where sure_ticker is null))[:{PIECE_LINES + 1}]
        from keyed group by sure_ticker
    """  # noqa: S608 - patterns and positions of our own


def _line_statement(header: Header) -> str:
    """Return the statement that summarizes the numbered lines of a pipe, and lists those that are no trades.

    Each line comes as one text, so that nothing in it can reach another line. It is split, checked field by field, and
    either counted under its ticker or listed under none.
    """
    reasons = {
        "not UTF-8 text, or too long": f"not contains(line, '{REPLACEMENT}')",
        "stray quote": f"not contains(line, '\"') or regexp_matches(line, '{_QUOTED_LINE}')",
        "missing field": f"len(field) >= {header.count}",
        "too many fields": f"len(field) <= {header.count}",
        **_CHECKS,
    }
    fields = ", ".join(f"field[{position}] as {_TEXTS[name]}" for name, position in header.positions.items())
    return f"""
        with split as (
            select line, number,
                case when contains(line, '"') then {_UNQUOTED} else string_split(line, ',') end as field
            from {_source({"number": "BIGINT", "line": "VARCHAR"}, SEPARATOR.decode())} where line <> ''
        ), named as (
            select line, number, field, {fields} from split
        ), read as (
            select line, number, field, {_VALUES} from named
        ), checked as (
            select *,
                case {" ".join(f"when ({check}) is not true then '{reason}'" for reason, check in reasons.items())} end
                    as reason
            from read
        ), keyed as (
            select *, case when reason is null then ticker end as good_ticker, {_MOMENT} as moment from checked
        )
        select good_ticker, {_SUMS},
            list(number) filter (where reason is not null),
            list(reason) filter (where reason is not null),
            list(line) filter (where reason is not null)
        from keyed group by good_ticker
    """  # noqa: S608 - patterns and positions of our own


def _columns(count: int) -> list[str]:
    return [f"column_{position}" for position in range(1, count + 1)]


def _fields(header: Header) -> str:
    return ", ".join(f"column_{position} as {_TEXTS[name]}" for name, position in header.positions.items())


_TEXTS = {
    "ticker": "ticker",
    "price": "price_text",
    "quantity": "quantity_text",
    "side": "side",
    "timestamp": "timestamp_text",
}
