"""Sweeps: a strategy with many pairs of windows on one history, and which pair was best."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from trading.simulation.bars import History
from trading.simulation.engine import Strategy, simulate
from trading.simulation.metrics import Ratio

# What a pair can be the best by: more of each is better.
Metric = Literal[
    "total_return", "cagr", "sharpe", "sortino", "calmar", "win_rate", "profit_factor", "expectancy"
]  # fmt: skip
METRICS: tuple[Metric, ...] = get_args(Metric)
WINDOW_LIMIT = 5_000  # bars

WARNING = (
    "The best of many pairs is the one that fits the past best, chance included. It says little about the future:"
    " judge it on prices that the sweep has not seen, and distrust a best pair whose neighbours are bad."
)

WINDOWS_PATTERN = r"[0-9]{1,4}:[0-9]{1,4}:[0-9]{1,4}"


@dataclass(frozen=True, slots=True)
class SweptPair:
    """A pair of windows and its value by the sweep's metric; null if that is undefined or no trade was made."""

    fast: int
    slow: int
    value: Ratio | None


@dataclass(frozen=True, slots=True)
class Sweep:
    """Every pair that was tried, and the metric by which they are compared."""

    metric: Metric
    pairs: Sequence[SweptPair]
    warning: str = WARNING

    def best(self) -> SweptPair | None:
        """Return the pair with the highest value, of equal ones that with the shorter windows; None if none has one."""
        known = (pair for pair in self.pairs if pair.value is not None)
        return max(known, key=lambda pair: (pair.value or 0, -pair.slow, -pair.fast), default=None)

    def simulated(self) -> SweptPair:
        """Return the pair that the whole result is of: the best, or that with the shortest windows if there is none."""
        return self.best() or min(self.pairs, key=lambda pair: (pair.slow, pair.fast))


def parse_windows(text: object) -> range:
    """Return the windows that a text such as 5:100:5 names: from 5 to 100, inclusive, in steps of 5.

    Raises:
        ValueError: it is no such text, or names windows that cannot be.
    """
    if not isinstance(text, str) or not re.fullmatch(WINDOWS_PATTERN, text, re.ASCII):
        raise ValueError("must be first:last:step, such as 5:100:5")
    first, last, step = map(int, text.split(":"))
    if not (1 <= first <= last <= WINDOW_LIMIT and step):
        raise ValueError(f"must rise from 1 or more to at most {WINDOW_LIMIT:,}, in steps of 1 or more")
    return range(first, last + 1, step)


def window_pairs(fasts: Iterable[int], slows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield every pair of a fast and a slow window, which are in rising order; the fast one is the shorter one."""
    return ((fast, slow) for fast in fasts for slow in slows[bisect_right(slows, fast) :])


def try_pairs(
    history: History, strategy: Strategy, metric: Metric, windows: Iterable[tuple[int, int]]
) -> list[SweptPair]:
    """Simulate a strategy with each pair of windows instead of its own. Raises as `simulate` does."""
    tried = []
    for fast, slow in windows:
        done = simulate(history, replace(strategy, fast=fast, slow=slow))
        tried.append(SweptPair(fast, slow, getattr(done.metrics, metric) if done.trades else None))
    return tried
