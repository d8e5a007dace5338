import json
import logging
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from tests.trading.notifications.webhooks.receivers import (
    Behavior,
    Receiver,
    answers,
    closes,
    keeps_silent,
    listening,
    repeats,
    sends,
)
from trading.notifications import events
from trading.notifications.events import PriceAlerted
from trading.notifications.webhooks import deliveries, dispatch, sending, subscriptions
from trading.notifications.webhooks.deliveries import Delivery
from trading.notifications.webhooks.dispatch import Outcome
from trading.notifications.webhooks.subscriptions import CreatedWebhook
from trading.prices.alert_rules import Alert

pytestmark = pytest.mark.usefixtures("webhook_tables")

ANY = {"kind": "standard", "chat_id": None, "events": None, "ticker": None, "account": None, "rule_id": None}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as receiver:
        yield receiver


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once, and wait for nobody, nor for the lease of who stopped working."""
    monkeypatch.setattr(deliveries, "LEASE_SECONDS", 0)
    monkeypatch.setattr(dispatch, "WAITS", [timedelta(0)] * 10)
    monkeypatch.setattr(sending, "SECONDS", 0.3)


def webhook(receiver: Receiver, **settings: Any) -> CreatedWebhook:
    return subscriptions.create({**ANY, "url": receiver.url, **settings}, "desk-7")


def trade_event(**data: Any) -> str:
    trade = {
        "id": 7,
        "ticker": "MSFT",
        "price": "310.50",
        "quantity": 50,
        "side": "BUY",
        "timestamp": "2025-06-03T12:00:00Z",
        "client_trade_id": None,
        "recorded_by": "desk-7",
        "recorded_at": "2025-06-03T12:00:00Z",
    }
    event = {"id": str(uuid.uuid4()), "type": "trade.recorded.v1", "time": "2025-06-03T12:00:00Z"}
    return json.dumps({**event, "data": {**trade, **data}})


def publish(*written: str, seconds: float = 30) -> Outcome:
    """Do what the sender does with events off the queue."""
    targets = subscriptions.targets()
    return dispatch.attempt_all([each for event in written for each in dispatch.record(event, targets)], seconds)


def sweep() -> Outcome:
    time.sleep(0.002)  # what is due in this millisecond is due
    return dispatch.sweep(30)


def until_settled(webhook: CreatedWebhook) -> None:
    """Sweep until no delivery of a webhook waits, which takes a few times."""
    for _ in range(40):
        sweep()
        if all(delivery.status != "pending" for delivery in deliveries_of(webhook)):
            return
    raise AssertionError("deliveries are still pending")


def deliveries_of(webhook: CreatedWebhook) -> list[Delivery]:
    return deliveries.find(webhook.id, 1_000, None)[0]


def verified(webhook: CreatedWebhook, receiver: Receiver) -> list[str]:
    """Return the ids of the events that a receiver has read, each of which the official library verifies."""
    assert webhook.secret
    ids = []
    for request in receiver.requests:
        event = Verifier(webhook.secret).verify(request.body.decode(), request.headers)
        assert event["id"] == request.headers["webhook-id"]
        ids.append(event["id"])
    return ids


def test_an_event_reaches_everybody_who_wants_it_as_it_was_written_and_verified(receiver: Receiver) -> None:
    first, second = webhook(receiver), webhook(receiver)
    written = trade_event(account="main", more_of_tomorrow={"x": "1.10"})
    assert publish(written) == Outcome(delivered=2)
    assert [request.body.decode() for request in receiver.requests] == [written] * 2
    for each in (first, second):
        [delivery] = deliveries_of(each)
        assert (delivery.id, delivery.status, delivery.next_attempt_at) == (
            json.loads(written)["id"],
            "delivered",
            None,
        )
        assert [(attempt.status, attempt.error) for attempt in delivery.attempts] == [(200, None)]
    signatures = {request.headers["webhook-signature"] for request in receiver.requests}
    assert len(signatures) == 2
    assert sweep() == Outcome()


def test_an_event_that_comes_twice_is_sent_once(receiver: Receiver) -> None:
    webhook(receiver)
    written = trade_event()
    assert publish(written, written) == Outcome(delivered=1)
    assert publish(written) == Outcome()
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("settings", "data", "is_wanted"),
    [
        ({"events": ["trade.recorded.v1", "price.alerted.v1"]}, {}, True),
        ({"events": ["trade.voided.v1"]}, {}, False),
        ({"ticker": "MSFT"}, {}, True),
        ({"ticker": "AAPL"}, {}, False),
        ({"account": "main"}, {"account": "main"}, True),
        ({"account": "main"}, {"account": "ira"}, False),
        ({"ticker": "MSFT", "account": "ira"}, {"account": "main"}, False),
        ({"rule_id": 5}, {}, False),
        ({"rule_id": 5}, {"rule": {"id": 5}}, True),
        ({"rule_id": 5}, {"rule": {"id": 6}}, False),
        ({"rule_id": 5}, {"rule": None}, False),
    ],
)
def test_a_webhook_is_sent_what_meets_all_of_its_settings(
    receiver: Receiver,
    settings: dict[str, Any],
    data: dict[str, Any],
    is_wanted: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    webhook(receiver, **settings)
    assert publish(trade_event(**data)).delivered == is_wanted


def test_an_alert_reaches_the_webhooks_of_its_rule_and_ticker_alone(receiver: Receiver) -> None:
    now = datetime.now(UTC)
    alert = Alert(str(uuid.uuid4()), "AAPL", Decimal("100.1"), now, Decimal(98), now, Decimal("2.14"))
    written = events.write(PriceAlerted.of(alert, alert.id))
    assert alert.rule.id is not None
    for settings in (
        {"rule_id": alert.rule.id},
        {"rule_id": alert.rule.id + 1},
        {"ticker": "AAPL"},
        {"account": "main"},
    ):
        webhook(receiver, **settings)
    assert publish(written).delivered == 2


def test_a_correction_concerns_the_ticker_and_account_that_were_and_that_are_and_an_import_its_account(
    receiver: Receiver,
) -> None:
    def wants(event: dict[str, Any], **settings: Any) -> bool:
        created = webhook(receiver, **settings)
        target = subscriptions.get(created.id)
        subscriptions.delete(created.id)
        return target.wants(event)

    correction = {
        "type": "trade.corrected.v1",
        "data": {"voided": {"ticker": "MSFT", "account": "a"}, "recorded": {"ticker": "AAPL", "account": "b"}},
    }
    assert wants(correction, ticker="MSFT")
    assert wants(correction, ticker="AAPL", account="a")
    assert not wants(correction, ticker="TSLA")
    imported = {"type": "import.completed.v1", "data": {"account": "a", "recorded": 120}}
    assert wants(imported, account="a")
    assert not wants(imported, account="b")
    assert not wants(imported, ticker="MSFT")


def test_a_chat_gets_prose_without_a_signature(receiver: Receiver) -> None:
    webhook(receiver, kind="slack")
    webhook(receiver, kind="telegram", chat_id="-1001")
    publish(trade_event())
    sent = [json.loads(request.body) for request in receiver.requests]
    assert all(each["text"].startswith("BUY 50 MSFT at 310.50\n") for each in sent)
    assert [each["chat_id"] for each in sent if "chat_id" in each] == ["-1001"]
    assert not any("webhook-signature" in request.headers for request in receiver.requests)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "hostile",
    [
        answers(500),
        answers(301, "Location: http://127.0.0.1:1/"),
        answers(429),
        answers(429, "Retry-After: 0"),
        closes,
        keeps_silent,
        sends(b"not HTTP at all\r\n"),
        repeats(b"x" * 65_536, head=b"HTTP/1.1 500 No\r\n\r\n"),
    ],
)
def test_an_event_arrives_when_its_receiver_has_recovered_and_others_do_not_wait_for_it(
    receiver: Receiver, hostile: Behavior
) -> None:
    with listening() as healthy:
        failing, well = webhook(receiver), webhook(healthy)
        receiver.behavior = hostile
        written = [trade_event() for _ in range(5)]
        outcome = publish(*written)
        assert (outcome.delivered, outcome.postponed, outcome.given_up) == (5, dispatch.PATIENCE, 0)
        assert sorted(verified(well, healthy)) == sorted(json.loads(each)["id"] for each in written)
        assert subscriptions.get(failing.id).webhook.failing_since

        receiver.behavior = answers(200)
        receiver.requests.clear()
        until_settled(failing)
        assert set(verified(failing, receiver)) == {json.loads(each)["id"] for each in written}
        assert subscriptions.get(failing.id).webhook.failing_since is None
        assert len(healthy.requests) == 5


@pytest.mark.usefixtures("impatient")
def test_with_lost_answers_every_event_is_delivered_at_least_once(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SECONDS", 10)  # it answers or closes: on a busy machine, later
    chance = random.Random(7)  # noqa: S311 - the same losses each time
    created = webhook(receiver)

    def loses_answers(connection: Any) -> None:
        (closes if chance.random() < 0.1 else answers(200))(connection)

    receiver.behavior = loses_answers
    written = [trade_event() for _ in range(100)]
    for start in range(0, 100, 10):
        publish(*written[start : start + 10])
    until_settled(created)
    arrived = verified(created, receiver)
    assert set(arrived) == {json.loads(each)["id"] for each in written}
    assert 100 < len(arrived) < 130


def test_what_a_function_recorded_and_did_not_send_is_sent_by_the_sweep(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = webhook(receiver)
    with monkeypatch.context() as patch:
        patch.setattr(deliveries, "LEASE_SECONDS", 0)
        assert len(dispatch.record(trade_event(), subscriptions.targets())) == 1  # and then it dies
    assert sweep() == Outcome(delivered=1)
    assert len(verified(created, receiver)) == 1


def test_what_is_claimed_is_nobody_elses_until_the_lease_ends(receiver: Receiver) -> None:
    created = webhook(receiver)
    [(_, claimed)] = dispatch.record(trade_event(), subscriptions.targets())
    assert sweep() == Outcome()
    assert deliveries.claim(created.id, claimed.delivery.id) is None
    assert receiver.connections == 0


def test_the_waits_between_attempts_grow_until_after_a_day_a_delivery_is_given_up(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    created, clock = webhook(receiver), Clock(monkeypatch)
    receiver.behavior = answers(500)
    publish(trade_event())
    waits = []
    while (delivery := deliveries_of(created)[0]).next_attempt_at:
        wait = delivery.next_attempt_at - clock.now()
        clock.forward(wait - timedelta(seconds=1))
        assert sweep() == Outcome()  # it is not due yet
        clock.forward(timedelta(seconds=40))  # the sweep comes each minute
        waits.append(round(wait.total_seconds() / 60))
        outcome = sweep()
    assert waits == [1, 2, 5, 10, 30, 60, 120, 240, 360, 540]
    assert outcome == Outcome(given_up=1)
    assert (delivery.status, len(delivery.attempts)) == ("failed", 11)
    assert 22 < (delivery.attempts[-1].attempted_at - delivery.created_at) / timedelta(hours=1) < 24
    clock.forward(timedelta(days=1))
    assert sweep() == Outcome()


class Clock:
    """A clock that the modules of webhooks go by, and that can be put forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = timedelta(0)
        clock, real = self, time.time

        class Time:
            monotonic = staticmethod(time.monotonic)

            @staticmethod
            def time() -> float:
                return real() + clock.ahead.total_seconds()

        class Instant(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return datetime.fromtimestamp(Time.time(), tz)

        for module in (dispatch, deliveries):
            monkeypatch.setattr(module, "time", Time)
            monkeypatch.setattr(module, "datetime", Instant)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def forward(self, period: timedelta) -> None:
        self.ahead += period


def test_a_receiver_that_asks_to_be_left_alone_is_left_alone_with_everything(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook(receiver)
    clock = Clock(monkeypatch)
    receiver.behavior = answers(429, "Retry-After: 600")
    assert publish(trade_event(), trade_event()) == Outcome(postponed=1)
    assert len(receiver.requests) == 1
    publish(trade_event())
    clock.forward(timedelta(seconds=590))
    assert sweep() == Outcome()
    assert len(receiver.requests) == 1
    receiver.behavior = answers(200)
    clock.forward(timedelta(seconds=11))
    assert sweep() == Outcome(delivered=3)
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 3


def test_no_receiver_is_left_alone_for_longer_than_six_hours(receiver: Receiver) -> None:
    created = webhook(receiver)
    receiver.behavior = answers(503, "Retry-After: 999999999")
    publish(trade_event())
    held_until = subscriptions.get(created.id).held_until
    assert held_until
    assert timedelta(hours=5) < held_until - datetime.now(UTC) <= timedelta(hours=6)


def test_410_pauses_the_webhook_and_nothing_more_is_sent(receiver: Receiver) -> None:
    created = webhook(receiver)
    receiver.behavior = answers(410)
    assert publish(trade_event(), trade_event()) == Outcome(given_up=1, paused=1)
    assert subscriptions.get(created.id).webhook.paused_because == "gone"
    assert publish(trade_event()) == Outcome()
    assert sweep() == Outcome()
    assert len(receiver.requests) == 1


def test_five_days_of_failures_pause_a_webhook_and_one_success_between_does_not(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    created, clock = webhook(receiver), Clock(monkeypatch)
    for _ in range(6):
        receiver.behavior = answers(500)
        publish(trade_event())
        clock.forward(timedelta(days=1))
        receiver.behavior = answers(200)
        assert sweep().delivered == 1
    receiver.behavior = answers(500)
    publish(trade_event())
    clock.forward(timedelta(days=4))
    publish(trade_event())
    assert sweep().paused == 0
    clock.forward(timedelta(days=1, minutes=1))
    assert sweep().paused == 1
    assert subscriptions.get(created.id).webhook.paused_because == "failing"

    resumed = subscriptions.change(created.id, {"paused": False})
    assert (resumed.paused, resumed.failing_since) == (False, None)
    receiver.behavior = answers(200)
    assert publish(trade_event()) == Outcome(delivered=1)


@pytest.mark.usefixtures("impatient")
def test_an_event_that_its_receiver_refuses_does_not_hold_up_the_others(receiver: Receiver) -> None:
    created = webhook(receiver)
    poison = trade_event(ticker="BAD")

    def refuses_one(connection: Any) -> None:
        answers(400 if b'"BAD"' in receiver.requests[-1].body else 200)(connection)

    receiver.behavior = refuses_one
    assert publish(poison, trade_event(), trade_event()) == Outcome(delivered=2, postponed=1)
    assert subscriptions.get(created.id).webhook.failing_since is None


def test_a_deleted_webhook_is_sent_nothing_not_even_what_waits(receiver: Receiver) -> None:
    created = webhook(receiver)
    receiver.behavior = answers(500)
    publish(trade_event())
    [(target, claimed)] = dispatch.record(trade_event(), [_as_if_well(created)])
    subscriptions.delete(created.id)
    assert dispatch.attempt(target, claimed)[0].webhook.paused
    requests = len(receiver.requests)
    assert sweep() == Outcome()
    assert publish(trade_event()) == Outcome()
    assert len(receiver.requests) == requests


def _as_if_well(created: CreatedWebhook) -> Any:
    subscriptions.change(created.id, {"paused": False})
    return subscriptions.get(created.id)


def test_what_waits_goes_to_the_new_url_of_a_webhook_and_never_to_the_old(receiver: Receiver) -> None:
    with listening() as new:
        created = webhook(receiver)
        receiver.behavior = answers(500)
        publish(trade_event())
        delivery = deliveries_of(created)[0]
        subscriptions.change(created.id, {"url": new.url})
        dispatch.resend(created.id, delivery.id)
        assert (len(receiver.requests), len(new.requests)) == (1, 1)
        assert verified(created, receiver) == verified(created, new)  # the same webhook-id


def test_when_the_time_is_up_the_rest_is_left_to_the_sweep(receiver: Receiver) -> None:
    created = webhook(receiver)
    assert publish(trade_event(), trade_event(), seconds=0) == Outcome()
    assert [delivery.status for delivery in deliveries_of(created)] == ["pending", "pending"]
    assert receiver.connections == 0


def test_a_receiver_that_hangs_costs_a_sweep_no_more_than_three_of_its_deliveries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.3)
    with ExitStack() as stack:
        hanging = [stack.enter_context(listening()) for _ in range(5)]
        healthy = stack.enter_context(listening())
        for each in hanging:
            each.behavior = keeps_silent
            webhook(each)
        well = webhook(healthy)
        publish(*(trade_event() for _ in range(10)))
        assert [each.connections for each in hanging] == [3] * 5
        assert len(verified(well, healthy)) == 10


def test_of_many_attempts_the_newest_twenty_are_kept(receiver: Receiver) -> None:
    created = webhook(receiver)
    publish(trade_event())
    delivery = deliveries_of(created)[0]
    receiver.behavior = answers(500)
    for _ in range(25):
        delivery = dispatch.resend(created.id, delivery.id)
    assert (len(delivery.attempts), {attempt.status for attempt in delivery.attempts}) == (20, {500})
    assert delivery.status == "pending"
    assert delivery.next_attempt_at


@pytest.mark.parametrize("kind", ["standard", "slack"])
def test_no_secret_is_ever_logged(
    receiver: Receiver, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.set_level(logging.INFO)
    created = webhook(receiver, kind=kind, url=f"{receiver.url}/services/T0/hush")
    publish(trade_event())
    dispatch.test(created.id)
    receiver.behavior = closes
    publish(trade_event())
    written = "".join(capfd.readouterr()) + caplog.text
    assert "hush" not in written
    assert (created.secret or "whsec_") not in written
