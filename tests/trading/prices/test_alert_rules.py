from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.prices.alert_rules import Alert, Outcome, RiseDetector
from trading.prices.ticks import Tick

NOON = datetime(2025, 6, 3, 12, tzinfo=UTC)


def tick(seconds: float, price: str | Decimal) -> Tick:
    return Tick("AAPL", Decimal(price), NOON + timedelta(seconds=seconds))


def alerts(ticks: Iterable[Tick]) -> list[Alert]:
    watch = RiseDetector("AAPL")
    return [alert for each in ticks if (alert := watch.update(each).alert)]


def alerted_at(*points: tuple[float, str]) -> list[float]:
    return [(alert.timestamp - NOON).total_seconds() for alert in alerts(tick(*point) for point in points)]


def test_a_rise_of_more_than_two_percent_from_the_lowest_of_the_minute_alerts() -> None:
    [alert] = alerts([tick(0, "100"), tick(10, "98"), tick(20, "100.1")])
    assert (alert.ticker, alert.price, alert.timestamp) == ("AAPL", Decimal("100.1"), NOON + timedelta(seconds=20))
    assert (alert.low_price, alert.low_timestamp) == (Decimal(98), NOON + timedelta(seconds=10))
    assert str(alert.rise_percent) == "2.14"


def test_exactly_two_percent_is_not_more_than_two_percent() -> None:
    assert alerted_at((0, "100"), (10, "102")) == []
    assert alerted_at((0, "100"), (10, "102.000001")) == [10]
    assert alerted_at((0, "0.1"), (10, "0.102")) == []  # as floats, 0.102 is more than 1.02 * 0.1


def test_the_minute_includes_its_first_instant_and_nothing_before_it() -> None:
    assert alerted_at((0, "98"), (60, "100.1")) == [60]
    assert alerted_at((0, "98"), (60.000001, "100.1")) == []


def test_the_latest_of_equal_lows_is_the_one_that_is_told() -> None:
    [alert] = alerts([tick(0, "98"), tick(5, "98"), tick(9, "100.1")])
    assert alert.low_timestamp == NOON + timedelta(seconds=5)


def test_after_an_alert_it_is_quiet_for_a_minute() -> None:
    assert alerted_at((0, "98"), (20, "100"), (40, "101.9")) == [20]
    assert alerted_at((0, "98"), (20, "100.1"), (50, "98"), (79.9, "101"), (80, "101")) == [20, 80]


def test_a_rise_by_as_much_again_is_told_within_the_quiet() -> None:
    assert alerted_at((0, "98"), (20, "100"), (30, "102"), (31, "102.01"), (40, "104.05"), (41, "104.1")) == [
        20,
        31,
        41,
    ]


def test_a_late_tick_enters_the_window_and_cannot_alert() -> None:
    assert alerted_at((0, "98"), (10, "99"), (8, "101"), (11, "99")) == []
    assert alerted_at((0, "100"), (10, "99"), (8, "97"), (11, "99")) == [11]


@pytest.mark.parametrize(
    ("seconds", "outcome"),
    [
        (10.1, Outcome.COUNTED),
        (10, Outcome.REPEATED),
        (9.9, Outcome.COUNTED),
        (5, Outcome.COUNTED),
        (4, Outcome.TOO_OLD),
    ],
)
def test_a_tick_is_repeated_or_late_or_too_old(seconds: float, outcome: Outcome) -> None:
    watch = RiseDetector("AAPL")
    watch.update(tick(4, "1"))
    watch.update(tick(10, "1"))
    assert watch.update(tick(seconds, "1")).outcome is outcome


def test_a_late_tick_that_comes_twice_counts_once() -> None:
    watch = RiseDetector("AAPL")
    outcomes = [watch.update(tick(seconds, "1")).outcome for seconds in (10, 8, 8)]
    assert outcomes == [Outcome.COUNTED, Outcome.COUNTED, Outcome.REPEATED]


def expected(ticks: list[Tick]) -> list[tuple[datetime, Decimal, datetime]]:
    """Judge ticks in the plainest way: look at all that came before, for each."""
    taken: list[Tick] = []
    told: list[Tick] = []
    found = []
    for each in ticks:
        newest = max((other.timestamp for other in taken), default=None)
        if newest is not None and (
            each.timestamp < newest - timedelta(seconds=5) or any(each.timestamp == other.timestamp for other in taken)
        ):
            continue
        taken.append(each)
        if newest is not None and each.timestamp < newest:
            continue
        since = each.timestamp - timedelta(seconds=60)
        window = [other for other in taken if since <= other.timestamp <= each.timestamp]
        low = min(window, key=lambda other: (other.price, -other.timestamp.timestamp()))
        if each.price * 100 <= low.price * 102:
            continue
        is_quiet = told and (each.timestamp - told[-1].timestamp).total_seconds() < 60
        if is_quiet and each.price * 100 <= told[-1].price * 102:
            continue
        told.append(each)
        found.append((each.timestamp, low.price, low.timestamp))
    return found


# Steps are small, so that ticks come late and twice, and prices few, so that lows are equal.
streams = st.lists(st.tuples(st.integers(-24, 60), st.integers(96, 106).map(Decimal)), max_size=60).map(
    lambda steps: [
        tick(sum(step for step, _ in steps[: number + 1]) / 4, price) for number, (_, price) in enumerate(steps)
    ]
)


@given(streams)
def test_the_rule_is_that_of_who_looks_at_everything_each_time(ticks: list[Tick]) -> None:
    found = [(alert.timestamp, alert.low_price, alert.low_timestamp) for alert in alerts(ticks)]
    assert found == expected(ticks)


@given(streams, st.sets(st.integers(0, 60)))
def test_saved_and_restored_anywhere_it_finds_the_same_alerts_with_the_same_ids(
    ticks: list[Tick], cuts: set[int]
) -> None:
    watch = RiseDetector("AAPL")
    found = []
    for start, end in pairwise(sorted({0, len(ticks), *(cut for cut in cuts if cut < len(ticks))})):
        watch = RiseDetector("AAPL", watch.save())
        found += [alert for each in ticks[start:end] if (alert := watch.update(each).alert)]
    assert found == alerts(ticks)


@given(streams)
def test_what_comes_again_at_the_end_changes_nothing(ticks: list[Tick]) -> None:
    watch = RiseDetector("AAPL")
    for each in ticks:
        watch.update(each)
    saved = watch.save()
    newest = max((each.timestamp for each in ticks), default=NOON)
    again = [each for each in ticks if each.timestamp >= newest - timedelta(seconds=60)]
    assert all(watch.update(each).outcome is not Outcome.COUNTED for each in again)
    assert watch.save() == saved


def test_a_tick_of_the_first_year_and_one_of_the_last_are_judged_like_any_other() -> None:
    watch = RiseDetector("AAPL")
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    for timestamp in (first, first + timedelta(seconds=1), last):
        assert watch.update(Tick("AAPL", Decimal(1), timestamp)).outcome is Outcome.COUNTED
    assert watch.update(Tick("AAPL", Decimal(1), first)).outcome is Outcome.TOO_OLD
