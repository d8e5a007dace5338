"""History files: exact parsing of bars from the CSV of libraries, exchanges and web sites, and writing CSV.

Supported are the files of Stooq, yfinance, Yahoo, TradingView, Alpha Vantage, Nasdaq.com, Investing.com and Binance
(klines), and any other file with the column names of one of these.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from itertools import chain, pairwise

from trading.core import tables
from trading.core.tables import Row, Table, UnknownTableError
from trading.core.values import PRECISION, format_decimal, parse_date, parse_instant
from trading.simulation.bars import At, Bar, History, ReadingNotes

PRICES = ("open", "high", "low", "close")

# Column names; the first one that exists is used.
_DATE_NAMES = ("date", "datetime", "timestamp", "time", "open_time", "open time")
_PRICE_NAMES = {
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close", "close/last", "price"),
    "adjusted close": ("adj close", "adj_close", "adjclose", "adjusted close", "adjusted_close"),
}
_KLINE_PRICES = {"open": 1, "high": 2, "low": 3, "close": 4}
_KLINE_CELLS = 12
_KLINE_CLOSE_TIME = 6
_ABSENT = {"", "-", "null", "nan", "none", "n/a"}

_SMALLEST, _LARGEST = Decimal("0.000001"), Decimal(999_999_999_999)
_SIX_DECIMALS = Decimal("0.000001")
_TOLERANCE = Decimal(
    "0.000001"
)  # the relative difference up to which a price beyond its bar's high or low is a rounding error

_MIDNIGHT = re.compile(r"[0-9-]{10}[Tt ]00:00(:00(\.0+)?)?([Zz]|[+-][0-9]{2}:?[0-9]{2})?")
_KLINE_TIME = re.compile(r"[0-9]{13}|[0-9]{16}")
_EPOCH_TIME = re.compile(r"-?[0-9]{1,17}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_NOW = 10**9  # seconds; smaller numbers, such as 20240102, are not Unix time
_MILLISECONDS, _MICROSECONDS = 10**11, 10**14  # smaller numbers are seconds, up to the year 5138
_NUMERIC_DAY = re.compile(r"([0-9]{1,2})([/.-])([0-9]{1,2})\2([0-9]{4})")
_DAYS_AND_WEEKS, _MONTHS = range(1, 11), range(28, 32)  # days from a bar to the next


class HistoryError(Exception):
    """A history file cannot be used; the message has the line, counted from 1, and the reason."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Layout:
    """The positions of the columns, and the kind of header."""

    prices: Mapping[str, int]
    dates: Sequence[int]  # one column, or a day and a time of day
    is_headless: bool = False  # Binance: the first row is a bar
    is_stacked: bool = False  # yfinance: two more header rows follow


def read_csv(data: bytes, *, adjusted: bool = False, limit: int | None = None) -> History:
    """Return the history in a CSV file whose rows are sorted by date, oldest or newest first.

    Only a date and a close are required; columns other than prices are ignored. An open of 0 means unknown. Prices are
    rounded half-even to six decimals. With `adjusted`, the adjusted closes are used and the other prices are scaled in
    proportion. Whether 01/02/2024 is in January or February is decided from all dates together.

    Raises:
        HistoryError: the file is not such a CSV or has more bars than `limit`; a price is missing, not above zero, or
            outside its bar's low and high; or the dates are out of order or ambiguous.
    """
    table = _recognized(data)
    columns = dict(table.layout.prices)
    if not adjusted:
        columns.pop("adjusted close", None)
    elif "adjusted close" not in columns:
        raise HistoryError(table.header.line, "has no column with adjusted closes, such as Adj Close")
    rows: list[Row] = []
    counts = Counter[str]()
    for row in _complete_rows(table):
        if all(row.cells[position].lower() in _ABSENT for position in columns.values()):
            counts["skipped_rows"] += 1
        elif len(rows) == limit:
            raise HistoryError(row.line, f"a history must not exceed {limit:,} bars")
        else:
            rows.append(row)
    if not rows:
        raise HistoryError(table.header.line + 1, "there are no bars after the header")
    is_american = table.header.cells[columns["close"]].lower() == "close/last"
    dates = [(row.line, " ".join(row.cells[position] for position in table.layout.dates)) for row in rows]
    times = _times(dates, is_american=is_american)
    mark = _decimal_mark(rows, table.layout)
    bars = [_bar(at, row, columns, mark, counts) for at, row in _oldest_first(times, rows)]
    return History(bars, ReadingNotes(adjusted=adjusted, **counts))


def write_csv(history: History) -> str:
    """Return a history as CSV with date,open,high,low,close, from which `read_csv` returns the same bars."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("date", *PRICES))
    for bar in history.bars:
        prices = (bar.open, bar.high, bar.low, bar.close)
        at = bar.at.isoformat().replace("+00:00", "Z")
        writer.writerow((at, *("" if price is None else format_decimal(price) for price in prices)))
    return text.getvalue()


def _recognized(data: bytes) -> Table[_Layout]:
    try:
        table = tables.read(data, _layout)
    except UnknownTableError as error:
        reason = f"{error}: name the columns date and close, or date,open,high,low,close"
        raise HistoryError(1, reason) from None
    names = [name.lower() for name in table.header.cells]
    for position in (*table.layout.dates, *table.layout.prices.values()):
        if not table.layout.is_headless and names.count(names[position]) > 1:
            reason = ", for several tickers: save each alone" if table.layout.is_stacked else ""
            raise HistoryError(table.header.line, f"has the column {table.header.cells[position]} twice{reason}")
    return table


def _layout(cells: Sequence[str]) -> _Layout | None:
    names = [cell.lower() for cell in cells]
    dates = [names.index(name) for name in _DATE_NAMES if name in names][:1]
    if {"date", "time"} <= set(names):
        dates = [names.index("date"), names.index("time")]
    found = {column: [name for name in known if name in names] for column, known in _PRICE_NAMES.items()}
    prices = {column: names.index(known[0]) for column, known in found.items() if known}
    if dates and "close" in prices:
        return _Layout(prices, dates)
    if names[:1] == ["price"] and "close" in names:
        return _Layout(prices, [0], is_stacked=True)
    if len(cells) == _KLINE_CELLS and all(_KLINE_TIME.fullmatch(cells[each]) for each in (0, _KLINE_CLOSE_TIME)):
        return _Layout(_KLINE_PRICES, [0], is_headless=True)
    return None


def _complete_rows(table: Table[_Layout]) -> Iterator[Row]:
    """Yield the rows of bars, after checking that each has a cell for every column."""
    width = len(table.header.cells)
    for row in chain([table.header] if table.layout.is_headless else [], table.rows):
        if row.fault:
            raise HistoryError(row.line, row.fault)
        if len(row.cells) < width or any(row.cells[width:]):
            raise HistoryError(row.line, f"has {len(row.cells)} values, but the header has {width}")
        if not (table.layout.is_stacked and row.cells[0].lower() in {"ticker", "date", "datetime"}):
            yield row


def _oldest_first(times: Sequence[At], rows: Sequence[Row]) -> list[tuple[At, Row]]:
    dated = list(zip(times, rows, strict=True))
    if times[0] > times[-1]:
        dated.reverse()
    for (earlier, before), (later, after) in pairwise(dated):
        if later <= earlier:
            reason = "occurs twice" if later == earlier else f"comes after {earlier}: sort the rows by date"
            raise HistoryError(max(before.line, after.line), f"{later} {reason}")
    return dated


def _times(cells: Sequence[tuple[int, str]], *, is_american: bool) -> list[At]:
    """Parse the cells of the date column, given with their lines, as days or as instants in UTC.

    If all instants are midnight in their own zone, they are days.
    """
    first = cells[0][1]
    if all(_MIDNIGHT.fullmatch(text) for _, text in cells):
        return _each(cells, lambda text: parse_date(text[:10]))
    if _NUMERIC_DAY.fullmatch(first):
        return list(_numeric_days(cells, is_american=is_american))
    if _EPOCH_TIME.fullmatch(first):
        return _epoch_times(cells)
    if first[:1].isalpha():
        return _each(cells, _named_month_day)
    return _each(cells, parse_date if len(first) <= len("2025-06-03") else parse_instant)


def _each[T](cells: Sequence[tuple[int, str]], read: Callable[[str], T]) -> list[T]:
    """Parse each cell with `read`.

    Raises:
        HistoryError: a cell cannot be parsed.
    """
    values = []
    for line, text in cells:
        try:
            values.append(read(text))
        except (ValueError, OverflowError):
            known = "a day, such as 2025-06-03, or an instant, such as 2025-06-03T14:30:00Z"
            raise HistoryError(line, f"date must be {known}, not {text[:40]!r}") from None
    return values


def _epoch_times(cells: Sequence[tuple[int, str]]) -> list[At]:
    numbers = _each(cells, int)
    if max(numbers) < _EARLIEST_NOW:
        raise HistoryError(cells[0][0], f"date must not be {numbers[0]}: write days as 2025-06-03")
    instants = _each(cells, _epoch_time)
    if all(instant.time() == time.min for instant in instants):
        return [instant.date() for instant in instants]
    return list(instants)


def _epoch_time(text: str) -> datetime:
    number = int(text)
    if abs(number) >= _MICROSECONDS:
        return _EPOCH + timedelta(microseconds=number)
    return _EPOCH + (timedelta(milliseconds=number) if abs(number) >= _MILLISECONDS else timedelta(seconds=number))


def _named_month_day(text: str) -> date:
    return datetime.strptime(text, "%b %d, %Y").replace(tzinfo=UTC).date()


def _numeric_days(cells: Sequence[tuple[int, str]], *, is_american: bool) -> list[date]:
    """Parse numeric days; whether the month or the day comes first is decided from all rows together."""
    if is_american:
        return _each(cells, _month_first)
    if "." in cells[0][1]:
        return _each(cells, _day_first)
    readings = []
    for read in (_month_first, _day_first):
        with suppress(HistoryError):
            days = _each(cells, read)
            if days not in readings and _are_in_order(days):
                readings.append(days)
    if not readings:
        _each(cells, _either_first)  # raises for the first that is not a day in either order
    likely = [days for days in readings if _are_even(days)] if len(readings) > 1 else readings
    if len(likely) != 1:
        reason = "be month/day/year or day/month/year" if readings else "not be both, or are out of order"
        raise HistoryError(cells[0][0], f"dates such as {cells[0][1]} may {reason}: write them as 2025-06-03")
    return likely[0]


def _month_first(text: str) -> date:
    month, day, year = _numbers(text)
    return date(year, month, day)


def _day_first(text: str) -> date:
    day, month, year = _numbers(text)
    return date(year, month, day)


def _either_first(text: str) -> date:
    with suppress(ValueError):
        return _month_first(text)
    return _day_first(text)


def _numbers(text: str) -> tuple[int, int, int]:
    match = _NUMERIC_DAY.fullmatch(text)
    if match is None:
        raise ValueError
    return int(match[1]), int(match[3]), int(match[4])


def _are_in_order(days: Sequence[date]) -> bool:
    return all(a < b for a, b in pairwise(days)) or all(a > b for a, b in pairwise(days))


def _are_even(days: Sequence[date]) -> bool:
    """Whether these can be the days of daily, weekly or monthly bars."""
    gaps = {abs((later - earlier).days) for earlier, later in pairwise(days)}
    return gaps <= set(_DAYS_AND_WEEKS) or gaps <= set(_MONTHS)


def _decimal_mark(rows: Sequence[Row], layout: _Layout) -> str:
    """Return the decimal mark of the prices, derived from other numbers if the prices do not show it."""
    prices = list(layout.prices.values())
    others = [position for position in range(len(rows[0].cells)) if position not in {*prices, *layout.dates}]
    mark = tables.find_decimal_mark(
        row.cells[each] for positions in (prices, others) for row in rows for each in positions
    )
    if mark:
        return mark
    for row in rows:
        for position in prices:
            if "," in row.cells[position]:
                reason = "is ambiguous: its comma may separate thousands or decimals; write decimals with a point"
                raise HistoryError(row.line, f"{row.cells[position][:40]!r} {reason}")
    return "."


def _bar(at: At, row: Row, columns: Mapping[str, int], mark: str, counts: Counter[str]) -> Bar:
    prices = {
        name: price for name, position in columns.items() if (price := _price(row, name, position, mark)) is not None
    }
    for name in ("close", "adjusted close"):
        if name in columns and name not in prices:
            raise HistoryError(row.line, f"{name} is missing")
    if _widen(prices, row.line):
        counts["widened_bars"] += 1
    if "adjusted close" in prices:
        prices = _adjusted(prices)
    for name, price in prices.items():
        if not _SMALLEST <= price <= _LARGEST:
            raise HistoryError(row.line, f"{name} cannot be adjusted: it would be {price}")
        rounded = price.quantize(_SIX_DECIMALS, ROUND_HALF_EVEN)
        if rounded != price:
            prices[name] = rounded
            counts["rounded_prices"] += 1
    return Bar(at, prices.get("open"), prices.get("high"), prices.get("low"), prices["close"])


def _price(row: Row, name: str, position: int, mark: str) -> Decimal | None:
    """Return a price, or None if it is missing; some sources write an unknown open as 0."""
    text = row.cells[position]
    try:
        price = tables.number(text, mark)
    except ValueError:
        price = None
    if price is not None and _SMALLEST <= price <= _LARGEST:
        return price
    if text.lower() in _ABSENT or (name == "open" and price == 0):
        return None
    expected = f"a price from {_SMALLEST} to {_LARGEST}, such as 310.50"
    raise HistoryError(row.line, f"{name} must be {expected}, not {text[:40]!r}")


def _widen(prices: dict[str, Decimal], line: int) -> bool:
    """Widen high and low to include prices beyond them by a rounding error; return whether one was moved.

    Raises:
        HistoryError: a price is further beyond them.
    """
    is_moved = False
    for name in ("open", "close"):
        for bound, word, sign in (("high", "above", 1), ("low", "below", -1)):
            if name in prices and bound in prices and (excess := sign * (prices[name] - prices[bound])) > 0:
                if excess > prices[bound] * _TOLERANCE:
                    found = f"{name} {format_decimal(prices[name])} is {word} {bound} {format_decimal(prices[bound])}"
                    raise HistoryError(line, f"{found}: have columns been swapped?")
                prices[bound] = prices[name]
                is_moved = True
    return is_moved


def _adjusted(prices: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return prices adjusted for dividends and splits: the adjusted close, and the others scaled in proportion."""
    close, adjusted = prices["close"], prices["adjusted close"]
    with localcontext(prec=PRECISION):
        scaled = {
            name: (price * adjusted / close).quantize(_SIX_DECIMALS, ROUND_HALF_EVEN)
            for name, price in prices.items()
            if name != "adjusted close"
        }
    return {**scaled, "close": adjusted}
