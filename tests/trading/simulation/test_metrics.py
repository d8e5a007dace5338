import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import mean, stdev
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from trading.simulation import metrics as simulation_metrics
from trading.simulation.bars import Bar, History
from trading.simulation.metrics import Metrics, SimulatedTrade

DAY = date(2024, 1, 2)
METRICS = TypeAdapter(Metrics)


def trade(profit: str, *, is_open: bool = False) -> SimulatedTrade:
    exit_at, exit_price = (None, None) if is_open else (DAY, Decimal(2))
    return SimulatedTrade(DAY, Decimal(1), Decimal(1), exit_at, exit_price, Decimal("0.5"), Decimal(profit))


def measure(equity: list[float], *trades: SimulatedTrade, days: int = 1, bars_a_day: int = 1) -> Any:
    """Return the figures of these equities, so many to a day, each day so many after the one before."""
    start = datetime(2024, 1, 2, tzinfo=UTC)
    at = [start + timedelta(days=days * (i // bars_a_day), minutes=i % bars_a_day) for i in range(len(equity))]
    history = History([Bar(each, None, None, None, Decimal(10 + i)) for i, each in enumerate(at)])
    held = np.arange(len(equity)) >= len(equity) / 2
    final = Decimal(str(equity[-1]))
    return simulation_metrics.measure(history, Decimal(100), trades, final, np.array(equity), held)


def test_returns_are_of_the_money_and_buying_and_holding_is_of_the_price() -> None:
    metrics = measure([100, 110, 99, 120], days=200)
    assert metrics.total_return == pytest.approx(0.2)
    assert metrics.buy_and_hold_return == pytest.approx(0.3)
    assert metrics.cagr == pytest.approx(1.2 ** (365.25 / 600) - 1)
    assert metrics.exposure == 0.5


@pytest.mark.parametrize("days", [1, 7, 30])
def test_risk_is_of_the_simple_returns_as_many_of_which_as_the_dates_say_make_a_year(days: int) -> None:
    metrics = measure([100, 110, 99, 120], days=days)
    returns, a_year = [0.1, -0.1, 120 / 99 - 1], 365.25 / days
    assert metrics.volatility == pytest.approx(stdev(returns) * math.sqrt(a_year))
    assert metrics.sharpe == pytest.approx(mean(returns) / stdev(returns) * math.sqrt(a_year))
    downside = math.sqrt(0.1**2 / 3)
    assert metrics.sortino == pytest.approx(mean(returns) / downside * math.sqrt(a_year))


def test_growth_is_not_extrapolated_to_a_year_from_less() -> None:
    assert measure([100, 110], days=364).cagr is None
    assert measure([100, 110], days=365).cagr == pytest.approx(0.1, abs=1e-4)
    assert measure([100, 90, 110], days=364 // 2).calmar is None


def test_the_figures_of_monthly_bars_are_those_of_their_dates() -> None:
    at = [date(2014 + month // 12, month % 12 + 1, 1) for month in range(121)]
    equity = [100 * (1 + 0.004 * month) for month in range(121)]
    history = History([Bar(each, None, None, None, Decimal(1)) for each in at])
    metrics = simulation_metrics.measure(
        history, Decimal(100), [], Decimal(str(equity[-1])), np.array(equity), np.zeros(121, bool)
    )
    assert metrics.cagr == pytest.approx(1.48 ** (1 / 10) - 1, abs=1e-5)
    returns = [later / earlier - 1 for earlier, later in pairwise(equity)]
    assert metrics.sharpe == pytest.approx(mean(returns) / stdev(returns) * math.sqrt(12), rel=1e-3)


def test_intervals_within_a_day_are_not_days() -> None:
    by_minute, by_day = measure([100, 90, 110, 95, 99, 120], bars_a_day=2), measure([90, 95, 120])
    assert (by_minute.volatility, by_minute.sharpe) == (by_day.volatility, by_day.sharpe)
    assert by_minute.max_drawdown == pytest.approx(1 - 95 / 110)


def test_the_maximum_drawdown_is_from_its_peak_until_that_is_reached_again() -> None:
    metrics = measure([100, 120, 90, 100, 121, 115, 130], days=100)
    assert (metrics.max_drawdown, metrics.max_drawdown_bars) == (0.25, 3)
    assert metrics.calmar == pytest.approx((1.3 ** (365.25 / 600) - 1) / 0.25)


def test_a_drawdown_that_is_not_made_good_lasts_to_the_end_and_begins_at_its_last_peak() -> None:
    metrics = measure([100, 120, 110, 120, 60, 90])
    assert (metrics.max_drawdown, metrics.max_drawdown_bars) == (0.5, 2)


def test_trades_are_judged_by_their_profits_and_open_ones_not_yet() -> None:
    metrics = measure([100, 101], trade("10"), trade("-4"), trade("0"), trade("6"), trade("-99", is_open=True))
    assert (metrics.trade_count, metrics.win_rate, metrics.profit_factor) == (4, 0.5, 4)
    assert (metrics.expectancy, metrics.best_trade, metrics.worst_trade) == (3, 10, -4)
    assert metrics.fees == Decimal("2.5")


def test_what_is_not_defined_is_none() -> None:
    flat = measure([100, 100, 100])
    assert (flat.volatility, flat.max_drawdown, flat.max_drawdown_bars) == (0, 0, 0)
    assert flat.sharpe is flat.sortino is flat.calmar is flat.win_rate is flat.profit_factor is flat.best_trade is None
    one_bar = measure([100])
    assert one_bar.cagr is one_bar.volatility is one_bar.sharpe is one_bar.sortino is None
    assert measure([100, 100], trade("0")).profit_factor is None  # nobody won, nobody lost


def test_an_account_that_fees_have_ruined_has_no_rates_of_return() -> None:
    ruined = measure([100, 50, -5])
    assert (ruined.total_return, ruined.max_drawdown) == (pytest.approx(-1.05), pytest.approx(1.05))
    assert ruined.cagr is ruined.volatility is ruined.sharpe is None


def test_who_never_lost_has_an_infinite_profit_factor_which_json_says_in_a_word() -> None:
    metrics = measure([100, 110], trade("10"), trade("0"))
    assert metrics.profit_factor == math.inf
    kept = METRICS.dump_json(metrics)
    assert b'"profit_factor":"Infinity"' in kept
    assert METRICS.validate_json(kept) == metrics
    assert b'"profit_factor":2.5' in METRICS.dump_json(measure([100, 110], trade("10"), trade("-4")))


@given(st.lists(st.floats(1, 1_000), min_size=1, max_size=40))
def test_the_maximum_drawdown_is_the_deepest_of_all_pairs(equity: list[float]) -> None:
    deepest = max(1 - equity[later] / equity[peak] for later in range(len(equity)) for peak in range(later + 1))
    assert simulation_metrics.max_drawdown(np.array(equity))[0] == pytest.approx(deepest, abs=1e-12)
