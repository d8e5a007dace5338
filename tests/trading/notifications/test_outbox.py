import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import Channels, Rows
from trading.core import aws, queues, topics
from trading.core.topics import TopicUnavailableError
from trading.notifications import events, outbox
from trading.notifications.events import Event, TradeCorrected, TradeRecorded, TradeVoided
from trading.notifications.outbox import Sweep
from trading.trades import changes, ledger
from trading.trades.changes import Correction, NewCorrection, VoidedTrade
from trading.trades.ledger import NewTrade, RecordedTrade, Trade


@pytest.fixture
def recorded(rows: Rows, trade: dict[str, Any]) -> RecordedTrade:
    """A trade that is in the database and was not announced."""
    del rows
    return ledger.record([NewTrade.model_validate(trade)], "local")[0]


@pytest.fixture
def event(recorded: RecordedTrade) -> TradeRecorded:
    """The event of that trade."""
    assert recorded.notification_id
    return TradeRecorded.of(recorded.trade, recorded.notification_id)


def record_many(trade: dict[str, Any], count: int) -> list[RecordedTrade]:
    return ledger.record([NewTrade.model_validate(trade)] * count, "local")


def void_and_correct(trade: dict[str, Any]) -> list[Event]:
    """Record two trades, void the first, correct the second, and return the events of these changes."""
    [first, second] = [entry.trade.id for entry in record_many(trade, 2)]
    voided = changes.void(first, "Entered twice", "desk-7")
    _, corrected = changes.correct(second, NewCorrection(price=Decimal("311.50"), reason="Wrong price"), "desk-7")
    assert voided
    assert corrected
    return [
        TradeVoided.of(voided.change, voided.notification_id),
        TradeCorrected.of(corrected.change, corrected.notification_id),
    ]


MAKE_DUE = "update notifications set due_at = now() - interval '1 s', sending_until = null returning id"


# What is announced


def test_an_event_has_cloudevents_names_and_exact_numbers(event: TradeRecorded) -> None:
    written = json.loads(events.write(event))
    assert list(written) == ["id", "type", "time", "data"]
    assert written["type"] == "trade.recorded.v1"
    assert written["data"]["price"] == "310.50"
    assert written["data"]["quantity"] == 50
    assert events.read(events.write(event)) == event


def test_an_event_may_have_fields_that_we_do_not_know(event: TradeRecorded) -> None:
    written = json.loads(events.write(event))
    written["source"] = "elsewhere"
    written["data"]["venue"] = "XNAS"
    assert events.read(json.dumps(written)) == event


@pytest.mark.parametrize("change", [{"type": "trade.recorded.v2"}, {"data": {}}, {"id": None}])
def test_an_event_that_we_do_not_know_is_refused(event: TradeRecorded, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"validation error|not an event of this system"):
        events.read(json.dumps({**json.loads(events.write(event)), **change}))


def test_recorded_trades_are_announced_ten_to_a_message_batch(
    channels: Channels, rows: Rows, trade: dict[str, Any]
) -> None:
    del rows
    recorded = record_many(trade, 23)
    outbox.announce(TradeRecorded.of_new(recorded))
    announced = channels.announced()
    assert sorted(each["id"] for each in announced) == sorted(str(entry.notification_id) for entry in recorded)


def test_a_trade_that_was_there_already_is_not_announced(channels: Channels, recorded: RecordedTrade) -> None:
    outbox.announce(TradeRecorded.of_new([RecordedTrade(recorded.trade, None)]))
    assert channels.announced() == []


def test_one_trade_twice_in_a_batch_is_announced_once(channels: Channels, recorded: RecordedTrade) -> None:
    outbox.announce(TradeRecorded.of_new([recorded, recorded]))
    assert len(channels.announced()) == 1


def test_a_queue_that_answers_nothing_costs_a_second_at_most_and_no_error(
    channels: Channels, rows: Rows, trade: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    del rows
    recorded = record_many(trade, 40)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{mute.getsockname()[1]}")
        aws.sqs.cache_clear()
        aws.sqs(
            channels.queue_url, outbox.ANNOUNCE_CALL_SECONDS
        )  # made before the clock runs: a process makes its client once
        started = time.monotonic()
        outbox.announce(TradeRecorded.of_new(recorded))
        assert time.monotonic() - started < 1.0


def test_a_slow_queue_gets_what_fits_into_the_second(
    recorded: RecordedTrade, trade: dict[str, Any], monkeypatch: pytest.MonkeyPatch, channels: Channels
) -> None:
    del recorded, channels
    calls = []

    def slow_send(_: str, bodies: list[str], __: float) -> list[int]:
        calls.append(len(bodies))
        time.sleep(0.1)
        return []

    monkeypatch.setattr(queues, "send", slow_send)
    outbox.announce(TradeRecorded.of_new(record_many(trade, 100)))
    assert 2 <= len(calls) <= 5


# What is delivered


def test_a_delivered_notification_says_what_happened_and_carries_its_event_id(
    channels: Channels, event: TradeRecorded, rows: Rows
) -> None:
    assert outbox.deliver(event)
    [published] = channels.published()
    assert published["Subject"] == "BUY 50 MSFT at 310.50"
    assert published["Message"] == events.write(event)
    told = {name: each["Value"] for name, each in published["MessageAttributes"].items()}
    expected = {
        "event_id": event.id,
        "type": "trade.recorded.v1",
        "ticker": "MSFT",
        "side": "BUY",
    }
    assert expected.items() <= told.items()
    assert rows("select count(*) from notifications where delivered_at is not null") == [(1,)]


def test_queues_and_functions_get_the_event_and_people_get_prose(
    channels: Channels, event: TradeRecorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    del channels
    sent: list[dict[str, Any]] = []

    class Topic:
        def publish(self, **message: Any) -> None:
            sent.append(message)

    with monkeypatch.context() as patch:
        patch.setattr(aws, "sns", Topic)
        outbox.deliver(event)
    [message] = sent
    assert message["MessageStructure"] == "json"
    written, prose = events.write(event), topics.prose(event)
    assert json.loads(message["Message"]) == {"default": prose, "sqs": written, "lambda": written}
    assert prose.startswith("BUY 50 MSFT at 310.50\n\nTrade 1 of 2025-06-03 12:00:00 UTC, recorded by local.\nEvent ")


def test_a_void_and_a_correction_say_what_was_taken_back_and_what_counts_now(rows: Rows, trade: dict[str, Any]) -> None:
    del rows
    told = void_and_correct(trade)
    assert [events.read(events.write(event)) for event in told] == told
    assert [topics.prose(event).splitlines()[:3:2] for event in told] == [
        ["VOIDED BUY 50 MSFT at 310.50", "Trade 1 of 2025-06-03 12:00:00 UTC, voided by desk-7: Entered twice"],
        [
            "CORRECTED to BUY 50 MSFT at 311.50",
            (
                "It was BUY 50 MSFT at 310.50: Trade 2 of 2025-06-03 12:00:00 UTC. Trade 3 of 2025-06-03 12:00:00 UTC"
                " replaces it, corrected by desk-7: Wrong price"
            ),
        ],
    ]


def test_the_longest_headline_fits_into_a_subject(trade: dict[str, Any]) -> None:
    longest = {**trade, "ticker": "ABCDE.ABCD", "price": "999999999999.999999", "quantity": "99999.9999999999"}
    recorded = Trade(
        2**63 - 1, **NewTrade.model_validate(longest).model_dump(), recorded_by="local", recorded_at=datetime.now(UTC)
    )
    voided = VoidedTrade(**asdict(recorded), voided_at=datetime.now(UTC), voided_by="local", void_reason="?")
    for event in (TradeVoided.of(voided, "1"), TradeCorrected.of(Correction(voided, recorded), "1")):
        assert len(event.headline()) <= 100


def test_a_message_that_comes_again_delivers_nothing(channels: Channels, event: TradeRecorded) -> None:
    assert outbox.deliver(event)
    assert not outbox.deliver(event)
    assert len(channels.published()) == 1


def test_two_copies_of_a_message_at_once_are_published_once(
    channels: Channels, event: TradeRecorded, rows: Rows
) -> None:
    rows("update notifications set sending_until = now() + interval '1 minute' returning id")
    with pytest.raises(outbox.NotificationInProgressError):
        outbox.deliver(event)
    assert channels.published() == []


def test_who_died_between_claim_and_publishing_is_followed_by_another(
    channels: Channels, event: TradeRecorded, rows: Rows
) -> None:
    rows("update notifications set sending_until = now() - interval '1 s' returning id")
    assert outbox.deliver(event)
    assert len(channels.published()) == 1


def test_a_topic_that_refuses_leaves_the_notification_undelivered(
    channels: Channels, event: TradeRecorded, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFICATIONS_TOPIC_ARN", channels.topic_arn + "-gone")
    with pytest.raises(TopicUnavailableError):
        outbox.deliver(event)
    assert rows("select delivered_at from notifications") == [(None,)]


def test_an_event_of_nowhere_is_refused(channels: Channels, event: TradeRecorded, rows: Rows) -> None:
    rows("delete from notifications returning id")
    with pytest.raises(outbox.UnknownNotificationError):
        outbox.deliver(event)
    assert channels.published() == []


# What is announced again


def test_a_sweep_announces_what_is_due_and_nothing_else(channels: Channels, rows: Rows, trade: dict[str, Any]) -> None:
    recorded = record_many(trade, 25)
    assert outbox.sweep(10) == Sweep(0, 0, 0)  # the queue has its minute first
    rows(MAKE_DUE)
    rows("update notifications set delivered_at = now() where id = %(id)s returning id", id=recorded[0].notification_id)
    assert outbox.sweep(10) == Sweep(24, 0, 0)
    assert len(channels.announced()) == 24
    assert outbox.sweep(10) == Sweep(0, 0, 0)


def test_a_sweep_announces_changes_as_they_were_announced_first(
    channels: Channels, rows: Rows, trade: dict[str, Any]
) -> None:
    told = void_and_correct(trade)
    rows("update notifications set delivered_at = now() where trade_id is not null returning id")
    rows(MAKE_DUE)
    assert outbox.sweep(10) == Sweep(2, 0, 0)
    announced = {each["id"]: each for each in channels.announced()}
    assert announced == {event.id: json.loads(events.write(event)) for event in told}
    assert all(outbox.deliver(event) for event in told)
    assert rows("select count(*) from notifications where delivered_at is null") == [(0,)]


def test_each_attempt_waits_twice_as_long_and_the_last_gives_up(
    channels: Channels, recorded: RecordedTrade, rows: Rows
) -> None:
    waits = []
    for _ in range(10):
        rows(MAKE_DUE)
        assert outbox.sweep(10) == Sweep(1, 0, 0)
        waits += rows("select round(extract(epoch from due_at - now()) / 60) from notifications")
    assert [int(minutes) for (minutes,) in waits] == [2**attempt for attempt in range(1, 11)]

    rows(MAKE_DUE)
    assert outbox.sweep(10) == Sweep(0, 0, 1)
    assert rows("select failed_at is not null, delivered_at from notifications") == [(True, None)]
    rows(MAKE_DUE)
    assert outbox.sweep(10) == Sweep(0, 0, 0)
    assert {each["id"] for each in channels.announced()} == {recorded.notification_id}


def test_sweepers_at_once_announce_each_notification_once(
    channels: Channels, rows: Rows, trade: dict[str, Any]
) -> None:
    record_many(trade, 60)
    rows(MAKE_DUE)
    taken: list[Any] = []

    def take(_: int) -> None:
        import psycopg2  # noqa: PLC0415

        from trading.core.settings import setting  # noqa: PLC0415

        with psycopg2.connect(setting("DATABASE_URL")) as connection, connection.cursor() as cursor:
            while True:
                cursor.execute(outbox._TAKE_DUE, {"limit": 10, "attempts": 10})  # noqa: SLF001
                due = cursor.fetchall()
                connection.commit()
                if not due:
                    break
                taken.extend(row[0] for row in due)
        connection.close()

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(take, range(3)))
    assert len(taken) == len(set(taken)) == 60
    assert channels.announced() == []


def test_what_the_queue_refuses_is_counted_and_due_again(
    channels: Channels, rows: Rows, trade: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    del channels
    record_many(trade, 3)
    rows(MAKE_DUE)
    monkeypatch.setattr(queues, "send", lambda _, bodies, __: [len(bodies) - 1])
    assert outbox.sweep(10) == Sweep(2, 1, 0)
    assert rows("select count(*) from notifications where delivered_at is null and failed_at is null") == [(3,)]


def test_a_queue_that_is_away_costs_one_batch_an_attempt_and_no_more(
    channels: Channels, rows: Rows, trade: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    del channels
    record_many(trade, 30)
    rows(MAKE_DUE)
    monkeypatch.setattr(queues, "send", _raise(queues.QueueUnavailableError("away")))
    assert outbox.sweep(10) == Sweep(0, 10, 0)
    assert rows("select count(*) from notifications where attempts > 0") == [(10,)]


def test_what_is_given_up_while_the_queue_is_away_is_counted(
    channels: Channels, rows: Rows, trade: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    del channels
    [first, _] = record_many(trade, 2)
    rows(MAKE_DUE)
    rows("update notifications set attempts = 10 where id = %(id)s returning id", id=first.notification_id)
    monkeypatch.setattr(queues, "send", _raise(queues.QueueUnavailableError("away")))
    assert outbox.sweep(10) == Sweep(0, 1, 1)


def test_nothing_that_happens_while_announcing_becomes_an_error(
    channels: Channels, recorded: RecordedTrade, monkeypatch: pytest.MonkeyPatch
) -> None:
    del channels
    monkeypatch.delenv("NOTIFICATIONS_QUEUE_URL")
    outbox.announce(TradeRecorded.of_new([recorded]))


def test_a_sweep_ends_when_its_time_is_up(channels: Channels, rows: Rows, trade: dict[str, Any]) -> None:
    del channels
    record_many(trade, 30)
    rows(MAKE_DUE)
    assert outbox.sweep(0) == Sweep(0, 0, 0)


def _raise(error: Exception) -> Callable[..., list[int]]:
    def fail(*_: object) -> list[int]:
        raise error

    return fail
