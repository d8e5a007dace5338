"""Simulation metrics: the usual performance figures of a simulated strategy.

Money is exact and decimal. Ratios and statistics are floats, computed from the daily simple returns of the equity, or
from the returns per bar if bars are longer than a day. Annualized figures use the average number of returns in 365.25
days of the history, and a risk-free rate of 0. Undefined figures (a ratio to a volatility of zero, an average of no
trades, annual growth over less than a year) are None.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import numpy as np
from pydantic import PlainSerializer, WithJsonSchema

from trading.core.values import Amount
from trading.simulation.bars import At, History

DAYS_OF_A_YEAR = 365.25
FULL_YEAR = 365  # days

type Floats = "np.ndarray[Any, np.dtype[np.float64]]"

# A ratio that may be infinite, which JSON numbers cannot express.
Ratio = Annotated[
    float,
    PlainSerializer(
        lambda ratio: "Infinity" if math.isinf(ratio) else ratio, return_type=float | str, when_used="json"
    ),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"const": "Infinity"}]}),
]


@dataclass(frozen=True, slots=True)
class SimulatedTrade:
    """Shares bought and sold. If they are still held, there is no exit, and the profit is marked to the last close.

    Prices are fill prices, slippage included. `fees` are of both legs, and `profit` is net of them.
    """

    entry_at: At
    entry_price: Amount
    shares: Amount
    exit_at: At | None
    exit_price: Amount | None
    fees: Amount
    profit: Amount


@dataclass(frozen=True, slots=True)
class Metrics:
    """The figures of a simulation. Returns, rates and drawdowns are fractions: 0.1 is 10%."""

    final_equity: Amount
    fees: Amount
    total_return: float
    buy_and_hold_return: float
    cagr: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    max_drawdown: float
    max_drawdown_bars: int
    exposure: float
    trade_count: int
    win_rate: float | None
    profit_factor: Ratio | None
    expectancy: float | None
    best_trade: Amount | None
    worst_trade: Amount | None


def measure(  # noqa: PLR0913, PLR0917 - the parts of a simulation
    history: History,
    cash: Decimal,
    trades: Sequence[SimulatedTrade],
    final_equity: Decimal,
    equity: Floats,
    held: "np.ndarray[Any, np.dtype[np.bool_]]",
) -> Metrics:
    """Return all figures of a simulation that began with `cash`; `equity` and `held` are at each bar's close.

    Sums of money use the decimal context of the caller.
    """
    days = equity[history.day_ends] if len(history.day_ends) < len(equity) else equity
    returns = days[1:] / days[:-1] - 1 if len(days) > 1 and days.min() > 0 else np.empty(0)
    returns_a_year = len(returns) * DAYS_OF_A_YEAR / max(1, history.days)
    growth = float(final_equity) / float(cash)
    annual = cagr(growth, history.days)
    drawdown, drawdown_bars = max_drawdown(equity)
    profits = [trade.profit for trade in trades if trade.exit_at]
    return Metrics(
        final_equity=final_equity,
        fees=sum((trade.fees for trade in trades), Decimal(0)),
        total_return=growth - 1,
        buy_and_hold_return=float(history.closes[-1] / history.closes[0]) - 1,
        cagr=annual,
        volatility=volatility(returns, returns_a_year),
        sharpe=sharpe(returns, returns_a_year),
        sortino=sortino(returns, returns_a_year),
        calmar=annual / drawdown if annual is not None and drawdown else None,
        max_drawdown=drawdown,
        max_drawdown_bars=drawdown_bars,
        exposure=float(held.mean()),
        trade_count=len(profits),
        win_rate=sum(profit > 0 for profit in profits) / len(profits) if profits else None,
        profit_factor=profit_factor(profits),
        expectancy=float(sum(profits)) / len(profits) if profits else None,
        best_trade=max(profits, default=None),
        worst_trade=min(profits, default=None),
    )


def cagr(growth: float, days: int) -> float | None:
    """Return the compound annual growth rate: growth ^ (365.25 / days) - 1, `growth` being final over initial equity.

    None below a year. Source: CFA Institute, Global Investment Performance Standards,
    by which returns of less than a year are not annualized.
    """
    if growth <= 0 or days < FULL_YEAR:
        return None
    return math.pow(growth, DAYS_OF_A_YEAR / days) - 1


def volatility(returns: Floats, returns_a_year: float) -> float | None:
    """Return the annualized volatility: the sample's standard deviation (n - 1) x sqrt(returns a year).

    Source: J. C. Hull, Options, Futures, and Other Derivatives, "Estimating volatility from historical data".
    """
    if len(returns) < 2:  # noqa: PLR2004 - the deviation of one return is undefined
        return None
    return float(returns.std(ddof=1)) * math.sqrt(returns_a_year)


def sharpe(returns: Floats, returns_a_year: float) -> float | None:
    """Return the annualized Sharpe ratio with rf = 0: mean / standard deviation (n - 1) x sqrt(returns a year).

    Source: W. F. Sharpe, "The Sharpe Ratio", The Journal of Portfolio Management 21 (1994).
    """
    deviation = volatility(returns, returns_a_year)
    return float(returns.mean()) * returns_a_year / deviation if deviation else None


def sortino(returns: Floats, returns_a_year: float) -> float | None:
    """Return the annualized Sortino ratio with a target of 0: mean / downside deviation x sqrt(returns a year).

    The downside deviation is sqrt(mean(min(r, 0)^2)), over all returns. Source: F. A. Sortino and L. N. Price,
    "Performance Measurement in a Downside Risk Framework", The Journal of Investing 3 (1994).
    """
    losses = np.minimum(returns, 0)
    downside = math.sqrt(float(losses @ losses) / len(returns)) if len(returns) else 0
    return float(returns.mean()) / downside * math.sqrt(returns_a_year) if downside else None


def max_drawdown(equity: Floats) -> tuple[float, int]:
    """Return the maximum drawdown from an earlier peak, 1 - equity / peak, and its length in bars.

    The length is from that peak to the bar that reaches it again, or to the last bar. The Calmar ratio is the CAGR of
    the whole history divided by this drawdown. Sources: M. Magdon-Ismail and A. F. Atiya, "Maximum Drawdown", Risk 17
    (2004); T. W. Young, "Calmar Ratio: A Smoother Tool", Futures 20 (1991).
    """
    peaks = np.maximum.accumulate(equity)
    falls = 1 - equity / peaks
    trough = int(falls.argmax())
    if not falls[trough]:
        return 0.0, 0
    peak = np.flatnonzero(equity[:trough] == peaks[trough])[-1]
    later = np.flatnonzero(equity[trough:] >= peaks[trough])
    end = trough + later[0] if len(later) else len(equity) - 1
    return float(falls[trough]), int(end - peak)


def profit_factor(profits: Sequence[Decimal]) -> float | None:
    """Return gross profit / gross loss; infinity if there are only winners, None if no trade won or lost.

    Source: R. Pardo, The Evaluation and Optimization of Trading Strategies. Win rate (winners over all closed trades)
    and expectancy (their average profit, in money) are V. K. Tharp's, Trade Your Way to Financial Freedom.
    """
    lost = -sum((profit for profit in profits if profit < 0), Decimal(0))
    gained = sum((profit for profit in profits if profit > 0), Decimal(0))
    if not lost:
        return math.inf if gained else None
    return float(gained) / float(lost)
