"""Sweeps: a strategy simulated with many pairs of windows on one history, to find the best pair."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from trading.simulation.bars import History
from trading.simulation.engine import Strategy, simulate
from trading.simulation.metrics import Ratio

# The metrics to choose the best pair by: higher is better for each.
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
    """A pair of windows and its value of the sweep's metric; null if it is undefined or there was no trade."""

    fast: int
    slow: int
    value: Ratio | None


@dataclass(frozen=True, slots=True)
class Sweep:
    """All simulated pairs, and the metric by which they are compared."""

    metric: Metric
    pairs: Sequence[SweptPair]
    warning: str = WARNING

    def best(self) -> SweptPair | None:
        """Return the pair with the highest value, on a tie the shorter windows; None if all values are null."""
        known = (pair for pair in self.pairs if pair.value is not None)
        return max(known, key=lambda pair: (pair.value or 0, -pair.slow, -pair.fast), default=None)

    def simulated(self) -> SweptPair:
        """Return the pair of the full result: the best pair, or the shortest windows if there is no best."""
        return self.best() or min(self.pairs, key=lambda pair: (pair.slow, pair.fast))


def parse_windows(text: object) -> range:
    """Parse windows such as 5:100:5: from 5 to 100, inclusive, in steps of 5.

    Raises:
        ValueError: it does not have this form, or the windows are out of range.
    """
    if not isinstance(text, str) or not re.fullmatch(WINDOWS_PATTERN, text, re.ASCII):
        raise ValueError("must be first:last:step, such as 5:100:5")
    first, last, step = map(int, text.split(":"))
    if not (1 <= first <= last <= WINDOW_LIMIT and step):
        raise ValueError(f"must rise from 1 or more to at most {WINDOW_LIMIT:,}, in steps of 1 or more")
    return range(first, last + 1, step)


def window_pairs(fasts: Iterable[int], slows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield every pair with fast < slow; both lists must be in ascending order."""
    return ((fast, slow) for fast in fasts for slow in slows[bisect_right(slows, fast) :])


def try_pairs(
    history: History, strategy: Strategy, metric: Metric, windows: Iterable[tuple[int, int]]
) -> list[SweptPair]:
    """Simulate a strategy with each pair of windows instead of its own. Raises the same errors as `simulate`."""
    tried = []
    for fast, slow in windows:
        done = simulate(history, replace(strategy, fast=fast, slow=slow))
        tried.append(SweptPair(fast, slow, getattr(done.metrics, metric) if done.trades else None))
    return tried
