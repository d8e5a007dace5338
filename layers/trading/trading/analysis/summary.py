"""Trade summaries: a day's totals for each ticker, computed exactly by DuckDB in bounded memory."""

import os
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal, localcontext
from itertools import cycle
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import duckdb

from trading.analysis import csv_files
from trading.analysis.csv_files import CURRENCY, LINE_BYTES, Block, Reject
from trading.core.values import PRECISION, divided

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PARALLEL = 2
MEMORY_LIMIT = "160MB"
BUFFER_BYTES = 4 * 1024 * 1024  # the read buffer of a statement
TICKER_LIMIT = 50_000


@dataclass(frozen=True, slots=True)
class TickerSummary:
    """The summary of one ticker's trades, or of those in one currency if the file has currencies.

    `opened` and `closed` are the sort keys of the first and last trade: microseconds since 1970, then the line.
    """

    ticker: str
    currency: str | None
    trade_count: int
    total_volume: Decimal
    price_sum: Decimal
    high: Decimal
    low: Decimal
    buy_volume: Decimal
    sell_volume: Decimal
    notional: Decimal
    opened: tuple[int, int]
    open: Decimal
    closed: tuple[int, int]
    close: Decimal

    @property
    def average_price(self) -> Decimal:
        """The volume-weighted average price (VWAP): notional / volume, six decimals, half-even; 0 without volume."""
        return divided(self.notional, self.total_volume)

    @property
    def mean_price(self) -> Decimal:
        """The arithmetic mean of the prices: sum / count, six decimals, half-even."""
        return divided(self.price_sum, self.trade_count)

    def joined(self, other: "TickerSummary") -> "TickerSummary":
        """Return this summary merged with that of another part of the same file."""
        first, last = min(self, other, key=lambda part: part.opened), max(self, other, key=lambda part: part.closed)
        with localcontext(prec=PRECISION):
            return TickerSummary(
                ticker=self.ticker,
                currency=self.currency,
                trade_count=self.trade_count + other.trade_count,
                total_volume=self.total_volume + other.total_volume,
                price_sum=self.price_sum + other.price_sum,
                high=max(self.high, other.high),
                low=min(self.low, other.low),
                buy_volume=self.buy_volume + other.buy_volume,
                sell_volume=self.sell_volume + other.sell_volume,
                notional=self.notional + other.notional,
                opened=first.opened,
                open=first.open,
                closed=last.closed,
                close=last.close,
            )


@dataclass(frozen=True, slots=True)
class Summary:
    """The summary of a trade file: its tickers in order, and the number of rows read and rejected."""

    tickers: list[TickerSummary]
    rows_read: int
    rows_rejected: int
    has_currency: bool = False


class TooManyTickersError(ValueError):
    """The file has more tickers than fit into memory."""

    def __init__(self) -> None:
        super().__init__(f"it has more than {TICKER_LIMIT:,} tickers")


class UnreconciledError(Exception):
    """The rows summarized and rejected do not add up to the rows read: a bug in this program, so there is no result."""


def summarize(chunks: Iterable[bytes], on_rejects: Callable[[Sequence[Reject]], None]) -> Summary:
    """Return the summary of a trade file; `on_rejects` is called with rejected lines in order.

    Raises:
        csv_files.BadHeaderError, csv_files.CutShortError: the file cannot be read.
        TooManyTickersError: the file has too many tickers for the available memory.
        UnreconciledError: rows were lost or duplicated.
    """
    columns, blocks = csv_files.read(chunks)
    if not columns:
        return Summary([], 0, 0)
    rows_read = rows_rejected = 0
    with _statements(columns) as statements:
        for statement, block in zip(cycle(statements), blocks, strict=False):
            statement.take(block)
            if block.rejects:
                on_rejects(block.rejects)
            rows_read += block.row_count
            rows_rejected += len(block.rejects)
        for statement in statements:
            statement.close()
        tickers = _joined(statement.summaries() for statement in statements)
    summarized = sum(each.trade_count for each in tickers)
    if rows_read != summarized + rows_rejected:
        raise UnreconciledError(f"{rows_read} rows read, {summarized} summarized and {rows_rejected} rejected")
    return Summary(tickers, rows_read, rows_rejected, CURRENCY in columns)


def _joined(parts: Iterable[Iterable[TickerSummary]]) -> list[TickerSummary]:
    tickers: dict[tuple[str, str | None], TickerSummary] = {}
    for part in parts:
        for ticker in part:
            key = ticker.ticker, ticker.currency
            tickers[key] = tickers[key].joined(ticker) if key in tickers else ticker
    if len(tickers) > TICKER_LIMIT:
        raise TooManyTickersError
    return [tickers[key] for key in sorted(tickers)]


@contextmanager
def _statements(columns: Sequence[str]) -> Iterator[list["_Statement"]]:
    """Run the maximum number of parallel statements, each reading from its own pipe."""
    with (
        tempfile.TemporaryDirectory() as folder,
        # One DuckDB thread per statement: the statements run in parallel.
        duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": "", "threads": 1}) as connection,
        ThreadPoolExecutor(PARALLEL) as threads,
        ExitStack() as open_statements,
    ):
        sql = _sql(columns)
        pipes = [Path(folder) / str(number) for number in range(PARALLEL)]
        yield [open_statements.enter_context(closing(_Statement(connection, threads, sql, pipe))) for pipe in pipes]


class _Statement:
    """A statement that summarizes the lines written to its pipe, in its own thread."""

    def __init__(self, connection: "DuckDBPyConnection", threads: ThreadPoolExecutor, sql: str, pipe: Path) -> None:
        os.mkfifo(pipe)
        is_open = Event()
        try:
            self._rows = threads.submit(_rows, connection, sql, pipe, is_open)
            self._pipe = pipe.open("wb")
        except BaseException:  # Ctrl-C: the statement may not have opened its end yet, or may wait there for data
            writer = os.open(pipe, os.O_RDWR)
            pipe.unlink()
            os.close(writer)
            raise
        finally:
            is_open.set()
        self._first_rows = [1]
        self._first_lines: list[int] = []

    def take(self, block: Block) -> None:
        """Add the lines of a block."""
        self._first_lines.append(block.first_line)
        self._first_rows.append(self._first_rows[-1] + block.line_count)
        try:
            self._pipe.write(block.lines)
        except BrokenPipeError:
            self._rows.result()  # raises the statement's error
            raise

    def close(self) -> None:
        """Let the statement end after it has read all that was written."""
        with suppress(BrokenPipeError):
            self._pipe.close()

    def summaries(self) -> Iterator[TickerSummary]:
        """Yield the summary of each ticker, after the pipe is closed."""
        for *figures, thousands, rest, opened, open_, closed, close in self._rows.result():
            with localcontext(prec=PRECISION):
                notional = 1000 * thousands + rest
            figures += [notional, self._moment(opened), open_, self._moment(closed), close]
            yield TickerSummary(*figures)

    def _moment(self, moment: int) -> tuple[int, int]:
        microseconds, row = divmod(moment, 1 << 32)
        block = bisect_right(self._first_rows, row) - 1
        return microseconds, self._first_lines[block] + row - self._first_rows[block]


def _rows(connection: "DuckDBPyConnection", sql: str, pipe: Path, is_open: Event) -> list[tuple[Any, ...]]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("set TimeZone = 'UTC'")  # each DuckDB cursor is its own session
            cursor.execute(sql, {"pipe": str(pipe)})
            return cursor.fetchmany(TICKER_LIMIT + 1)
    except duckdb.OutOfMemoryException as error:
        raise TooManyTickersError from error
    finally:
        # If the statement failed before it opened the pipe, the writer still waits for a reader.
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        is_open.wait()
        os.close(reader)


_TYPES = {"price": "DECIMAL(18, 6)", "quantity": "DECIMAL(19, 10)", "timestamp": "TIMESTAMPTZ"}


def _sql(columns: Sequence[str]) -> str:
    """Return the statement that summarizes the lines of a pipe, each of which is a trade or a row of nulls.

    DuckDB sums up to 38 digits, and the largest price times the largest quantity has 37. So a price is split into its
    thousands and the rest: their products have 28 digits, which allows ten billion rows.
    """
    types = ", ".join(
        f"'{name or f'column_{position}'}': '{_TYPES.get(name, 'VARCHAR')}'" for position, name in enumerate(columns)
    )
    currency, keys = (CURRENCY, f"ticker, {CURRENCY}") if CURRENCY in columns else ("null", "ticker")
    bought = "coalesce(sum(quantity) filter (where side = 'BUY'), 0)"
    return f"""
        select
            ticker, {currency}, count(*), sum(quantity), sum(price), max(price), min(price),
            {bought}, sum(quantity) - {bought},
            sum(thousands * quantity), sum((price - thousands * 1000) * quantity),
            min(moment), arg_min(price, moment), max(moment), arg_max(price, moment)
        from (
            select
                *, price::bigint // 1000 as thousands,
                epoch_us(timestamp)::hugeint * 4294967296 + row_number() over () as moment
            from read_csv(
                $pipe, auto_detect = false, header = false, delim = ',', quote = '"', escape = '"', new_line = '\\n',
                max_line_size = {2 * LINE_BYTES}, buffer_size = {BUFFER_BYTES}, columns = {{{types}}}
            )
        )
        group by {keys}
        having ticker is not null
    """  # noqa: S608 - constant names and types
