"""Bars: what a stock cost over time, interval by interval."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation, localcontext
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

# Products of prices, rates and shares have fewer digits than this, and one that had to be rounded would be an error.
EXACT = Context(prec=200, traps=[Inexact, InvalidOperation])

_INT64 = 2**63
_DAY = timedelta(days=1)
_ALMOST_A_DAY = timedelta(hours=20)  # one on which clocks are set forward has 23
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
    """Prices of one day, or of one interval."""

    at: At
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal


@dataclass(frozen=True, slots=True)
class ReadingNotes:
    """What was adjusted or skipped when a file of bars was read.

    `adjusted`: prices are those after dividends and splits. `rounded_prices` had more than six decimals.
    `widened_bars` had an open or close beyond their high or low by a rounding, which has been moved there.
    `skipped_rows` had a date and no prices.
    """

    adjusted: bool = False
    rounded_prices: int = 0
    widened_bars: int = 0
    skipped_rows: int = 0


@dataclass(frozen=True)
class History:
    """Bars in the order of their time, one at least, all prices above zero; and what is computed from them once."""

    bars: Sequence[Bar]
    notes: ReadingNotes = ReadingNotes()

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
        days = [_day(bar.at) for bar in self.bars]
        return np.array([i for i, day in enumerate(days) if i + 1 == len(days) or days[i + 1] != day])

    @property
    def days(self) -> int:
        """The days from the first bar's to the last bar's."""
        return (_day(self.bars[-1].at) - _day(self.bars[0].at)).days

    @cached_property
    def frequency(self) -> str | None:
        """The usual time from a bar to the next, such as "5 minutes", "1 day" or "1 month"; None of a single bar."""
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
