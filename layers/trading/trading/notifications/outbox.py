"""The transactional outbox: every trade, change, import and alert is announced at least once.

Each is written together with a row in `notifications`, which is the source of truth about its delivery. The queue makes
delivery fast; what the queue loses, `sweep` announces again.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import batched, islice
from typing import Any

from aws_lambda_powertools import Logger

from trading.core import database, queues, topics
from trading.core.settings import setting
from trading.notifications import events
from trading.notifications.events import (
    Event,
    ImportCompleted,
    ImportVoided,
    PriceAlerted,
    TradeCorrected,
    TradeRecorded,
    TradeVoided,
)
from trading.prices.alert_rules import ALERT_COLUMNS, alert_of
from trading.trades.changes import Correction, VoidedTrade
from trading.trades.imports import records as imports
from trading.trades.imports.records import IMPORT_COLUMNS, Import
from trading.trades.ledger import TRADE_COLUMNS, Trade, columns_of

logger = Logger(child=True)

# A client waits at most a second for announcements: no call starts after the first limit or exceeds the second one.
ANNOUNCE_SECONDS = 0.3
ANNOUNCE_CALL_SECONDS = 0.7
SWEEP_CALL_SECONDS = 5.0
# Longer than the publisher's timeout, so a valid lease means that its holder is still working; shorter than the queue's
# visibility timeout, so if the holder dies, the lease expires before the message is received again.
LEASE_SECONDS = 60
SWEEP_ATTEMPTS = 10


class UnknownNotificationError(Exception):
    """The event's notification is not in the database: this system did not announce it."""


class NotificationInProgressError(Exception):
    """Another process holds the lease of this notification; retry later."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """The number of notifications that a sweep announced, that the queue refused, and that were given up."""

    announced: int
    refused: int
    given_up: int


def announce(recorded: Iterable[Event]) -> None:
    """Send newly recorded events to the queue, within about a second.

    Best effort: the transaction is committed, so no failure here may become an error for the client. `sweep` sends the
    rest.
    """
    try:
        left_over = _announce(list(recorded))
    except Exception:
        logger.exception("Announcing failed; the sweeper will retry")
    else:
        if left_over:
            logger.warning("Not all was announced; the sweeper will announce the rest", left_over=left_over)


def _announce(announced: Sequence[Event]) -> int:
    """Announce events until the time is up, and return how many were not accepted."""
    left_over = len(announced)
    started = time.monotonic()
    for batch in batched(announced, queues.BATCH_LIMIT, strict=False):
        if time.monotonic() - started > ANNOUNCE_SECONDS:
            break
        refused = queues.send(_queue(), [events.write(event) for event in batch], ANNOUNCE_CALL_SECONDS)
        left_over -= len(batch) - len(refused)
    return left_over


_CLAIM = """
with claimed as (
    update notifications set sending_until = now() + make_interval(secs => %(lease)s)
    where id = %(id)s and delivered_at is null and (sending_until is null or sending_until < now())
    returning id
)
select exists (select from claimed), delivered_at is not null from notifications where id = %(id)s
"""


def deliver(event: Event) -> bool:
    """Publish an event to the topic unless it was already delivered; return whether this call published it.

    The lease prevents two copies of one message from both being published at the same time.

    Raises:
        UnknownNotificationError: there is no such notification.
        NotificationInProgressError: another process holds its lease.
        topics.TopicUnavailableError: SNS did not accept it.
        database.DatabaseUnavailableError: the database does not answer.
    """
    identity = {"id": event.id, "lease": LEASE_SECONDS}
    rows = database.query(_CLAIM, identity, repeatable=True)
    if not rows:
        raise UnknownNotificationError(f"there is no notification {event.id}")
    claimed, delivered = rows[0]
    if delivered:
        return False
    if not claimed:
        raise NotificationInProgressError(f"notification {event.id} is being sent")

    topics.publish(event, events.write(event))
    database.query(
        "update notifications set delivered_at = now() where id = %(id)s returning id",
        identity,
        repeatable=True,
    )
    return True


# Notifications of imports use next_attempt_at; migrations/0012_imports.sql explains why.
_TAKE_DUE = f"""
with due_imports as materialized (
    select id from notifications
    where delivered_at is null and failed_at is null and next_attempt_at <= now()
        and num_nonnulls(import_id, voided_import_id) = 1
    order by next_attempt_at
    limit %(limit)s
    for update skip locked
), due as materialized (
    select id from notifications
    where delivered_at is null and failed_at is null and due_at <= now()
    order by due_at
    limit %(limit)s - (select count(*) from due_imports)
    for update skip locked
), taken as (
    update notifications as notification set
        attempts = attempts + 1,
        due_at = case when due_at = 'infinity' then due_at
            else now() + interval '1 minute' * power(2, attempts + 1) end,
        next_attempt_at = case when due_at = 'infinity' then now() + interval '1 minute' * power(2, attempts + 1)
            else next_attempt_at end,
        failed_at = case when attempts >= %(attempts)s then now() end
    from (select id from due union all select id from due_imports) as chosen
    where notification.id = chosen.id
    returning notification.id, failed_at, trade_id, change_id, alert_id, import_id, voided_import_id
)
select taken.id, failed_at, changed_at, changed_by, reason, voided_import_id is not null,
    {columns_of("trades")}, {columns_of("replacement")}, {imports.columns_of("imports")},
    {", ".join(f"alerts.{name}" for name in ALERT_COLUMNS)}
from taken
left join imports on imports.id = coalesce(import_id, voided_import_id)
left join trade_changes as change on change.id = change_id
left join trades on trades.id = coalesce(taken.trade_id, change.trade_id)
left join trades as replacement on replacement.id = replaced_by
left join alerts on alerts.id = alert_id
"""  # noqa: S608 - the columns are a constant


def sweep(seconds: float) -> Sweep:
    """Announce undelivered, due notifications again, for at most `seconds`; give up those with ten attempts.

    The wait doubles with each attempt, from two minutes to seventeen hours. A notification that is given up has
    `failed_at` set and needs manual action. Ten are claimed at a time, so that an unavailable queue costs only ten of
    them an attempt.

    Raises:
        database.DatabaseUnavailableError: the database does not answer.
    """
    announced = refused = given_up = 0
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        # Not repeatable: a claim whose response was lost has already used an attempt of each row.
        rows = database.query(_TAKE_DUE, {"limit": queues.BATCH_LIMIT, "attempts": SWEEP_ATTEMPTS}, repeatable=False)
        if not rows:
            break
        due = [_event(id_, columns) for id_, failed_at, *columns in rows if failed_at is None]
        given_up += len(rows) - len(due)
        if due:
            try:
                failed = queues.send(_queue(), [events.write(event) for event in due], SWEEP_CALL_SECONDS)
            except queues.QueueUnavailableError:
                logger.exception("The queue is unavailable: the claimed notifications are retried later")
                refused += len(due)
                break
            announced += len(due) - len(failed)
            refused += len(failed)
    return Sweep(announced, refused, given_up)


def _event(notification_id: str, columns: Sequence[Any]) -> Event:
    rest = iter(columns)
    changed_at, changed_by, reason, is_voided = islice(rest, 4)
    trade, replacement = tuple(islice(rest, len(TRADE_COLUMNS))), tuple(islice(rest, len(TRADE_COLUMNS)))
    imported = tuple(islice(rest, len(IMPORT_COLUMNS)))
    if imported[0] is not None:
        event = ImportVoided if is_voided else ImportCompleted
        return event.of(Import(*imported), notification_id)
    if trade[0] is None:
        return PriceAlerted.of(alert_of(list(rest)), notification_id)
    if changed_at is None:
        return TradeRecorded.of(Trade(*trade), notification_id)
    voided = VoidedTrade(*trade, voided_at=changed_at, voided_by=changed_by, void_reason=reason)
    if replacement[0] is None:
        return TradeVoided.of(voided, notification_id)
    return TradeCorrected.of(Correction(voided, Trade(*replacement)), notification_id)


def _queue() -> str:
    return setting("NOTIFICATIONS_QUEUE_URL")
