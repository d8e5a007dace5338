from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.prices.alert_rules import (
    DEFAULT_RULE,
    EPOCH,
    ActiveRule,
    Alert,
    AlertRule,
    Detector,
    Outcome,
)
from trading.prices.ticks import Tick

NOON = datetime(2025, 6, 3, 12, tzinfo=UTC)
FALL = AlertRule(2, "AAPL", "fall", Decimal(2), 60)
ABOVE = AlertRule(3, "AAPL", "above", price=Decimal(100))
BELOW = AlertRule(4, "AAPL", "below", price=Decimal(100))
ONCE = AlertRule(5, "AAPL", "above", price=Decimal(100), once=True)


def tick(seconds: float, price: str | Decimal) -> Tick:
    return Tick("AAPL", Decimal(price), NOON + timedelta(seconds=seconds))


def alerts(ticks: Iterable[Tick], rule: AlertRule = DEFAULT_RULE) -> list[Alert]:
    detector = Detector("AAPL", [ActiveRule(rule)])
    return [alert for each in ticks for alert in detector.update(each).alerts]


def alerted_at(*points: tuple[float, str], rule: AlertRule = DEFAULT_RULE) -> list[float]:
    return [(alert.timestamp - NOON).total_seconds() for alert in alerts((tick(*point) for point in points), rule)]


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


def test_an_alert_uses_up_its_rise() -> None:
    assert alerted_at((0, "100"), (10, "98"), (20, "100.1")) == [20]
    assert alerted_at((0, "98"), (20, "100"), (40, "101.9"), (79, "101.9")) == [20]  # a plateau is silent
    assert alerted_at((0, "98"), (20, "100"), (30, "102"), (31, "102.01"), (40, "104.05"), (41, "104.1")) == [
        20,
        31,
        41,
    ]


def test_a_fall_and_a_new_rise_alert_again_at_once() -> None:
    first, second = alerts([tick(0, "100"), tick(20, "103"), tick(40, "90"), tick(59, "95")])
    assert [str(alert.rise_percent) for alert in (first, second)] == ["3.00", "5.56"]


def test_a_fall_alerts_as_a_rise_does_from_the_highest() -> None:
    [alert] = alerts([tick(0, "98"), tick(10, "100"), tick(20, "98"), tick(30, "97.9")], FALL)
    assert (alert.high_price, alert.high_timestamp) == (Decimal(100), NOON + timedelta(seconds=10))
    assert (str(alert.fall_percent), alert.low_price, alert.rule) == ("2.10", None, FALL)
    assert alert.headline() == "ALERT AAPL -2.10 % in 20 s"
    assert alerted_at((0, "100"), (1, "97"), (2, "96"), (3, "95"), (4, "100"), (5, "97"), rule=FALL) == [1, 3, 5]


def test_above_and_below_alert_again_only_after_a_tick_on_the_other_side() -> None:
    assert alerted_at((0, "101"), (1, "102"), (2, "100"), (3, "101"), (4, "99"), (5, "101"), rule=ABOVE) == [0, 5]
    assert alerted_at((0, "100"), (1, "99"), (2, "100"), (3, "98"), (4, "101"), (5, "99"), rule=BELOW) == [1, 5]
    [alert] = alerts([tick(0, "101.50")], ABOVE)
    assert (alert.low_price, alert.high_price) == (None, None)
    assert alert.headline() == "ALERT AAPL 101.50, above 100"


def test_a_late_tick_changes_no_side() -> None:
    assert alerted_at((2, "101"), (1, "99"), (3, "101"), rule=ABOVE) == [2]


def test_a_rule_that_alerts_once_ends_with_its_first_alert() -> None:
    assert alerted_at((0, "101"), (1, "99"), (2, "101"), rule=ONCE) == [0]


def test_a_rule_sees_no_tick_from_before_it_was_active() -> None:
    detector = Detector("AAPL", [ActiveRule(DEFAULT_RULE, NOON + timedelta(seconds=5))])
    ticks = [tick(0, "98"), tick(4, "101"), tick(5, "101"), tick(6, "103.1")]
    [alert] = [alert for each in ticks for alert in detector.update(each).alerts]
    assert alert.low_timestamp == NOON + timedelta(seconds=5)


def test_the_default_rule_keeps_its_ids_and_others_have_their_own() -> None:
    ticks = [tick(0, "98"), tick(9, "100.1")]
    rules = [DEFAULT_RULE, replace(DEFAULT_RULE, id=7), replace(DEFAULT_RULE, id=None)]
    assert [alerts(ticks, rule)[0].id for rule in rules] == [
        "ec422445-ec96-57d6-ac8b-c322cbace0fd",
        "feff955c-26c6-58df-b882-fb125b5c546d",
        "7df8f5ab-d41a-5319-82d5-e70eb2c56d09",
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
    watch = Detector("AAPL")
    watch.update(tick(4, "1"))
    watch.update(tick(10, "1"))
    assert watch.update(tick(seconds, "1")).outcome is outcome


def test_a_late_tick_that_comes_twice_counts_once() -> None:
    watch = Detector("AAPL")
    outcomes = [watch.update(tick(seconds, "1")).outcome for seconds in (10, 8, 8)]
    assert outcomes == [Outcome.COUNTED, Outcome.COUNTED, Outcome.REPEATED]


def expected(judged: Iterable[tuple[Tick, Sequence[ActiveRule]]]) -> list[tuple[Any, ...]]:
    """Judge ticks in the plainest way: for each, look at all that came before it."""
    taken: list[Tick] = []
    found: list[tuple[Any, ...]] = []
    for each, rules in judged:
        newest = max((other.timestamp for other in taken), default=None)
        if newest is not None and (
            each.timestamp < newest - timedelta(seconds=5) or any(each.timestamp == other.timestamp for other in taken)
        ):
            continue
        is_late = newest is not None and each.timestamp < newest
        taken.append(each)
        in_order = [] if is_late else [other for other in taken if other.timestamp <= each.timestamp]
        for active in rules:
            told = [at for rule, at, *_ in found if rule is active]
            seen = [other for other in in_order if other.timestamp >= active.active_from]
            if each not in seen or (active.rule.once and told):
                continue
            since = told[-1] if told else active.active_from
            if active.rule.kind in {"above", "below"}:
                if crosses(active.rule, each, told, taken):
                    found.append((active, each.timestamp, None, None))
            elif origin := moved(active.rule, each, [other for other in seen if other.timestamp >= since]):
                found.append((active, each.timestamp, *origin))
    return [(active.rule.id, *rest) for active, *rest in found]


def crosses(rule: AlertRule, each: Tick, told: list[datetime], taken: list[Tick]) -> bool:
    sign = 1 if rule.kind == "above" else -1
    assert rule.price
    if sign * each.price <= sign * rule.price:
        return False
    newest = EPOCH
    was_back = not told
    for other in taken:
        if other.timestamp > newest:
            newest = other.timestamp
            was_back |= other.timestamp > told[-1] and sign * other.price < sign * rule.price if told else False
    return was_back


def moved(rule: AlertRule, each: Tick, seen: list[Tick]) -> tuple[Decimal, datetime] | None:
    assert rule.percent
    assert rule.window_seconds
    sign = 1 if rule.kind == "rise" else -1
    begin = each.timestamp - timedelta(seconds=rule.window_seconds)
    if rule.window_seconds > 60:
        begin = begin.replace(microsecond=0)
    origin = min(
        (other for other in seen if other.timestamp >= begin),
        key=lambda other: (sign * other.price, -other.timestamp.timestamp()),
    )
    limit = (100 + sign * Fraction(rule.percent)) / 100 * Fraction(origin.price)
    return (origin.price, origin.timestamp) if sign * each.price > sign * limit else None


# Steps are small, so that ticks come late and twice, and several in a second, and prices few, so that lows are equal.
steps = st.integers(-24, 60) | st.integers(1, 3)  # quarters of a second
streams = st.lists(st.tuples(steps, st.integers(96, 106).map(Decimal)), max_size=60).map(
    lambda steps: [
        tick(sum(step for step, _ in steps[: number + 1]) / 4, price) for number, (_, price) in enumerate(steps)
    ]
)
moves = st.builds(
    lambda kind, percent, seconds, once: AlertRule(None, "AAPL", kind, percent, seconds, once=once),
    st.sampled_from(["rise", "fall"]),
    st.sampled_from([Decimal("0.5"), Decimal(2), Decimal(4)]),
    st.sampled_from([1, 10, 60, 61, 90, 300]),
    st.booleans(),
)
levels = st.builds(
    lambda kind, price, once: AlertRule(None, "AAPL", kind, price=price, once=once),
    st.sampled_from(["above", "below"]),
    st.integers(97, 105).map(Decimal),
    st.booleans(),
)
# In each period some rules are gone and others are new, active since a few seconds before or after the newest tick.
periods = st.lists(
    st.tuples(
        st.integers(1, 30),
        st.sets(st.integers(0, 11)),
        st.lists(st.tuples(moves | levels, st.integers(-20, 20)), max_size=6),
    ),
    max_size=6,
)


@given(streams, periods, st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_the_rules_are_those_of_who_looks_at_everything_each_time(
    ticks: list[Tick], changes: list[tuple[int, set[int], list[tuple[AlertRule, int]]]], sizes: list[int]
) -> None:
    rules = [ActiveRule(DEFAULT_RULE)]
    numbers = count(2)
    saved, judged, found = None, [], []
    rest, newest = ticks, NOON
    for size, gone, new in [*changes, (len(ticks), set(), [])]:
        rules = [rule for number, rule in enumerate(rules) if number not in gone]
        for rule, quarters in new:
            numbered = AlertRule(
                next(numbers), rule.ticker, rule.kind, rule.percent, rule.window_seconds, rule.price, rule.once
            )
            rules.append(ActiveRule(numbered, newest + timedelta(seconds=quarters / 4)))
        period, rest = rest[:size], rest[size:]
        judged += [(each, rules) for each in period]
        newest = max([newest, *(each.timestamp for each in period)])
        while period:
            length = sizes[len(period) % len(sizes)]
            batch, period = period[:length], period[length:]
            detector = Detector("AAPL", rules, saved)
            found += [alert for each in batch for alert in detector.update(each).alerts]
            saved = detector.save()
    assert [
        (
            alert.rule.id,
            alert.timestamp,
            alert.low_price or alert.high_price,
            alert.low_timestamp or alert.high_timestamp,
        )
        for alert in found
    ] == expected(judged)
    assert len({alert.id for alert in found}) == len(found)


@given(streams, st.lists(moves | levels, max_size=8, unique_by=str), st.sets(st.integers(0, 60)))
def test_saved_and_restored_anywhere_it_finds_the_same_alerts_with_the_same_ids(
    ticks: list[Tick], asked: list[AlertRule], cuts: set[int]
) -> None:
    rules = [ActiveRule(rule) for rule in asked]
    whole, watch = Detector("AAPL", rules), Detector("AAPL", rules)
    found = []
    for start, end in pairwise(sorted({0, len(ticks), *(cut for cut in cuts if cut < len(ticks))})):
        watch = Detector("AAPL", rules, watch.save())
        found += [alert for each in ticks[start:end] for alert in watch.update(each).alerts]
    assert found == [alert for each in ticks for alert in whole.update(each).alerts]


@given(streams)
def test_what_comes_again_at_the_end_changes_nothing(ticks: list[Tick]) -> None:
    watch = Detector("AAPL", [ActiveRule(rule) for rule in (DEFAULT_RULE, FALL, ABOVE, ONCE)])
    for each in ticks:
        watch.update(each)
    saved = watch.save()
    newest = max((each.timestamp for each in ticks), default=NOON)
    again = [each for each in ticks if each.timestamp >= newest - timedelta(seconds=60)]
    assert all(watch.update(each).outcome is not Outcome.COUNTED for each in again)
    assert watch.save() == saved


@pytest.mark.parametrize("direction", [1, -1])
def test_the_state_stays_small_where_prices_only_rise_or_only_fall(direction: int) -> None:
    quarter_hour = [AlertRule(number, "AAPL", "rise", Decimal(900), 900) for number in range(2, 27)]
    quarter_hour += [AlertRule(number, "AAPL", "fall", Decimal(90), 900) for number in range(27, 52)]
    detector = Detector("AAPL", [ActiveRule(rule) for rule in quarter_hour])
    for number in range(9_500):
        detector.update(tick(number / 10, Decimal("100000.000001") + direction * number))
    assert len(detector.save()) <= 256 * 1024


def test_an_alert_whose_second_is_long_past_still_ends_the_rise_before_it() -> None:
    detector = Detector("AAPL", [ActiveRule(AlertRule(2, "AAPL", "rise", Decimal(2), 300))])
    found: list[Alert] = []
    for each in (tick(0.25, "98"), tick(0.5, "101"), tick(70, "101.6"), tick(80, "103.1")):
        found += detector.update(each).alerts
        detector.save()  # keeps whole seconds of what is older than a minute
    assert [(alert.timestamp - NOON).total_seconds() for alert in found] == [0.5, 80]


def test_a_state_from_before_there_were_rules_goes_on() -> None:
    saved = (
        '{"newest":"2025-06-03T12:00:20Z","recent":["2025-06-03T12:00:20Z"],'
        '"lows":[["2025-06-03T12:00:10Z","98"],["2025-06-03T12:00:20Z","100.1"]],'
        '"alerted":["2025-06-03T12:00:20Z","100.1"]}'
    )
    later = [tick(20, "100.1"), tick(21, "101"), tick(22, "102.2")]
    detector = Detector("AAPL", saved=saved)
    found = [detector.update(each) for each in later]
    assert [each.outcome for each in found] == [Outcome.REPEATED, Outcome.COUNTED, Outcome.COUNTED]
    [alert] = found[-1].alerts
    assert alert.low_timestamp == NOON + timedelta(seconds=20)


def test_a_tick_of_the_first_year_and_one_of_the_last_are_judged_like_any_other() -> None:
    watch = Detector("AAPL")
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    for timestamp in (first, first + timedelta(seconds=1), last):
        assert watch.update(Tick("AAPL", Decimal(1), timestamp)).outcome is Outcome.COUNTED
    assert watch.update(Tick("AAPL", Decimal(1), first)).outcome is Outcome.TOO_OLD
