"""Histories: what a stock cost over time, bar by bar, read exactly from CSV and kept in S3."""

import csv
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation, localcontext
from functools import cached_property
from typing import Any

import numpy as np

from trading.core import storage
from trading.core.values import format_decimal, parse_date

REQUIRED_COLUMNS = ("date", "close")
PRICE_COLUMNS = ("open", "high", "low", "close")

# Products of prices, rates and shares have fewer digits than this, and one that had to be rounded would be an error.
EXACT = Context(prec=200, traps=[Inexact, InvalidOperation])

_PRICE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,18})?", re.ASCII)
_INT64 = 2**63


# A day, or the instant at which an interval begins.
At = date | datetime


class HistoryError(Exception):
    """A history that cannot be used, and why; the header of its CSV is line 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Bar:
    """Prices of one day, or of one interval."""

    at: At
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal


@dataclass(frozen=True)
class History:
    """Bars in the order of their time, one at least, all prices above zero; and what is computed from them once."""

    bars: Sequence[Bar]

    def digest(self) -> str:
        """Return a text that is the same for the same bars only."""
        rows = "\n".join(f"{bar.at},{bar.open},{bar.close}" for bar in self.bars)
        return hashlib.sha256(rows.encode()).hexdigest()

    @cached_property
    def has_opens(self) -> bool:
        """Whether every bar says at what price it opened."""
        return all(bar.open is not None for bar in self.bars)

    @cached_property
    def units(self) -> "np.ndarray[Any, np.dtype[Any]]":
        """The closes as whole numbers of the finest decimal that any of them has.

        They are 64-bit integers where no sum of them, times a number of bars, can overflow, and Python's own, which are
        slower, where one could: exact either way.
        """
        finest = max(_decimals(bar.close) for bar in self.bars)
        with localcontext(EXACT):
            units = [int(bar.close.scaleb(finest)) for bar in self.bars]
        fits = max(units) * len(units) ** 2 < _INT64
        return np.array(units, dtype=np.int64 if fits else object)

    @cached_property
    def closes(self) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """The closes as floats, for statistics; money is counted with those of the bars."""
        return np.array([float(bar.close) for bar in self.bars])

    @cached_property
    def day_ends(self) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """The position of the last bar of each day."""
        days = [bar.at.date() if isinstance(bar.at, datetime) else bar.at for bar in self.bars]
        return np.array([i for i, day in enumerate(days) if i + 1 == len(days) or days[i + 1] != day])


@dataclass(frozen=True, slots=True)
class StoredHistory:
    """What is stored of a ticker: how many bars, and from when to when."""

    ticker: str
    bars: int
    first: At
    last: At


def store(bucket: str, ticker: str, data: bytes, limit: int) -> tuple[StoredHistory, bool]:
    """Keep a CSV of so many bars at most as the history of a ticker, and return whether there was none before.

    Raises:
        HistoryError: it cannot be read or has more bars, and nothing was stored.
    """
    bars = read_csv(data).bars
    if len(bars) > limit:
        raise HistoryError(limit + 2, f"a history may have {limit:,} bars at most")
    is_new = storage.describe(bucket, _key(ticker)) is None
    storage.put(bucket, _key(ticker), data, storage.CSV, {})
    return StoredHistory(ticker, len(bars), bars[0].at, bars[-1].at), is_new


def load(bucket: str, ticker: str) -> History | None:
    """Return the stored history of a ticker, or nothing where there is none.

    Raises:
        HistoryError: what is stored cannot be read.
        storage.IncompleteBodyError: it could not be read whole.
    """
    stored = storage.open_object(bucket, _key(ticker))
    return read_csv(b"".join(stored.chunks)) if stored else None


def _key(ticker: str) -> str:
    return f"history/{ticker}.csv"


def read_csv(data: bytes) -> History:
    """Return the history that a CSV of `date,close` and, if there, `open,high,low` says; other columns are left alone.

    Raises:
        HistoryError: it is no such CSV, a price is missing, not above zero, above its bar's high or below its low, or
            the days are not in rising order.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise HistoryError(line, "is not UTF-8 text") from None
    bars = list(_bars(text.rstrip().splitlines()))
    if not bars:
        raise HistoryError(2, "there is no bar after the header")
    return History(bars)


def _bars(lines: Sequence[str]) -> Iterator[Bar]:
    rows = csv.reader(lines, strict=True)
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        columns = _columns(header)
        last: date | None = None
        for row in rows:
            if len(row) != len(header):
                raise HistoryError(rows.line_num, f"has {len(row)} values, and the header {len(header)}")
            bar = _bar(row, columns, rows.line_num)
            if last is not None and bar.at <= last:
                reason = "is there twice" if bar.at == last else f"comes after {last}: sort the rows by date"
                raise HistoryError(rows.line_num, f"{bar.at} {reason}")
            last = bar.at
            yield bar
    except csv.Error as error:
        raise HistoryError(rows.line_num, str(error)) from None


def _columns(header: Sequence[str]) -> Mapping[str, int]:
    columns = {name: header.index(name) for name in ("date", *PRICE_COLUMNS) if name in header}
    for name in REQUIRED_COLUMNS:
        if name not in columns:
            raise HistoryError(1, f"has no column {name}; the columns are date,open,high,low,close")
    for name in columns:
        if header.count(name) > 1:
            raise HistoryError(1, f"has the column {name} twice")
    return columns


def _bar(row: Sequence[str], columns: Mapping[str, int], line: int) -> Bar:
    try:
        at = parse_date(row[columns["date"]].strip())
    except ValueError as error:
        raise HistoryError(line, f"date {error}") from None
    prices = {
        name: _price(row[columns[name]].strip(), name, line) if name in columns else None for name in PRICE_COLUMNS
    }
    _check_range(prices, line)
    close = prices["close"]
    assert close is not None  # noqa: S101 - a required column
    return Bar(at, prices["open"], prices["high"], prices["low"], close)


def _check_range(prices: Mapping[str, Decimal | None], line: int) -> None:
    """Refuse prices above the high or below the low of their bar, as far as these are known."""
    high, low = prices["high"], prices["low"]
    for name, price in prices.items():
        if price is not None and high is not None and price > high:
            raise HistoryError(
                line, f"{name} {format_decimal(price)} is above high {format_decimal(high)}: have columns been swapped?"
            )
        if price is not None and low is not None and price < low:
            raise HistoryError(
                line, f"{name} {format_decimal(price)} is below low {format_decimal(low)}: have columns been swapped?"
            )


def _price(text: str, name: str, line: int) -> Decimal:
    if not text:
        raise HistoryError(line, f"{name} is missing")
    price = Decimal(text) if _PRICE.fullmatch(text) else Decimal()
    if not price:
        raise HistoryError(line, f"{name} must be a price above zero, such as 310.50, not {text[:40]}")
    return price


def _decimals(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
