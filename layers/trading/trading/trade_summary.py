"""Trade summaries: what a day's trades come to for each ticker, computed by DuckDB, exactly and in bounded memory."""

import os
import re
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, fields
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from trading import trade_files
from trading.trade_files import BLANK, REPLACEMENT, SEPARATOR, Header, Segment
from trading.values import TICKER_PATTERN

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Each segment that is worked on costs DuckDB a buffer of 32 MB: two keep two processors busy, and memory bounded.
PARALLEL = 2
MEMORY_LIMIT = "160MB"
PIECE_LINES = 50_000  # so many rejects are held at a time; and so many of the largest trades fit DuckDB's 38 digits
SIX_DECIMALS = Decimal("0.000001")
# More digits than the sums of any file have.
PRECISION = 80


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
        return _divided(self.notional, self.total_volume)

    @property
    def mean_price(self) -> Decimal:
        """The plain mean of the prices: sum / count, six decimals, half-even."""
        return _divided(self.price_sum, Decimal(self.trade_count))

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


class UnreconciledError(Exception):
    """Rows read are not rows summarised and rows rejected together: a fault of this program, and no result."""


def summarise(chunks: Iterable[bytes], on_rejects: Callable[[Sequence[Reject]], None]) -> Summary:
    """Return the summary of a trade file, handing over what it rejects as it goes, in the order of the lines.

    Two segments of the file are worked on at a time, and no more than three are in memory.

    Raises:
        trade_files.BadHeaderError, trade_files.CutShortError: the file cannot be read.
        UnreconciledError: rows were lost or doubled.
    """
    header, segments = trade_files.read(chunks)
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
            on_rejects(part.rejects)
            rows_read += part.rows_read
            rows_rejected += len(part.rejects)
    summarised = sum(each.trade_count for each in tickers.values())
    if rows_read != summarised + rows_rejected:
        raise UnreconciledError(f"{rows_read} rows read, {summarised} summarised and {rows_rejected} rejected")
    return Summary([tickers[name] for name in sorted(tickers)], rows_read, rows_rejected)


@dataclass(frozen=True, slots=True)
class _Part:
    tickers: list[TickerSummary]
    rejects: list[Reject]
    rows_read: int


def _parts(threads: ThreadPoolExecutor, reader: "_Reader", segments: Iterator[Segment]) -> Iterator[_Part]:
    for segment, part in _in_order(threads, reader.summarise_clean, segments):
        if part:
            yield part
        else:
            for _, piece in _in_order(threads, reader.summarise_lines, segment.pieces(PIECE_LINES)):
                yield piece


def _in_order[Result](
    threads: ThreadPoolExecutor, work: Callable[[Segment], Result], segments: Iterator[Segment]
) -> Iterator[tuple[Segment, Result]]:
    """Yield each segment with what `work` makes of it, in their order, no more of them begun than work in parallel."""
    begun: deque[tuple[Segment, Future[Result]]] = deque()
    for segment in segments:
        begun.append((segment, threads.submit(work, segment)))
        if len(begun) > PARALLEL:
            first, result = begun.popleft()
            yield first, result.result()
    for each, result in begun:
        yield each, result.result()


class _Reader:
    """Reads segments: quickly as long as all is well, and line by line from the first segment on that is not."""

    def __init__(self, connection: "DuckDBPyConnection", header: Header) -> None:
        self._connection = connection
        self._header = header
        self._is_clean = True

    def summarise_clean(self, segment: Segment) -> _Part | None:
        """Return what a segment comes to if each of its lines is a trade, and nothing if any is not."""
        if not self._is_clean or segment.has_quotes or segment.has_replacements:
            return None
        part = self._summarised_clean(segment)
        self._is_clean = self._is_clean and part is not None
        return part

    def _summarised_clean(self, segment: Segment) -> _Part | None:
        try:
            rows = self._query(_clean_statement(self._header), segment)
        except (duckdb.InvalidInputException, duckdb.OutOfRangeException):  # too few or too many fields, or digits
            return None
        if (
            any(row[LAST] or not _TICKER.match(row[TICKER]) for row in rows)
            or sum(row[COUNT] for row in rows) != segment.line_count
        ):
            return None
        return _Part([TickerSummary(*row[:LAST]) for row in rows], [], segment.line_count)

    def summarise_lines(self, segment: Segment) -> _Part:
        """Return what a segment comes to, with those of its lines that are no trades."""
        blank_lines = 0
        statement = _line_statement(self._header, segment)
        rows = self._query(statement, segment)
        if sum(row[COUNT] for row in rows) < segment.line_count:  # the reader passed over empty lines: number them too
            segment = segment.with_blank_lines_marked()
            blank_lines = segment.lines.count(BLANK)
            rows = self._query(statement, segment)
        rejects = [Reject(**each) for row in rows for each in row[LAST] or ()]
        return _Part(
            tickers=[TickerSummary(*row[:LAST]) for row in rows if row[TICKER] is not None],
            rejects=sorted(rejects, key=lambda reject: reject.line),
            rows_read=segment.line_count - blank_lines,
        )

    def _query(self, statement: str, segment: Segment) -> list[tuple[Any, ...]]:
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as feeder:
            pipe = Path(folder) / "lines"
            os.mkfifo(pipe)
            fed = feeder.submit(_feed, pipe, segment.lines)
            try:
                with self._connection.cursor() as cursor:
                    cursor.execute("set TimeZone = 'UTC'")  # a cursor is a session of its own
                    cursor.execute(statement, {"pipe": str(pipe), "before": segment.first_line - 1})
                    return cursor.fetchall()
            finally:
                # A statement that failed before it opened the pipe leaves the feeder waiting for somebody who does.
                while not fed.done():
                    os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))
                fed.result()


def _feed(pipe: Path, lines: bytes) -> None:
    with suppress(BrokenPipeError):  # who reads says what is wrong
        pipe.write_bytes(lines)


_TICKER = re.compile(TICKER_PATTERN)
_TIMESTAMP = (
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?$"
)
# What must hold of each field, in the order in which it is asked, and the reason for a reject where it does not.
_CHECKS = {
    "bad ticker": f"regexp_matches(ticker, '{TICKER_PATTERN}')",
    "bad price": r"price is not null and regexp_matches(price_text, '^[0-9]{1,12}(\.[0-9]{1,6})?$')",
    "bad quantity": r"quantity is not null and regexp_matches(quantity_text, '^[0-9]{1,9}(\.[0-9]{1,6})?$')",
    "bad side": "side in ('BUY', 'SELL')",
    "bad timestamp": f"microseconds is not null and regexp_matches(timestamp_text, '{_TIMESTAMP}')",
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
_SUMS = """count(*), sum(quantity), sum(price::decimal(20, 6) * quantity), sum(price), max(price), min(price),
    coalesce(sum(quantity) filter (where side = 'BUY'), 0), coalesce(sum(quantity) filter (where side = 'SELL'), 0),
    min(moment), arg_min(price, moment), max(moment), arg_max(price, moment)"""
_MOMENT = "microseconds::hugeint * 4294967296 + number"


def _source(columns: Sequence[str], separator: str) -> str:
    declared = ", ".join(f"'{column}': 'VARCHAR'" for column in columns)
    return f"""read_csv(
        $pipe, auto_detect = false, header = false, delim = '{separator}', quote = '', escape = '', new_line = '\\n',
        nullstr = '{BLANK.decode()}', columns = {{{declared}}}
    )"""


def _clean_statement(header: Header) -> str:
    """Return the statement that summarises the lines of a pipe if all are trades; its last column counts the others."""
    checks = [check for reason, check in _CHECKS.items() if reason != "bad ticker"]  # asked of each group, not each row
    columns = [f"column_{position}" for position in range(1, header.count + 1)]
    fields = ", ".join(f"column_{position} as {_TEXTS[name]}" for name, position in header.positions.items())
    return f"""
        with split as (
            select {fields}, $before + row_number() over () as number from {_source(columns, ",")}
        ), read as (
            select number, {_VALUES} from split
        ), keyed as (
            select *, {_MOMENT} as moment from read
        )
        select ticker, {_SUMS}, count_if((({") and (".join(checks)})) is not true)
        from keyed group by ticker
    """  # noqa: S608 - patterns and positions of our own


def _line_statement(header: Header, segment: Segment) -> str:
    """Return the statement that summarises the lines of a pipe; its last column lists those that are no trades.

    Each line comes as one text, so that nothing in it can reach another line. It is split, checked field by field, and
    either counted under its ticker or listed under none.
    """
    split = "string_split(line, ',')"
    reasons = [("missing field", f"len(field) >= {header.count}"), ("too many fields", f"len(field) <= {header.count}")]
    if segment.has_quotes:
        split = f"case when contains(line, '\"') then {_UNQUOTED} else {split} end"
        reasons.insert(0, ("stray quote", f"not contains(line, '\"') or regexp_matches(line, '{_QUOTED_LINE}')"))
    if segment.has_replacements:
        reasons.insert(0, ("not UTF-8 text, or too long", f"not contains(line, '{REPLACEMENT}')"))
    reasons += _CHECKS.items()
    fields = ", ".join(f"field[{position}] as {_TEXTS[name]}" for name, position in header.positions.items())
    return f"""
        with numbered as (
            select line, $before + row_number() over () as number from {_source(["line"], SEPARATOR.decode())}
        ), split as (
            select line, number, {split} as field from numbered where line is not null
        ), named as (
            select line, number, field, {fields} from split
        ), read as (
            select line, number, field, {_VALUES} from named
        ), checked as (
            select *, case {" ".join(f"when ({check}) is not true then '{reason}'" for reason, check in reasons)} end
                as reason
            from read
        ), keyed as (
            select *, case when reason is null then ticker end as good_ticker, {_MOMENT} as moment from checked
        )
        select good_ticker, {_SUMS},
            list({{'line': number, 'reason': reason, 'row': line}}) filter (where reason is not null)
        from keyed group by good_ticker
    """  # noqa: S608 - patterns and positions of our own


_TEXTS = {
    "ticker": "ticker",
    "price": "price_text",
    "quantity": "quantity_text",
    "side": "side",
    "timestamp": "timestamp_text",
}


def _divided(dividend: Decimal, divisor: Decimal) -> Decimal:
    with localcontext(prec=PRECISION):
        return (dividend / divisor if divisor else Decimal(0)).quantize(SIX_DECIMALS, ROUND_HALF_EVEN)
