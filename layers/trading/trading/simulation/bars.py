"""Bars: the OHLC price history of a stock."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation, localcontext
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

# Products of prices, rates and shares have fewer digits than this; rounding raises an error.
EXACT = Context(prec=200, traps=[Inexact, InvalidOperation])

_INT64 = 2**63
_DAY = timedelta(days=1)
_ALMOST_A_DAY = timedelta(hours=20)  # a day on which clocks are set forward has 23 hours
_LENGTHS = {
    "1 week": range(6, 9),
    "1 month": range(28, 32),
    "3 months": range(89, 93),
    "1 year": range(365, 367),
}  # days

# A day, or the instant at which an interval begins.
At = date | datetime


@dataclass(frozen=True, slots=True)
class Bar:
    """The prices of one day or interval."""

    at: At
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal


@dataclass(frozen=True, slots=True)
class ReadingNotes:
    """What was adjusted or skipped when a file of bars was read.

    `adjusted`: prices are adjusted for dividends and splits. `rounded_prices` had more than six decimals.
    `widened_bars` had an open or close beyond the high or low by a rounding error, so the high or low was moved.
    `skipped_rows` had a date but no prices.
    """

    adjusted: bool = False
    rounded_prices: int = 0
    widened_bars: int = 0
    skipped_rows: int = 0


@dataclass(frozen=True)
class History:
    """At least one bar, in time order, with all prices above zero; and cached values derived from the bars."""

    bars: Sequence[Bar]
    notes: ReadingNotes = ReadingNotes()

    def digest(self) -> str:
        """Return a digest of the bars."""
        rows = "\n".join(f"{bar.at},{bar.open},{bar.close}" for bar in self.bars)
        return hashlib.sha256(rows.encode()).hexdigest()

    @cached_property
    def has_opens(self) -> bool:
        """Whether every bar has an open."""
        return all(bar.open is not None for bar in self.bars)

    @cached_property
    def units(self) -> "np.ndarray[Any, np.dtype[Any]]":
        """The closes as integers, in units of the last decimal that any of them has.

        They are 64-bit integers if no sum times a number of bars can overflow, and otherwise Python integers, which are
        slower. Both are exact.
        """
        finest = max(_decimals(bar.close) for bar in self.bars)
        with localcontext(EXACT):
            units = [int(bar.close.scaleb(finest)) for bar in self.bars]
        fits = max(units) * len(units) ** 2 < _INT64
        return np.array(units, dtype=np.int64 if fits else object)

    @cached_property
    def closes(self) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """The closes as floats, for statistics only; money uses the decimals of the bars."""
        return np.array([float(bar.close) for bar in self.bars])

    @cached_property
    def day_ends(self) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """The index of the last bar of each day."""
        days = [_day(bar.at) for bar in self.bars]
        return np.array([i for i, day in enumerate(days) if i + 1 == len(days) or days[i + 1] != day])

    @property
    def days(self) -> int:
        """The number of days from the first bar to the last."""
        return (_day(self.bars[-1].at) - _day(self.bars[0].at)).days

    @cached_property
    def frequency(self) -> str | None:
        """The usual interval between bars, such as "5 minutes", "1 day" or "1 month"; None for a single bar."""
        starts = [_start(bar.at) for bar in self.bars]
        gaps = sorted(later - earlier for earlier, later in pairwise(starts))
        return _length(gaps[len(gaps) // 2]) if gaps else None


def _day(at: At) -> date:
    return at.date() if isinstance(at, datetime) else at


def _start(at: At) -> datetime:
    return at if isinstance(at, datetime) else datetime.combine(at, time.min, UTC)


def _length(gap: timedelta) -> str:
    if gap < _ALMOST_A_DAY:
        seconds = int(gap.total_seconds())
        size, unit = next(each for each in ((3_600, "hour"), (60, "minute"), (1, "second")) if seconds % each[0] == 0)
        return _counted(seconds // size, unit)
    days = round(gap / _DAY)
    return next((name for name, lengths in _LENGTHS.items() if days in lengths), _counted(days, "day"))


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _decimals(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
