import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Channels, Rows
from trading.core import database, topics
from trading.core.errors import InvalidError
from trading.notifications import events, outbox
from trading.notifications.events import PriceAlerted
from trading.prices import records, rule_records
from trading.prices.alert_rules import AlertRule, Detector
from trading.prices.records import PriceAverage, PriceFilter, Recorded
from trading.prices.rule_records import AlertRuleChange, NewAlertRule
from trading.prices.ticks import Tick

NOON = datetime(2025, 6, 3, 12, tzinfo=UTC)
pytestmark = pytest.mark.usefixtures("rows")


def tick(seconds: float, price: str | Decimal, ticker: str = "AAPL") -> Tick:
    return Tick(ticker, Decimal(price), NOON + timedelta(seconds=seconds))


TABLES = ("price_averages", "price_windows", "alerts", "notifications")


def contents(rows: Rows) -> list[list[tuple[Any, ...]]]:
    return [rows(f"select * from {table}") for table in TABLES]  # noqa: S608 - the tables are constants


RISE = [tick(0, "100"), tick(10, "98"), tick(20, "100.1")]


def record(ticker: str, ticks: Sequence[Tick]) -> Recorded:
    return records.record({ticker: ticks})[ticker]


def new_rule(**settings: Any) -> int:
    """Record a rule of AAPL that is active since ever, and return its id."""
    rule = rule_records.create(NewAlertRule.model_validate({"ticker": "AAPL", **settings}), "local")
    database.query(
        "update alert_rules set active_from = '0001-01-01T00:00:00Z' where id = %(id)s returning id",
        {"id": rule.id},
        repeatable=True,
    )
    return rule.id


def alerted(rule_id: int) -> list[Decimal]:
    """Return the prices at which a rule has alerted."""
    found, _ = records.find_alerts(PriceFilter())
    return [alert.price for alert in reversed(found) if alert.rule.id == rule_id]


def averages(ticker: str = "AAPL") -> list[PriceAverage]:
    return records.find_averages(PriceFilter(ticker))[0]


def test_ticks_come_to_an_average_for_each_five_minutes_that_have_any() -> None:
    ticks = [tick(0, "1.00"), tick(299.999999, "2"), tick(300, "4"), tick(900, "1"), tick(901, "1"), tick(902, "2")]
    assert record("AAPL", ticks).counted == 6
    third, second, first = averages()
    one, two = Decimal("1.00"), Decimal(2)
    assert first == PriceAverage("AAPL", NOON, Decimal("1.5"), open=one, high=two, low=one, close=two, count=2)
    assert (second.bucket_start, second.mean, second.count) == (NOON + timedelta(minutes=5), Decimal(4), 1)
    assert (third.bucket_start, str(third.mean)) == (NOON + timedelta(minutes=15), "1.333333")


def test_a_late_tick_may_open_its_five_minutes_and_one_that_is_too_old_is_in_no_average() -> None:
    record("AAPL", [tick(302, "5")])
    assert record("AAPL", [tick(301, "7"), tick(296, "9")]) == Recorded(1, 0, 1, [], newest=None)
    [average] = averages()
    assert (average.open, average.close, average.high, average.count) == (Decimal(7), Decimal(5), Decimal(7), 2)


def test_an_alert_is_recorded_with_its_notification() -> None:
    [recorded] = record("AAPL", RISE).alerts
    assert str(recorded.alert.rise_percent) == "2.14"
    [[alert_id, trade_id]] = database.query(
        "select alert_id, trade_id from notifications where id = %(id)s",
        {"id": recorded.notification_id},
        repeatable=True,
    )
    assert (alert_id, trade_id) == (recorded.alert.id, None)
    assert records.find_alerts(PriceFilter()) == ([recorded.alert], None)


def test_ticks_that_come_again_change_nothing(rows: Rows) -> None:
    record("AAPL", RISE)
    before = contents(rows)
    assert record("AAPL", RISE) == Recorded(0, 1, 2, [])
    assert contents(rows) == before


def test_two_who_record_the_same_ticks_at_once_record_them_once(database_url: str) -> None:
    """The lock is what is tested: each thread has a connection of its own."""

    def record_once(_: int) -> int:
        with psycopg2.connect(database_url) as connection, connection.cursor() as cursor:
            return records._record(cursor, {"AAPL": RISE})["AAPL"].counted  # noqa: SLF001

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(record_once, range(8))) == [0] * 7 + [3]
    [average] = averages()
    assert average.count == 3


def test_an_error_on_the_way_leaves_nothing_half_done(rows: Rows) -> None:
    rows("alter table alerts add check (ticker <> 'AAPL'); select 1")
    with pytest.raises(psycopg2.errors.CheckViolation):
        record("AAPL", RISE)
    assert contents(rows) == [[], [], [], []]


def test_every_rule_of_the_ticker_and_of_all_tickers_alerts_with_a_copy_of_itself() -> None:
    fall, below = new_rule(kind="fall", percent=1, window_seconds=300), new_rule(kind="below", price="99.50")
    new_rule(ticker="MSFT", kind="above", price="1")
    alerts = {recorded.alert.rule.id: recorded.alert for recorded in record("AAPL", RISE).alerts}
    assert {id_: alert.price for id_, alert in alerts.items()} == {1: Decimal("100.1"), fall: 98, below: 98}
    assert (str(alerts[fall].fall_percent), alerts[fall].low_price) == ("2.00", None)
    assert alerts[below].rule == AlertRule(below, "AAPL", "below", price=Decimal("99.50"))
    assert {alert.id: alert for alert in records.find_alerts(PriceFilter())[0]} == {
        alert.id: alert for alert in alerts.values()
    }


def test_a_rule_that_alerts_once_has_ended_until_it_is_started_again() -> None:
    once = new_rule(kind="below", price="99", once=True)
    record("AAPL", RISE)
    assert rule_records.get(once).ended_at
    record("AAPL", [tick(30, "98.5"), tick(31, "97")])
    assert alerted(once) == [98]
    started = rule_records.change(once, AlertRuleChange(paused=False))
    assert started.ended_at is None
    now = started.active_from + timedelta(seconds=1)
    record("AAPL", [Tick("AAPL", Decimal(96), now)])
    assert alerted(once) == [98, 96]


def test_a_paused_or_deleted_rule_is_silent_and_its_alerts_stay() -> None:
    rule = new_rule(kind="below", price="99")
    record("AAPL", RISE)
    rule_records.change(rule, AlertRuleChange(paused=True))
    record("AAPL", [tick(30, "97")])
    rule_records.delete(rule)
    record("AAPL", [tick(31, "100"), tick(32, "96")])
    assert alerted(rule) == [98]


def test_a_new_rule_sees_no_price_from_before_it() -> None:
    record("AAPL", RISE)
    rule = rule_records.create(NewAlertRule(ticker="AAPL", kind="above", price=Decimal(1)), "local")
    record("AAPL", [tick(30, "100")])
    assert alerted(rule.id) == []
    record("AAPL", [Tick("AAPL", Decimal(100), rule.active_from)])
    assert alerted(rule.id) == [100]


def test_all_of_a_batch_is_undone_with_the_end_of_a_rule(rows: Rows) -> None:
    once = new_rule(kind="below", price="99", once=True)
    rows("alter table price_averages add check (ticker <> 'AAPL'); select 1")
    with pytest.raises(psycopg2.errors.CheckViolation):
        record("AAPL", RISE)
    assert rule_records.get(once).ended_at is None


# Clocks that mostly go on, at times back, over some buckets; and how the ticks are cut into batches.
streams = st.lists(st.tuples(st.integers(-8_000, 200_000), st.integers(960, 1_060)), min_size=1, max_size=25)


@given(streams, st.lists(st.integers(1, 6), min_size=1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
def test_however_ticks_are_batched_averages_and_alerts_are_those_of_all_of_them(
    rows: Rows, steps: list[tuple[int, int]], sizes: list[int]
) -> None:
    rows("truncate price_averages, price_windows, alerts, notifications; select 1")
    ticks, seconds = [], 0.0
    for milliseconds, cents in steps:
        seconds += milliseconds / 1_000
        ticks.append(tick(seconds, Decimal(cents) / 100))
    alerted = []
    rest = ticks
    while rest:
        size = sizes[len(rest) % len(sizes)]
        batch, rest = rest[:size], rest[size:]
        alerted += record("AAPL", batch).alerts
        record("AAPL", batch)  # each comes twice

    detector = Detector("AAPL")
    judged = [(each, detector.update(each)) for each in ticks]
    assert [recorded.alert for recorded in alerted] == [alert for _, detection in judged for alert in detection.alerts]
    counted = [each for each, detection in judged if detection.outcome.name == "COUNTED"]
    assert sorted(averages(), key=lambda average: average.bucket_start) == list(expected_averages(counted))


def expected_averages(ticks: list[Tick]) -> Iterable[PriceAverage]:
    """Average ticks in the plainest way: pick each bucket's out of all of them."""
    starts = {int(each.timestamp.timestamp() // 300) * 300 for each in ticks}
    for start in sorted(starts):
        inside = sorted(
            (each for each in ticks if start <= each.timestamp.timestamp() < start + 300),
            key=lambda each: each.timestamp,
        )
        prices = [each.price for each in inside]
        mean = (sum(prices) / Decimal(len(prices))).quantize(Decimal("0.000001"))
        yield PriceAverage(
            "AAPL",
            datetime.fromtimestamp(start, UTC),
            mean,
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
            len(prices),
        )


def test_averages_and_alerts_are_found_by_ticker_and_dates_in_pages() -> None:
    for ticker in ("AAPL", "MSFT"):
        for minutes in range(0, 50, 5):
            seconds = minutes * 60
            record(ticker, [tick(seconds, "98", ticker), tick(seconds + 1, "100", ticker)])
    for find in (records.find_averages, records.find_alerts):
        found: list[Any] = []
        cursor = None
        while True:
            page, cursor = find(PriceFilter("AAPL", NOON, NOON + timedelta(minutes=40), 4, cursor))
            found += page
            if not cursor:
                break
        assert len(found) == (9 if find is records.find_averages else 8)
        times = [getattr(each, "bucket_start", None) or each.timestamp for each in found]
        assert times == sorted(times, reverse=True)
        assert {each.ticker for each in found} == {"AAPL"}
        with pytest.raises(InvalidError, match="start_date"):
            find(PriceFilter("AAPL", NOON, NOON - timedelta(days=1)))
    assert len(records.find_alerts(PriceFilter())[0]) == 20


def test_an_alert_is_delivered_like_a_trade_and_announced_again_by_the_sweeper(channels: Channels, rows: Rows) -> None:
    [recorded] = record("AAPL", RISE).alerts
    event = PriceAlerted.of(recorded.alert, recorded.notification_id)
    rows("update notifications set due_at = now() - interval '1 s' returning id")
    assert outbox.sweep(5) == outbox.Sweep(1, 0, 0)
    [announced] = channels.announced()
    assert events.read(json.dumps(announced)) == event
    assert outbox.deliver(event)
    [published] = channels.published()
    assert published["Subject"] == "ALERT AAPL +2.14 % in 10 s"
    assert events.read(published["Message"]) == event
    assert "From 98 at 12:00:10 to 100.1 at 12:00:20 on 2025-06-03, UTC." in topics.prose(event)
    assert published["MessageAttributes"]["type"]["Value"] == "price.alerted.v1"


def test_the_newest_price_is_told_and_no_older_one_after_it() -> None:
    assert record("AAPL", [tick(1, "1"), tick(3, "3"), tick(2, "2")]).newest == tick(3, "3")
    assert record("AAPL", [tick(2.5, "2.5")]).newest is None
    assert record("AAPL", [tick(3, "3")]).newest is None


def test_ticks_of_the_first_year_are_averaged_like_any_other() -> None:
    first = Tick("AAPL", Decimal(1), datetime.min.replace(tzinfo=UTC))
    assert record("AAPL", [first]).counted == 1
    [average] = averages()
    assert average.bucket_start == first.timestamp
