from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trading.simulation import engine
from trading.simulation.bars import Bar, History
from trading.simulation.engine import (
    LookaheadError,
    MissingOpensError,
    Signal,
    Simulation,
    Strategy,
    UnusableHistoryError,
    simulate,
)

# Averages of 2 and 3: above from bar 5 on, below again at bar 9. Bar by bar:
#    fast   -    10   9.5  8.5   8   9.5   12  13.5 13.5  11
#    slow   -     -  29/3    9  25/3  9   11 38/3 40/3  12
TURNS = [10, 10, 9, 8, 8, 11, 13, 14, 13, 9]
OPENS = [10, 10, 9, 8, 8, 11, 12, 14, 13, 9]


def history(closes: Sequence[Any], opens: Sequence[Any] | None = None) -> History:
    prices = zip(opens or [None] * len(closes), closes, strict=True)
    return History(
        [
            Bar(date.fromordinal(day), None if opened is None else Decimal(opened), None, None, Decimal(closed))
            for day, (opened, closed) in enumerate(prices, 1)
        ]
    )


def only_trade(done: Simulation) -> Any:
    [trade] = done.trades
    return trade


def signals(closes: Sequence[Any], fast: int = 2, slow: int = 3) -> list[tuple[int, str]]:
    return [(each.bar, each.side) for each in engine.find_signals(history(closes).units, fast, slow)]


# The rule, by hand


def test_a_signal_is_where_the_fast_average_crosses_the_slow_one() -> None:
    assert signals(TURNS) == [(5, "BUY"), (9, "SELL")]


def test_a_market_that_is_above_when_the_averages_begin_has_not_crossed() -> None:
    assert signals([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]) == []


def test_averages_that_touch_have_not_crossed_and_those_that_leave_each_other_have() -> None:
    assert signals([5, 5, 5, 5, 6, 6, 6, 6]) == [(4, "BUY")]
    assert signals([5, 5, 5, 5, 4, 4, 4, 4]) == [(4, "SELL")]
    # Above, equal at bar 5 and above again: not above before, above now.
    assert signals([3, 1, 1, 4, 4, 4, 6]) == [(3, "BUY"), (6, "BUY")]


@pytest.mark.parametrize("closes", [[7] * 12, [7], [7, 8, 9], [9, 8, 7]], ids=["flat", "one bar", "3 up", "3 down"])
def test_a_flat_market_and_one_that_is_too_short_have_no_signal(closes: list[int]) -> None:
    assert signals(closes) == []
    done = simulate(history(closes, closes), Strategy(2, 3, cash=Decimal(100)))
    assert (done.trades, done.metrics.exposure) == ([], 0.0)
    assert done.equity() == [100] * len(closes)


def test_equality_is_decided_exactly_where_floats_would_see_a_cross() -> None:
    closes = [0.1, 0.2, 0.3] * 4
    fast, slow = (np.convolve(closes, np.full(length, 1 / length), "valid")[-6:] for length in (3, 6))
    assert np.any(fast > slow)
    assert signals(["0.1", "0.2", "0.3"] * 4, 3, 6) == []


def test_closes_beyond_64_bits_are_compared_as_exactly() -> None:
    huge = [f"9999999999{each:02}.000000000000000001" for each in TURNS]
    assert history(huge).units.dtype == object
    assert signals(huge) == signals(TURNS)


# The account, by hand


def test_an_order_is_filled_at_the_next_open_and_in_whole_shares() -> None:
    done = simulate(history([*TURNS, 9], [*OPENS, 8]), Strategy(2, 3, cash=Decimal(100)))
    trade = only_trade(done)
    assert (trade.entry_at, trade.entry_price, trade.shares) == (date.fromordinal(7), 12, 8)
    assert (trade.exit_at, trade.exit_price, trade.fees, trade.profit) == (date.fromordinal(11), 8, 0, -32)
    assert done.equity() == [100, 100, 100, 100, 100, 100, 4 + 8 * 13, 4 + 8 * 14, 4 + 8 * 13, 4 + 8 * 9, 68]
    assert done.metrics.final_equity == 68


def test_fill_close_fills_at_the_close_of_the_signals_bar_and_needs_no_opens() -> None:
    done = simulate(history(TURNS), Strategy(2, 3, cash=Decimal(100), fill="close"))
    trade = only_trade(done)
    assert (trade.entry_at, trade.entry_price, trade.shares) == (date.fromordinal(6), 11, 9)
    assert (trade.exit_at, trade.exit_price, trade.profit) == (date.fromordinal(10), 9, -18)


def test_without_opens_nothing_can_be_filled_at_the_open() -> None:
    with pytest.raises(MissingOpensError, match="has no opens: fill at the close, or add what is missing"):
        simulate(history(TURNS), Strategy(2, 3))
    [first, second, *rest] = history(TURNS, OPENS).bars
    with pytest.raises(MissingOpensError, match="has no open at 0001-01-02: fill at the close"):
        simulate(History([first, replace(second, open=None), *rest]), Strategy(2, 3))


@pytest.mark.parametrize(
    ("closes", "strategy", "reason"),
    [
        ([7, 8, 9], Strategy(2, 3), "The averages cannot cross before bar 4, and the history ends at bar 3."),
        ([7] * 12, Strategy(2, 3), "The fast average never crossed the slow one."),
        ([5, 5, 5, 5, 4, 4, 4], Strategy(2, 3), "The fast average never crossed above the slow one."),
        (
            TURNS[:6],
            Strategy(2, 3),
            "The fast average crossed above the slow one at the last bar only, and no later bar opened.",
        ),
        (TURNS, Strategy(2, 3, cash=Decimal("12.5")), "The cash of 12.5 never paid for one share and its costs."),
        (
            TURNS,
            Strategy(2, 3, cash=Decimal("0.000001"), fractional=True),
            "The cash of 0.000001 never paid for a millionth of a share and its costs.",
        ),
    ],
)
def test_why_there_were_no_trades_is_said(closes: list[int], strategy: Strategy, reason: str) -> None:
    done = simulate(history(closes, closes), strategy)
    assert (done.trades, done.no_trades_reason()) == ([], reason)
    enough = simulate(history(TURNS, OPENS), Strategy(2, 3))
    assert (len(enough.trades), enough.no_trades_reason()) == (1, None)


def test_what_is_held_at_the_end_is_listed_as_open_and_marked_to_the_last_close() -> None:
    done = simulate(history(TURNS, OPENS), Strategy(2, 3, cash=Decimal(100), commission_per_trade=Decimal(1)))
    assert done.signals[-1] == Signal(9, "SELL")  # at the last bar: there is no next open
    trade = only_trade(done)
    assert (trade.exit_at, trade.exit_price, trade.fees, trade.profit) == (None, None, 1, (9 - 12) * 8 - 1)
    assert done.metrics.final_equity == 100 + trade.profit
    assert (done.metrics.trade_count, done.metrics.win_rate) == (0, None)


def test_costs_are_paid_on_both_legs_out_of_the_cash() -> None:
    costs = Strategy(
        2,
        3,
        cash=Decimal(100),
        commission_per_trade=Decimal(1),
        commission_per_share=Decimal("0.25"),
        commission_basis_points=Decimal(50),
        slippage_basis_points=Decimal(100),
    )
    done = simulate(history([*TURNS, 9], [*OPENS, 8]), costs)
    trade = only_trade(done)
    # Bought at 12 x 1.01, each 12.12 + 0.0606 + 0.25; 99 pay for 7. Sold at 8 x 0.99.
    assert (trade.entry_price, trade.shares, trade.exit_price) == (Decimal("12.12"), 7, Decimal("7.92"))
    fees = Decimal(1) + 7 * Decimal("0.3106"), Decimal(1) + 7 * Decimal("0.2896")
    assert trade.fees == sum(fees) == done.metrics.fees
    assert trade.profit == 7 * (Decimal("7.92") - Decimal("12.12")) - sum(fees)
    assert done.metrics.final_equity == 100 + trade.profit == done.equity()[-1]


def test_fractional_shares_spend_all_but_a_millionth_share() -> None:
    done = simulate(history([*TURNS, 9], [*OPENS, 8]), Strategy(2, 3, cash=Decimal(100), fractional=True))
    assert done.trades[0].shares == Decimal("8.333333")


def test_who_cannot_pay_for_a_share_buys_none() -> None:
    assert simulate(history(TURNS, OPENS), Strategy(2, 3, cash=Decimal("11.99"))).trades == []
    only_just = simulate(history(TURNS, OPENS), Strategy(2, 3, cash=Decimal(12)))
    assert only_just.trades[0].shares == 1
    expensive = Strategy(2, 3, cash=Decimal(12), commission_per_trade=Decimal("0.000001"))
    assert simulate(history(TURNS, OPENS), expensive).trades == []


def test_a_second_buy_and_a_sell_without_shares_do_nothing() -> None:
    closes = [3, 1, 1, 4, 4, 4, 6, 6]
    assert signals(closes)[:2] == [(3, "BUY"), (6, "BUY")]
    assert len(simulate(history(closes, closes), Strategy(2, 3)).trades) == 1
    falling = [5, 5, 5, 5, 4, 4, 4, 4]
    assert simulate(history(falling, falling), Strategy(2, 3)).trades == []


def test_gaps_between_days_are_no_bars_and_a_gap_in_price_is_paid() -> None:
    bars = history(TURNS, [*OPENS[:6], 50, *OPENS[7:]]).bars
    spread = History([replace(bar, at=date.fromordinal(bar.at.toordinal() * 30)) for bar in bars])
    trade = only_trade(simulate(spread, Strategy(2, 3, cash=Decimal(100))))
    assert (trade.entry_price, trade.shares) == (50, 2)


def test_amounts_that_would_have_to_be_rounded_are_refused() -> None:
    trebling = [1, 3] * 600
    with pytest.raises(UnusableHistoryError, match="amounts of more than 200 digits"):
        simulate(history(trebling, trebling), Strategy(1, 2))


def test_an_equity_that_would_have_to_be_rounded_is_refused_where_no_trade_is() -> None:
    trebling = [1, 3] * 400
    held = simulate(history([*trebling, "1.000000000000000001", 3], [*trebling, 1, 3]), Strategy(1, 2))
    with pytest.raises(UnusableHistoryError, match="amounts of more than 200 digits"):
        held.equity()


# The same, slowly: one bar after the other, in fractions, each average anew


@dataclass
class Slow:
    cash: Fraction
    shares: Fraction = Fraction(0)
    equity: list[Fraction] = field(default_factory=list)
    fills: list[tuple[int, str, Fraction]] = field(default_factory=list)


def slowly(given: History, strategy: Strategy) -> Slow:
    account = Slow(Fraction(strategy.cash))
    closes = [Fraction(bar.close) for bar in given.bars]
    order: str | None = None
    for now, bar in enumerate(given.bars):
        if strategy.fill == "open" and order:
            _fill(account, strategy, now, order, Fraction(bar.open or 0))
        order = _order(closes[: now + 1], strategy)
        if strategy.fill == "close" and order:
            _fill(account, strategy, now, order, closes[now])
        account.equity.append(account.cash + account.shares * closes[now])
    return account


def _order(closes: list[Fraction], strategy: Strategy) -> str | None:
    if len(closes) <= strategy.slow:
        return None
    (fast_before, slow_before), (fast, slow) = (
        (sum(known[-strategy.fast :]) / strategy.fast, sum(known[-strategy.slow :]) / strategy.slow)
        for known in (closes[:-1], closes)
    )
    if fast_before <= slow_before and fast > slow:
        return "BUY"
    return "SELL" if fast_before >= slow_before and fast < slow else None


def _fill(account: Slow, strategy: Strategy, now: int, order: str, price: Fraction) -> None:
    slippage = price * Fraction(strategy.slippage_basis_points) / 10_000
    per_trade, per_share = Fraction(strategy.commission_per_trade), Fraction(strategy.commission_per_share)
    rate = Fraction(strategy.commission_basis_points) / 10_000
    if order == "BUY" and not account.shares:
        price += slippage
        lots = 10**6 if strategy.fractional else 1
        count = Fraction(floor((account.cash - per_trade) / (price * (1 + rate) + per_share) * lots), lots)
        if count > 0:
            account.cash -= count * price + per_trade + count * per_share + count * price * rate
            account.shares = count
            account.fills.append((now, order, price))
    elif order == "SELL" and account.shares:
        price -= slippage
        account.cash += account.shares * (price - per_share - price * rate) - per_trade
        account.shares = Fraction(0)
        account.fills.append((now, order, price))


cents = st.integers(1, 2_000).map(lambda cents: Decimal(cents) / 100)
# Few values, so that averages often touch; or decimals of any size.
markets = st.one_of(
    st.lists(st.tuples(*[st.integers(1, 4).map(Decimal)] * 2), min_size=1, max_size=60),
    st.lists(st.tuples(cents, cents), min_size=1, max_size=60),
    st.lists(st.tuples(cents, st.decimals("0.000000000000000001", 10**11, places=18)), min_size=1, max_size=20),
)
histories = markets.map(lambda prices: history([close for _, close in prices], [opened for opened, _ in prices]))
rates = st.sampled_from(["0", "0", "1", "12.5", "9999.999999"]).map(Decimal)
strategies = st.builds(
    lambda fast, more, **rest: Strategy(fast, fast + more, **rest),
    fast=st.integers(1, 5),
    more=st.integers(1, 6),
    cash=st.sampled_from(["1", "99.99", "10000", "999999999999.999999"]).map(Decimal),
    fill=st.sampled_from(["open", "close"]),
    fractional=st.booleans(),
    commission_per_trade=rates,
    commission_per_share=rates,
    commission_basis_points=rates,
    slippage_basis_points=rates,
)


@given(histories, strategies)
@example(history(TURNS, OPENS), Strategy(2, 3))
def test_an_independent_slow_account_comes_to_the_same_exactly(market: History, strategy: Strategy) -> None:
    fast, slow = simulate(market, strategy), slowly(market, strategy)
    assert [Fraction(each) for each in fast.equity()] == slow.equity
    assert Fraction(fast.metrics.final_equity) == slow.equity[-1]
    legs: list[Any] = [
        leg
        for trade in fast.trades
        for leg in ((trade.entry_at, "BUY", trade.entry_price), (trade.exit_at, "SELL", trade.exit_price))
        if leg[0]
    ]
    assert legs == [(market.bars[bar].at, side, price) for bar, side, price in slow.fills]
    assert sum(Fraction(trade.profit) for trade in fast.trades) + Fraction(strategy.cash) == slow.equity[-1]


@given(histories, strategies)
def test_equity_is_cash_and_shares_at_their_price_and_the_account_borrows_nothing(
    market: History, strategy: Strategy
) -> None:
    done = simulate(market, strategy)
    held = {holding.bar: holding for holding in done.holdings}
    holding = held[0]
    for bar, equity in enumerate(done.equity()):
        before, holding = holding, held.get(bar, holding)
        assert Fraction(equity) == Fraction(holding.cash) + Fraction(holding.shares) * Fraction(market.bars[bar].close)
        if holding.shares > before.shares:
            assert 0 <= holding.cash < before.cash


@given(histories, strategies)
def test_no_trade_is_on_the_bar_that_made_its_signal(market: History, strategy: Strategy) -> None:
    done = simulate(market, replace(strategy, fill="open"))
    made = {signal.bar for signal in done.signals}
    for holding in done.holdings[1:]:
        assert holding.bar - 1 in made


@given(histories, strategies, st.data())
def test_cutting_the_future_changes_nothing_in_the_past(
    market: History, strategy: Strategy, data: st.DataObject
) -> None:
    length = data.draw(st.integers(1, len(market.bars)))
    whole, cut = simulate(market, strategy), simulate(History(market.bars[:length]), strategy)
    assert cut.equity() == whole.equity()[:length]
    assert cut.signals == [signal for signal in whole.signals if signal.bar < length]
    assert cut.holdings == [holding for holding in whole.holdings if holding.bar < length]
    assert engine.check_lookahead(market, strategy) == len(market.bars)


def test_a_rule_that_looks_ahead_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def clairvoyant(closes: Any, fast: int, slow: int) -> list[Signal]:
        del fast, slow
        return [Signal(int(closes.argmin()), "BUY")]

    monkeypatch.setattr(engine, "find_signals", clairvoyant)
    with pytest.raises(LookaheadError, match="depend on later bars"):
        engine.check_lookahead(history(TURNS), Strategy(2, 3))
