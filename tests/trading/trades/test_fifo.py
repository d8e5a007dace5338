"""FIFO against an independent reckoning: fractions, and ranges of shares instead of a queue of lots."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.trades import fifo
from trading.trades.fifo import Entry, Fifo, Key, Match, Profit, State


def entries(*trades: tuple[int, int, int]) -> list[Entry]:
    """Return trades of (shares, price, fee) in whole numbers, every third of them of before a split."""
    return [
        (number, number, shares, price, 1 if number % 3 else 7, fee)
        for number, (shares, price, fee) in enumerate(trades, 1)
    ]


def reader_of(ledger: Sequence[Entry]) -> fifo.LotReader:
    def read(bought: bool, after: Key, limit: int) -> list[Entry]:  # noqa: FBT001 - a LotReader
        side = [entry for entry in ledger if entry[2] and (entry[2] > 0) == bought]
        return [entry for entry in side if entry[:2] > after][:limit]

    return read


def run(ledger: Sequence[Entry], state: State | None = None) -> tuple[State, list[Match]]:
    """Return the state after a ledger, and its matches; from a state on, those of the trades after it."""
    engine = Fifo(state or State(), reader_of(ledger))
    last = engine.state.last
    matches: list[Match] = []
    profit = engine.match([entry for entry in ledger if entry[:2] > last], matches)
    expected = Profit()
    for match in matches:
        expected.add(Profit.of(match))
    assert profit == expected
    return engine.state, matches


def part(total: Fraction, size: int, begin: int, end: int) -> int:
    """Return what the shares (begin, end] of an entry of `size` shares have of a total of it."""
    return round(total * end / size) - round(total * begin / size)


def amount(entry: Entry) -> Fraction:
    """Return what the shares of an entry are worth together."""
    _, _, shares, price, factor, _ = entry
    return Fraction(abs(shares) * price, factor)


def ranges(side: Sequence[Entry]) -> list[tuple[Entry, int, int]]:
    found, end = [], 0
    for entry in side:
        found.append((entry, end, end + abs(entry[2])))
        end += abs(entry[2])
    return found


def reckoned(ledger: Sequence[Entry]) -> tuple[list[Match], list[tuple[Entry, int, int]]]:
    """Return the matches of a ledger, and its open lots with their shares and their cost: by ranges that overlap."""
    bought = ranges([entry for entry in ledger if entry[2] > 0])
    sold = ranges([entry for entry in ledger if entry[2] < 0])
    matches = []
    for buy, buy_begin, buy_end in bought:
        for sell, sell_begin, sell_end in sold:
            begin, end = max(buy_begin, sell_begin), min(buy_end, sell_end)
            if begin < end:
                of_buy = buy_end - buy_begin, begin - buy_begin, end - buy_begin
                of_sell = sell_end - sell_begin, begin - sell_begin, end - sell_begin
                fees = part(Fraction(buy[5]), *of_buy), part(Fraction(sell[5]), *of_sell)
                cost, proceeds = part(amount(buy), *of_buy) + fees[0], part(amount(sell), *of_sell) - fees[1]
                opening, closing = sorted((buy, sell))
                matches.append((opening, closing, end - begin, cost, proceeds, sum(fees)))
    met = sum(match[2] for match in matches)
    lots = []
    for side, sign in ((bought, 1), (sold, -1)):
        for entry, begin, end in side:
            if end > met:
                of_lot = end - begin, max(met - begin, 0), end - begin
                left, fee = part(amount(entry), *of_lot), part(Fraction(entry[5]), *of_lot)
                lots.append((entry, sign * (end - max(begin, met)), sign * left + fee))
    return matches, lots


TRADES = st.lists(
    st.tuples(st.integers(-12, 12), st.integers(0, 50), st.integers(0, 7)).map(
        lambda trade: trade if trade[0] else (0, trade[1], 0)
    ),
    max_size=30,
)


@given(TRADES)
def test_matches_lots_and_sums_are_those_of_overlapping_ranges(trades: list[tuple[int, int, int]]) -> None:
    ledger = entries(*trades)
    state, matches = run(ledger)
    expected, lots = reckoned(ledger)
    assert matches == expected
    assert state.shares == sum(shares for _, shares, _ in lots)
    assert state.cost_basis == sum(cost for _, _, cost in lots)
    assert state.realized_profit == sum(proceeds - cost for _, _, _, cost, proceeds, _ in matches)
    assert state.fees == sum(entry[5] for entry in ledger)
    assert state.trade_count == len(ledger)
    assert state.lots == len(lots)
    open_lots = reader_of(ledger)(state.shares > 0, state.closed, state.lots)
    assert open_lots == [entry for entry, _, _ in lots]
    assert state.taken == (abs(lots[0][0][2]) - abs(lots[0][1]) if lots else 0)


@given(TRADES, st.data())
def test_a_ledger_in_pieces_comes_to_the_same(trades: list[tuple[int, int, int]], data: st.DataObject) -> None:
    ledger = entries(*trades)
    cut = data.draw(st.integers(0, len(ledger)))
    state, before = run(ledger[:cut])
    after, rest = run(ledger, replace(state))
    assert (after, before + rest) == run(ledger)


@given(TRADES)
def test_lots_that_are_not_held_are_read_again(trades: list[tuple[int, int, int]]) -> None:
    ledger = entries(*trades)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fifo, "LOTS_HELD", 2)
        found = run(ledger)
    assert found == run(ledger)
