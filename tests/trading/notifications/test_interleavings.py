"""Publishers, sweepers, copies of messages, deaths and the end of leases, in any order, against what is promised."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.conftest import Rows
from trading.core import queues, topics
from trading.core.topics import TopicUnavailableError
from trading.notifications import events, outbox
from trading.notifications.events import Event, TradeRecorded
from trading.notifications.outbox import NotificationInProgressError
from trading.trades import ledger
from trading.trades.ledger import NewTrade

TRADE = {"ticker": "MSFT", "price": "310.50", "quantity": 50, "side": "BUY", "timestamp": "2025-06-03T12:00:00Z"}
TIMES = 8  # after ten attempts a notification waits for a person


class KilledError(BaseException):
    """What no handler catches, like the end of the process."""


class Outbox(RuleBasedStateMachine):
    """The outbox in its database, with a queue and a topic that do as a rule tells them."""

    def __init__(self, rows: Rows, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self._rows = rows
        self._queue: list[str] = []
        self._takes_messages = True
        self._during: Callable[[], None] = lambda: None  # what happens when SNS has taken a message
        self._recorded: list[str] = []
        self._heard: Counter[str] = Counter()
        self._may_be_heard: Counter[str] = Counter()  # so often
        self._passed = 0
        patch.setenv("NOTIFICATIONS_QUEUE_URL", "queue")
        patch.setattr(queues, "send", self._send)
        patch.setattr(topics, "publish", self._publish)

    def _send(self, _: str, bodies: Sequence[str], __: float) -> list[int]:
        if not self._takes_messages:
            raise queues.QueueUnavailableError("away")
        self._queue += bodies
        return []

    def _publish(self, event: Event, _: str) -> None:
        during, self._during = self._during, lambda: None
        self._heard[event.id] += 1
        assert self._heard[event.id] <= self._may_be_heard[event.id], "it was heard once too often"
        during()

    def _deliver(self, position: int) -> None:
        with suppress(NotificationInProgressError, TopicUnavailableError, KilledError):
            outbox.deliver(events.read(self._queue[position % len(self._queue)]))

    @rule(takes_messages=st.booleans())
    def record(self, *, takes_messages: bool) -> None:
        self._takes_messages = takes_messages
        recorded = TradeRecorded.of_new(ledger.record([NewTrade.model_validate(TRADE)], "local"))
        self._recorded += [event.id for event in recorded]
        self._may_be_heard.update(event.id for event in recorded)
        outbox.announce(recorded)

    @precondition(lambda self: self._queue)
    @rule(position=st.integers(0, 9))
    def deliver(self, position: int) -> None:
        """A message is delivered, and comes again."""
        self._deliver(position)

    @precondition(lambda self: self._queue)
    @rule(position=st.integers(0, 9))
    def deliver_copies_at_once(self, position: int) -> None:
        """A copy is taken by another publisher while SNS answers the first."""
        self._during = lambda: self._deliver(position)
        self._deliver(position)
        self._during = lambda: None

    @precondition(lambda self: self._queue)
    @rule(position=st.integers(0, 9))
    def die_between_sns_and_the_mark(self, position: int) -> None:
        """The one way to be heard twice."""
        before = self._heard.copy()
        self._during = _raise(KilledError())
        self._deliver(position)
        self._during = lambda: None
        self._may_be_heard += self._heard - before

    @precondition(lambda self: self._queue)
    @rule(position=st.integers(0, 9))
    def die_before_sns(self, position: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(topics, "publish", _raise(KilledError()))
            self._deliver(position)

    @precondition(lambda self: self._queue)
    @rule(position=st.integers(0, 9))
    def lose(self, position: int) -> None:
        """SQS loses a message."""
        del self._queue[position % len(self._queue)]

    @precondition(lambda self: self._passed < TIMES)
    @rule(takes_messages=st.booleans())
    def let_time_pass_and_sweep(self, *, takes_messages: bool) -> None:
        """All leases end, and all that is undelivered is due."""
        self._passed += 1
        self._takes_messages = takes_messages
        self._rows("update notifications set sending_until = now() - interval '1 s', due_at = now() returning id")
        outbox.sweep(5)

    @rule(takes_messages=st.booleans())
    def sweep(self, *, takes_messages: bool) -> None:
        self._takes_messages = takes_messages
        outbox.sweep(5)

    def teardown(self) -> None:
        """When nothing fails any more, all is delivered."""
        self._queue = []
        self._passed = 0
        self.let_time_pass_and_sweep(takes_messages=True)
        for position in range(len(self._queue)):
            self._deliver(position)
        assert set(self._recorded) <= self._heard.keys(), "it was not heard"
        self._rows("delete from notifications returning id")


def _raise(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_in_any_order_each_notification_is_heard_and_twice_only_if_its_publisher_died_before_the_mark(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_state_machine_as_test(
        lambda: Outbox(rows, monkeypatch),  # type: ignore[arg-type]  # a function that makes one does too
        settings=settings(
            max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
