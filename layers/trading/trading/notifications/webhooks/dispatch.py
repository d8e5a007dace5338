"""Dispatch: turning events into deliveries, attempting them, and retrying failed ones for a day.

An event is attempted immediately if its receiver is healthy. All other attempts are made by a sweep each minute, which
works on the due deliveries of several webhooks in parallel, so that a slow receiver does not delay the others.
"""

import time
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from aws_lambda_powertools import Logger

from trading.core.values import read_json
from trading.notifications import events
from trading.notifications.webhooks import deliveries, messages, sending, subscriptions
from trading.notifications.webhooks.deliveries import Attempt, Claimed, Delivery, Status
from trading.notifications.webhooks.subscriptions import FAILING_LIMIT, Target

logger = Logger(child=True)

# The waits before the second attempt, the third, and so on: the eleventh and last is after 23 hours.
WAITS = [timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 30, 60, 120, 240, 360, 540)]
GIVEN_UP_AFTER = timedelta(days=1)
RETRY_AFTER_LIMIT = timedelta(hours=6)
WORKERS = 10  # webhooks that are sent to in parallel
PATIENCE = 3  # consecutive failures after which the rest of a webhook's deliveries waits for the next sweep


@dataclass
class Outcome:
    """The number of deliveries that succeeded, will be retried and were given up, and of webhooks paused."""

    delivered: int = 0
    postponed: int = 0
    given_up: int = 0
    paused: int = 0


def record(text: str, targets: Iterable[Target]) -> list[tuple[Target, Claimed]]:
    """Record a delivery of an event for each webhook that selects it, and return those to attempt now.

    Raises:
        ValueError: the text is not an event of this system (pydantic's ValidationError is a ValueError).
        tables.TableUnavailableError: DynamoDB does not answer; the event may be recorded again.
    """
    event, written = events.read(text), read_json(text)
    now = datetime.now(UTC)
    claimed = []
    for target in targets:
        webhook = target.webhook
        if webhook.paused or not target.wants(written):
            continue
        body = messages.body_of_event(webhook.kind, webhook.chat_id, event, text)
        fares_well = target.is_ready(now) and webhook.failing_since is None
        delivery = deliveries.record(webhook.id, event.id, event.type, body, is_claimed=fares_well)
        if delivery and fares_well:
            claimed.append((target, delivery))
    return claimed


def attempt_all(claimed: Sequence[tuple[Target, Claimed]], seconds: float) -> Outcome:
    """Attempt deliveries for at most `seconds`; the sweep attempts the rest after their leases expire.

    Raises:
        tables.TableUnavailableError: DynamoDB does not answer.
    """
    targets = {target.webhook.id: target for target, _ in claimed}

    def of(webhook_id: str) -> list[Claimed]:
        return [delivery for target, delivery in claimed if target.webhook.id == webhook_id]

    return _each([(target, of(webhook_id)) for webhook_id, target in targets.items()], seconds)


def sweep(seconds: float) -> Outcome:
    """Attempt due deliveries for at most `seconds`.

    Raises:
        tables.TableUnavailableError: DynamoDB does not answer.
    """
    now = datetime.now(UTC)
    ready = [target for target in subscriptions.targets() if target.is_ready(now)]
    return _each([(target, _due(target.webhook.id)) for target in ready], seconds)


def _due(webhook_id: str) -> Iterable[Claimed]:
    for delivery_id in deliveries.due(webhook_id):
        claimed = deliveries.claim(webhook_id, delivery_id)
        if claimed:
            yield claimed


def _each(work: Iterable[tuple[Target, Iterable[Claimed]]], seconds: float) -> Outcome:
    """Attempt the deliveries of each webhook in sequence, and different webhooks in parallel."""
    deadline = time.monotonic() + seconds
    with ThreadPoolExecutor(WORKERS) as workers:
        running = [workers.submit(_in_turn, target, waiting, deadline) for target, waiting in work]
    outcomes = [each.result() for each in running]  # after all have ended, even if one failed
    return Outcome(
        delivered=sum(each.delivered for each in outcomes),
        postponed=sum(each.postponed for each in outcomes),
        given_up=sum(each.given_up for each in outcomes),
        paused=sum(each.paused for each in outcomes),
    )


def _in_turn(target: Target, waiting: Iterable[Claimed], deadline: float) -> Outcome:
    outcome, failures = Outcome(), 0
    for claimed in waiting:
        if time.monotonic() > deadline - sending.SECONDS:
            break  # unused leases expire
        target, delivery = attempt(target, claimed)
        outcome.delivered += delivery.status == "delivered"
        outcome.postponed += delivery.status == "pending"
        outcome.given_up += delivery.status == "failed"
        failures = 0 if delivery.status == "delivered" else failures + 1
        if failures == PATIENCE or not target.is_ready(datetime.now(UTC)):
            break
    outcome.paused += target.webhook.paused_because in {"gone", "failing"}
    return outcome


def attempt(target: Target, claimed: Claimed, *, is_retried: bool = True) -> tuple[Target, Delivery]:
    """Attempt a delivery once, store the result, and return the updated webhook and delivery.

    Raises:
        tables.TableUnavailableError: DynamoDB does not answer.
    """
    webhook, now = target.webhook, datetime.now(UTC)
    headers = messages.headers(target.secret, claimed.delivery.id, int(now.timestamp()), claimed.body)
    answer = sending.post(target.url, claimed.body.encode(), headers)
    logger.info(
        "attempted a delivery",
        webhook_id=webhook.id,
        event_id=claimed.delivery.id,
        status=answer.status,
        milliseconds=answer.milliseconds,
        error=answer.error,
    )
    next_attempt_at = _next_attempt_at(claimed, answer) if is_retried else None
    status: Status = "delivered" if answer.is_success else "pending" if next_attempt_at else "failed"
    attempted = Attempt(now, answer.status, answer.milliseconds, answer.error)
    delivery = deliveries.settle(webhook.id, claimed, attempted, status, next_attempt_at)
    if answer.is_success:
        if webhook.failing_since or target.held_until:
            target = subscriptions.mark(target, failing_since=None, held_until=None)
    elif is_retried:
        target = _mark_failure(target, answer, now)
    return target, delivery


def _next_attempt_at(claimed: Claimed, answer: sending.Answer) -> datetime | None:
    """Return when to retry a delivery; None if it succeeded, the receiver is gone, or a day has passed."""
    if answer.is_success or answer.status == HTTPStatus.GONE or claimed.tries >= len(WAITS):
        return None
    wait = max(WAITS[claimed.tries], _asked(answer))
    at = datetime.now(UTC) + wait
    return at if at < claimed.started_at + GIVEN_UP_AFTER else None


def _asked(answer: sending.Answer) -> timedelta:
    """Return the wait that the receiver's Retry-After asks for, within limits."""
    return min(timedelta(seconds=answer.retry_after or 0), RETRY_AFTER_LIMIT)


def _mark_failure(target: Target, answer: sending.Answer, now: datetime) -> Target:
    failing_since = target.webhook.failing_since or now
    state: dict[str, str | None] = {}
    if target.webhook.failing_since is None:
        state["failing_since"] = now.isoformat()
    if answer.retry_after:
        state["held_until"] = (now + _asked(answer)).isoformat()
    if answer.status == HTTPStatus.GONE:
        state["paused_because"] = "gone"
    elif now - failing_since >= FAILING_LIMIT:
        state["paused_because"] = "failing"
    return subscriptions.mark(target, **state) if state else target


def test(webhook_id: str) -> Delivery:
    """Send a test event to a webhook, which may be paused, without retries, and return the delivery.

    Raises:
        NotFoundError: there is no such webhook.
        tables.TableUnavailableError: DynamoDB does not answer.
    """
    target = subscriptions.get(webhook_id)
    event_id, now = str(uuid.uuid4()), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    webhook = target.webhook
    body = messages.body_of_test(webhook.kind, webhook.chat_id, event_id, now, webhook_id)
    claimed = deliveries.record(webhook_id, event_id, messages.TEST_TYPE, body, is_claimed=True)
    assert claimed  # noqa: S101 - the id was just generated
    return attempt(target, claimed, is_retried=False)[1]


def resend(webhook_id: str, delivery_id: str) -> Delivery:
    """Attempt a delivery now, as if it were new, and return it.

    Raises:
        NotFoundError: there is no such webhook or delivery.
        tables.TableUnavailableError: DynamoDB does not answer.
    """
    target = subscriptions.get(webhook_id)
    return attempt(target, deliveries.restart(webhook_id, delivery_id))[1]
