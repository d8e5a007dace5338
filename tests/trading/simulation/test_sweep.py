import json
import math
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import islice

import pytest
from pydantic import TypeAdapter

from tests.trading.simulation.test_engine import TURNS, history
from trading.simulation.engine import Strategy, simulate
from trading.simulation.sweep import METRICS, Sweep, SweptPair, parse_windows, try_pairs, window_pairs


def test_windows_are_named_from_the_first_to_the_last_in_steps() -> None:
    assert list(parse_windows("5:20:5")) == [5, 10, 15, 20]
    assert list(parse_windows("5:19:5")) == [5, 10, 15]
    assert list(parse_windows("7:7:1")) == [7]


@pytest.mark.parametrize(
    "text", ["", "5", "5:10", "5:10:0", "0:10:5", "10:5:1", "1:5001:1", "1:2:3:4", " 1:2:1", "-1:2:1", 5, None]
)
def test_what_names_no_windows_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_windows(text)


def test_the_fast_window_of_a_pair_is_the_shorter_one() -> None:
    assert list(window_pairs([1, 2, 3], [2, 3])) == [(1, 2), (1, 3), (2, 3)]


def test_pairs_are_made_as_they_are_taken_however_many_there_are() -> None:
    def fasts() -> Iterator[int]:
        yield 1
        pytest.fail("more were made than taken")

    assert list(islice(window_pairs(fasts(), range(1, 5_001)), 2)) == [(1, 2), (1, 3)]


def test_each_pair_is_what_it_is_alone() -> None:
    market, strategy = history(TURNS, TURNS), Strategy(1, 2, cash=Decimal(100))
    for pair in try_pairs(market, strategy, "total_return", window_pairs(range(1, 4), range(2, 6))):
        alone = simulate(market, replace(strategy, fast=pair.fast, slow=pair.slow))
        assert pair.value == (alone.metrics.total_return if alone.trades else None)


def test_a_pair_without_trades_is_never_the_best_even_of_pairs_that_lost() -> None:
    losing = history([*TURNS, 9], [*TURNS, 8])
    tried = try_pairs(losing, Strategy(1, 2, cash=Decimal(100)), "total_return", [(2, 3), (9, 10)])
    assert [pair.value is None for pair in tried] == [False, True]
    best = Sweep("total_return", tried).best()
    assert best is not None
    assert best.fast == 2
    assert best.value == pytest.approx(-0.35)


def test_a_pair_that_never_lost_is_the_best_by_its_profit_factor_and_said_to_be_in_json() -> None:
    tried = [SweptPair(2, 9, 4.0), SweptPair(3, 9, math.inf), SweptPair(1, 9, None)]
    sweep = Sweep("profit_factor", tried)
    assert sweep.best() == SweptPair(3, 9, math.inf)
    assert json.loads(TypeAdapter(Sweep).dump_json(sweep))["pairs"][1] == {"fast": 3, "slow": 9, "value": "Infinity"}


def test_the_best_has_the_highest_value_and_of_equal_ones_the_shorter_windows() -> None:
    tried = [SweptPair(5, 9, None), SweptPair(2, 9, -1.5), SweptPair(4, 8, -1), SweptPair(3, 8, -1)]
    assert Sweep("sharpe", tried).best() == SweptPair(3, 8, -1)
    assert Sweep("sharpe", tried).simulated() == SweptPair(3, 8, -1)
    assert METRICS[:3] == ("total_return", "cagr", "sharpe")


def test_where_no_pair_has_a_value_none_is_the_best_and_the_shortest_windows_are_simulated() -> None:
    undefined = Sweep("sharpe", [SweptPair(2, 9, None), SweptPair(1, 9, None), SweptPair(3, 10, None)])
    assert undefined.best() is None
    assert undefined.simulated() == SweptPair(1, 9, None)
