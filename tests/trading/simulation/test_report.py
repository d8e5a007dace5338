import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.trading.simulation.test_engine import OPENS, TURNS, history
from trading.simulation import report, results, svg
from trading.simulation.engine import Strategy, simulate
from trading.simulation.results import RESULT, SimulationResult
from trading.simulation.svg import Line
from trading.simulation.sweep import Sweep, try_pairs, window_pairs


def result(name: str = "MSFT", *, swept: bool = False) -> SimulationResult:
    market, strategy = history([*TURNS, 9], [*OPENS, 8]), Strategy(2, 3, cash=Decimal(100))
    windows = window_pairs(range(1, 4), range(2, 6))
    sweep = Sweep("sharpe", try_pairs(market, strategy, "sharpe", windows)) if swept else None
    return results.result_of(simulate(market, strategy), name, sweep)


class Page(HTMLParser):
    """A reader that insists on what is opened being closed, and remembers what it saw."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def count(self, tag: str, **attributes: str) -> int:
        return sum(name == tag and attributes.items() <= found.items() for name, found in self.seen)


def test_the_page_has_prices_averages_marks_equity_drawdown_and_what_was_swept() -> None:
    page = Page(report.render(result(swept=True)))
    for css in ("close", "fast", "slow", "equity", "held"):
        assert page.count("polyline", **{"class": css}) == 1
    assert page.count("polygon", **{"class": "drawdown"}) == 1
    assert page.count("use", href="#buy") == page.count("use", href="#sell") == 1
    assert page.count("rect") == 9
    assert page.count("rect", **{"class": "best"}) == 1


def test_the_page_needs_nothing_but_itself() -> None:
    text = report.render(result(swept=True))
    page = Page(text)
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in page.seen}
    assert not re.search(r"https?:|url\(|@import", text)
    assert page.count("meta", name="viewport") == 1


def test_whatever_a_history_is_called_it_is_text() -> None:
    text = report.render(result('<script>"&'))
    Page(text)
    assert "<script" not in text
    assert "<title>&lt;script&gt;&quot;&amp;: 2/3" in text


@pytest.mark.parametrize("closes", [[7], [7, 7], [7] * 12])
def test_a_market_without_trades_has_a_page_too(closes: list[int]) -> None:
    flat = simulate(history(closes, closes), Strategy(2, 3, cash=Decimal(100)))
    text = report.render(results.result_of(flat, "FLAT"))
    Page(text)
    assert "There was none." in text
    assert "nan" not in text


def test_a_sweep_in_which_no_pair_has_a_value_has_no_best() -> None:
    market, strategy = history([7] * 12, [7] * 12), Strategy(1, 4)
    swept = try_pairs(market, strategy, "sharpe", window_pairs(range(1, 4), range(4, 6)))
    flat = results.result_of(simulate(market, strategy), "FLAT", Sweep("sharpe", swept))
    text = report.render(flat)
    assert (Page(text).count("rect"), Page(text).count("rect", **{"class": "best"})) == (6, 0)
    assert "it is not defined for any, so none is the best; 1/4 is simulated" in text


def test_of_very_many_trades_some_are_marked_the_latest_are_listed_and_the_page_says_so() -> None:
    few, (trade,) = result(), result().trades
    full = report.render(replace(few, trades=[trade] * report.TRADES_SHOWN))
    more = report.render(replace(few, trades=[trade] * 25_000))
    for text in (full, more):
        page = Page(text)
        assert page.count("use", href="#buy") == page.count("use", href="#sell") == 1_000
        assert page.count("tr") == 1_001
    assert "of 1,000" not in full
    assert "Price, and 1,000 of 25,000 trades" in more
    assert "The latest 1,000 of 25,000; the result as JSON has all." in more


def test_a_result_is_the_same_after_it_was_kept_as_json() -> None:
    for each in (result(), result(swept=True)):
        text = RESULT.dump_json(each)
        kept = RESULT.validate_json(text)
        assert RESULT.dump_json(kept) == text
        assert report.render(kept) == report.render(each)


def test_trades_as_csv_have_all_their_digits_and_an_open_one_no_exit() -> None:
    market = history(TURNS, OPENS)
    costs = Strategy(2, 3, cash=Decimal(100), commission_basis_points=Decimal("0.5"))
    still_open = simulate(market, costs).trades
    assert results.trades_csv(still_open) == (
        "entry_at,entry_price,shares,exit_at,exit_price,fees,profit\n0001-01-07,12,8,,,0.0048,-24.0048\n"
    )
    [closed] = result().trades
    assert results.trades_csv([closed]).splitlines()[1] == "0001-01-07,12,8,0001-01-11,8,0,-32"


def points(page: str) -> list[tuple[int, int]]:
    [text] = re.findall(r'points="([^"]*)"', page)
    return [(int(x), int(y)) for x, y in (pair.split(",") for pair in text.split())]


def test_a_long_curve_is_thinned_without_losing_a_peak() -> None:
    values: list[Any] = [0.0] * 100_000
    values[54_321], values[77_777] = 1.0, -1.0
    drawn = points(svg.line_chart("x", ["day"] * len(values), [Line("a", "a", values)]))
    assert len(drawn) <= 2 * svg.BUCKETS
    assert max(drawn, key=lambda point: point[1])[0] == pytest.approx(7_778, abs=1)
    assert min(drawn, key=lambda point: point[1])[0] == pytest.approx(5_432, abs=1)
    assert drawn == sorted(drawn, key=lambda point: point[0])


def test_a_curve_fills_its_box_and_begins_where_it_is_known() -> None:
    drawn = points(svg.line_chart("x", list("abcde"), [Line("a", "a", [None, 10.0, 20.0, 15.0, 30.0])]))
    assert [x for x, _ in drawn] == [2_500, 5_000, 7_500, 10_000]
    assert drawn[0][1] > drawn[2][1] > drawn[1][1] > drawn[3][1]


@pytest.mark.parametrize("value", [1e-9, 0.0, 7.0, 1e15])
def test_a_scale_has_some_round_values_whatever_its_size(value: float) -> None:
    page = svg.line_chart("x", ["a", "b"], [Line("a", "a", [value, value * 1.5])])
    assert 1 <= page.count("<line ") <= 10


def test_numbers_for_the_eye_have_a_dash_where_there_is_none() -> None:
    metrics = replace(result().metrics, sharpe=None, final_equity=Decimal("1234.567"))
    figures = dict(report.figures(metrics))
    assert (figures["Sharpe ratio"], figures["Final equity"], figures["Return"]) == ("–", "1,234.57", "-32.00%")  # noqa: RUF001
