"""Simulation: a moving-average crossover strategy traded on a price history.

Signals and money are exact: averages are compared as integers (a sum of n closes times m with a sum of m closes
times n), and cash, fees and fills are decimals that are never rounded.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, Inexact, InvalidOperation, localcontext
from typing import Any, Literal

import numpy as np

from trading.core.values import Amount, Side
from trading.simulation.bars import EXACT, At, History
from trading.simulation.metrics import Metrics, SimulatedTrade, measure

Fill = Literal["open", "close"]
FRACTION_DIGITS = 6  # of fractional shares
_BASIS_POINT_EXPONENT = -4


@dataclass(frozen=True, slots=True)
class Strategy:
    """Buy when the fast simple average crosses above the slow one, sell when it crosses below; long only, all in.

    `fast` and `slow` are numbers of bars. An order is filled at the next bar's open, or with `fill="close"` at the
    close of the signal's own bar, which is optimistic: that price is not known in time. Slippage is in basis points of
    the price, against the trader; the commission in basis points is of the amount.
    """

    fast: int
    slow: int
    cash: Amount = Decimal(10_000)
    fill: Fill = "open"
    fractional: bool = False
    commission_per_trade: Amount = Decimal(0)
    commission_per_share: Amount = Decimal(0)
    commission_basis_points: Amount = Decimal(0)
    slippage_basis_points: Amount = Decimal(0)

    def __post_init__(self) -> None:
        """Refuse windows that cannot cross, and an account without cash.

        Raises:
            ValueError: one of these is the case; the message says which.
        """
        if not 1 <= self.fast < self.slow:
            raise ValueError("fast must be 1 or more, and less than slow")
        if self.cash <= 0:
            raise ValueError("cash must be more than zero")


class UnusableHistoryError(Exception):
    """The history cannot be used for this strategy."""


class MissingOpensError(UnusableHistoryError):
    """The strategy fills at the open, but the history has bars without an open."""


class LookaheadError(Exception):
    """A signal depends on later bars: the rule has a lookahead bias."""


@dataclass(frozen=True, slots=True)
class Signal:
    """The averages crossed at the close of the bar at this position."""

    bar: int
    side: Side


@dataclass(frozen=True, slots=True)
class Holding:
    """What the account holds from the close of a bar."""

    bar: int
    cash: Decimal
    shares: Decimal


@dataclass(frozen=True, slots=True)
class Simulation:
    """The outcome of a strategy on a history."""

    history: History
    strategy: Strategy
    signals: Sequence[Signal]
    trades: Sequence[SimulatedTrade]
    holdings: Sequence[Holding]
    metrics: Metrics

    def no_trades_reason(self) -> str | None:
        """Return why there were no trades, in a sentence; None if there were some."""
        if self.trades:
            return None
        strategy, bars = self.strategy, self.history.bars
        if len(bars) <= strategy.slow:
            first, last = strategy.slow + 1, len(bars)
            return f"The averages cannot cross before bar {first:,}, and the history ends at bar {last:,}."
        buys = [signal.bar for signal in self.signals if signal.side == "BUY"]
        if not buys:
            crossed = "crossed above the slow one" if self.signals else "crossed the slow one"
            return f"The fast average never {crossed}."
        if strategy.fill == "open" and buys == [len(bars) - 1]:
            return "The fast average crossed above the slow one at the last bar only, and no later bar opened."
        smallest = "a millionth of a share" if strategy.fractional else "one share"
        return f"The cash of {strategy.cash:,} never paid for {smallest} and its costs."

    def equity(self) -> list[Decimal]:
        """Return cash + shares x close at each bar, exactly.

        Raises:
            UnusableHistoryError: an amount has too many digits.
        """
        bars = self.history.bars
        with _exactly():
            return [
                holding.cash + holding.shares * bars[position].close
                for holding, end in _spans(self.holdings, len(bars))
                for position in range(holding.bar, end)
            ]


def simulate(history: History, strategy: Strategy) -> Simulation:
    """Trade a strategy on a history.

    Raises:
        MissingOpensError: orders fill at the open, and a bar has no open.
        UnusableHistoryError: an amount has too many digits.
    """
    if strategy.fill == "open" and not history.has_opens:
        missing = [bar.at for bar in history.bars if bar.open is None]
        some = "opens" if len(missing) == len(history.bars) else f"open at {missing[0]}"
        raise MissingOpensError(f"has no {some}: fill at the close, or add what is missing in the column open")
    signals = find_signals(history.units, strategy.fast, strategy.slow)
    with _exactly():
        trades, holdings = _trade(history, strategy, signals)
        final = holdings[-1].cash + holdings[-1].shares * history.bars[-1].close
        metrics = measure(history, strategy.cash, trades, final, *_curve(history, holdings))
    return Simulation(history, strategy, signals, trades, holdings, metrics)


def find_signals(closes: "np.ndarray[Any, np.dtype[Any]]", fast: int, slow: int) -> list[Signal]:
    """Return, in order, the crossings of the averages of the last `fast` and `slow` closes, which are integers.

    A buy is a bar at which the fast average is above the slow one and was not at the bar before; a sell is the reverse.
    There is no signal until both averages exist at the bar before.
    """
    if len(closes) <= slow:
        return []
    sums = np.concatenate(([0], np.cumsum(closes)))
    now = sums[slow:]
    difference = (now - sums[slow - fast : -fast]) * slow - (now - sums[:-slow]) * fast
    above, below = difference > 0, difference < 0
    rises = above[1:] & ~above[:-1]
    crossed = np.flatnonzero(rises | (below[1:] & ~below[:-1]))
    return [
        Signal(bar, "BUY" if rose else "SELL")
        for bar, rose in zip((crossed + slow).tolist(), rises[crossed].tolist(), strict=True)
    ]


def check_lookahead(history: History, strategy: Strategy) -> int:
    """Truncate the history after each bar, recompute the signals, and return the number of truncations.

    Raises:
        LookaheadError: a truncation changed, removed or added an earlier signal.
    """
    signals = find_signals(history.units, strategy.fast, strategy.slow)
    for length, bar in enumerate(history.bars, start=1):
        known = [signal for signal in signals if signal.bar < length]
        if find_signals(history.units[:length], strategy.fast, strategy.slow) != known:
            raise LookaheadError(f"the signals up to {bar.at} depend on later bars")
    return len(history.bars)


def _trade(
    history: History, strategy: Strategy, signals: Sequence[Signal]
) -> tuple[list[SimulatedTrade], list[Holding]]:
    """Execute the signals, and mark an open position to the last close."""
    account = _Account(strategy)
    delay = 1 if strategy.fill == "open" else 0
    for signal in signals:
        position = signal.bar + delay
        if position == len(history.bars):
            break  # there is no next bar
        bar = history.bars[position]
        price = bar.open if strategy.fill == "open" else bar.close
        assert price is not None  # noqa: S101 - checked by `simulate`
        if signal.side == "BUY":
            account.buy(position, bar.at, price)
        else:
            account.sell(position, bar.at, price)
    account.mark(history.bars[-1].close)
    return account.trades, account.holdings


class _Account:
    """Cash, shares, and their trades and holdings."""

    def __init__(self, strategy: Strategy) -> None:
        self.trades: list[SimulatedTrade] = []
        self.holdings = [Holding(0, strategy.cash, Decimal(0))]
        self._strategy = strategy
        self._slippage = strategy.slippage_basis_points.scaleb(_BASIS_POINT_EXPONENT)
        self._commission = strategy.commission_basis_points.scaleb(_BASIS_POINT_EXPONENT)
        self._cash, self._shares = strategy.cash, Decimal(0)
        self._entry_at: At = date.min
        self._entry_price, self._entry_fees = Decimal(0), Decimal(0)

    def buy(self, position: int, at: At, price: Decimal) -> None:
        """Buy as many shares as the cash pays for, including costs, unless some are already held."""
        paid = price * (1 + self._slippage)
        shares = self._affordable(paid)
        if self._shares or shares <= 0:
            return
        self._entry_at, self._entry_price, self._entry_fees = at, paid, self._fees(paid, shares)
        self._hold(position, self._cash - paid * shares - self._entry_fees, shares)

    def sell(self, position: int, at: At, price: Decimal) -> None:
        """Sell all shares, if there are any."""
        if not self._shares:
            return
        got = price * (1 - self._slippage)
        fees = self._fees(got, self._shares)
        self._close(at, got, fees)
        self._hold(position, self._cash + got * self._shares - fees, Decimal(0))

    def mark(self, price: Decimal) -> None:
        """Add an open trade for shares still held, at the market price."""
        if self._shares:
            profit = (price - self._entry_price) * self._shares - self._entry_fees
            self.trades.append(
                SimulatedTrade(self._entry_at, self._entry_price, self._shares, None, None, self._entry_fees, profit)
            )

    def _affordable(self, paid: Decimal) -> Decimal:
        spendable = self._cash - self._strategy.commission_per_trade
        each = paid * (1 + self._commission) + self._strategy.commission_per_share
        if self._strategy.fractional:
            return (spendable.scaleb(FRACTION_DIGITS) // each).scaleb(-FRACTION_DIGITS)
        return spendable // each

    def _fees(self, price: Decimal, shares: Decimal) -> Decimal:
        each = price * self._commission + self._strategy.commission_per_share
        return self._strategy.commission_per_trade + each * shares

    def _close(self, at: At, got: Decimal, exit_fees: Decimal) -> None:
        fees = self._entry_fees + exit_fees
        profit = (got - self._entry_price) * self._shares - fees
        self.trades.append(SimulatedTrade(self._entry_at, self._entry_price, self._shares, at, got, fees, profit))

    def _hold(self, position: int, cash: Decimal, shares: Decimal) -> None:
        self._cash, self._shares = cash, shares
        self.holdings.append(Holding(position, cash, shares))


@contextmanager
def _exactly() -> Iterator[None]:
    """Calculate without rounding, or fail: extreme price growth makes amounts with ever more digits."""
    try:
        with localcontext(EXACT):
            yield
    except (Inexact, InvalidOperation):
        reason = f"makes amounts of more than {EXACT.prec} digits, and none is rounded: simulate fewer bars"
        raise UnusableHistoryError(reason) from None


def _spans(holdings: Sequence[Holding], length: int) -> Iterator[tuple[Holding, int]]:
    """Yield each holding with the position of the bar where it ends."""
    ends = [*(holding.bar for holding in holdings[1:]), length]
    return zip(holdings, ends, strict=True)


def _curve(
    history: History, holdings: Sequence[Holding]
) -> "tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.bool_]]]":
    """Return the equity at each bar as floats, for statistics, and whether shares were held at its close."""
    lengths = [end - holding.bar for holding, end in _spans(holdings, len(history.bars))]
    cash = np.repeat([float(holding.cash) for holding in holdings], lengths)
    shares = np.repeat([float(holding.shares) for holding in holdings], lengths)
    return cash + shares * history.closes, shares > 0
