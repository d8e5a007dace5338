"""Deliveries: one per event and webhook, stored in DynamoDB for thirty days with the result of each attempt.

A delivery is recorded before it is attempted, so no event is lost if the function dies. `due_at` is when the sweep may
attempt it next. An attempt first moves `due_at` by a lease, so that no two functions attempt it at the same time.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from trading.core.errors import BAD_CURSOR, InvalidError, NotFoundError
from trading.core.pagination import decode_key, encode_key
from trading.core.settings import setting
from trading.core.values import ID_LIMIT
from trading.notifications.webhooks import tables
from trading.notifications.webhooks.tables import ConditionError

KEPT_SECONDS = 30 * 86_400
# Longer than the timeout of a function that attempts deliveries; local/tools/rules_of_code.py checks that.
LEASE_SECONDS = 60
EVENT_ID_LIMIT = 100  # characters
ATTEMPTS_KEPT = 20  # the newest of each delivery

Status = Literal["pending", "delivered", "failed"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt: its time and duration, and the receiver's status or the reason why there was none."""

    attempted_at: datetime
    status: int | None
    milliseconds: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """The delivery of an event to a webhook. Its id is that of the event, and the `webhook-id` of its messages.

    `failed` means given up; a pending delivery is attempted within a minute after `next_attempt_at`.
    """

    id: str
    event: str
    status: Status
    created_at: datetime
    next_attempt_at: datetime | None
    attempts: list[Attempt]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery on which this process holds the lease: its body, first attempt, and number of attempts."""

    delivery: Delivery
    body: str
    started_at: datetime
    tries: int


def record(webhook_id: str, event_id: str, event_type: str, body: str, *, is_claimed: bool) -> Claimed | None:
    """Record a delivery, due now, or if `is_claimed`, when the caller's lease expires.

    Returns None and writes nothing if it is already recorded, because an event may arrive twice.

    Raises:
        tables.TableUnavailableError: DynamoDB does not answer.
    """
    now = time.time()
    item = {
        "webhook_id": webhook_id,
        "event_id": event_id,
        "event": event_type,
        "status": "pending",
        "body": body,
        "attempts": [],
        "tries": 0,
        "created_at": _milliseconds(now),
        "started_at": _milliseconds(now),
        "due_at": _milliseconds(now + LEASE_SECONDS * is_claimed),
        "expires_at": int(now) + KEPT_SECONDS,
    }
    try:
        tables.call("put_item", TableName=_table(), Item=item, ConditionExpression="attribute_not_exists(webhook_id)")
    except ConditionError:
        return None
    return _claimed(item)


def due(webhook_id: str) -> Iterator[str]:
    """Yield the ids of a webhook's due deliveries, longest waiting first.

    Raises:
        tables.TableUnavailableError: DynamoDB does not answer.
    """
    items = tables.every(
        "query",
        TableName=_table(),
        IndexName="due",
        KeyConditionExpression="webhook_id = :webhook_id AND due_at <= :now",
        Values={":webhook_id": webhook_id, ":now": _milliseconds(time.time())},
    )
    yield from (item["event_id"] for item in items)


def claim(webhook_id: str, delivery_id: str) -> Claimed | None:
    """Acquire the lease of a due delivery; None if it is not due or another process holds the lease.

    Raises:
        tables.TableUnavailableError: DynamoDB does not answer.
    """
    now = time.time()
    try:
        item = _update(
            webhook_id,
            delivery_id,
            "SET due_at = :leased",
            {":now": _milliseconds(now), ":leased": _milliseconds(now + LEASE_SECONDS)},
            ConditionExpression="due_at <= :now",
        )
    except ConditionError:
        return None
    return _claimed(item)


def restart(webhook_id: str, delivery_id: str) -> Claimed:
    """Acquire the lease of a delivery in any status, to attempt it as if it were new.

    Raises:
        NotFoundError: the webhook has no such delivery.
        tables.TableUnavailableError: DynamoDB does not answer.
    """
    now = time.time()
    try:
        item = _update(
            webhook_id,
            delivery_id,
            "SET due_at = :leased, started_at = :now, tries = :none, #status = :pending",
            {
                ":leased": _milliseconds(now + LEASE_SECONDS),
                ":now": _milliseconds(now),
                ":none": 0,
                ":pending": "pending",
            },
            ConditionExpression="attribute_exists(webhook_id)",
            ExpressionAttributeNames={"#status": "status"},
        )
    except ConditionError:
        raise NotFoundError(f"There is no delivery {delivery_id} of the webhook {webhook_id}.") from None
    return _claimed(item)


def settle(
    webhook_id: str, claimed: Claimed, attempt: Attempt, status: Status, next_attempt_at: datetime | None
) -> Delivery:
    """Store the result of an attempt and the time of the next one, if any, and return the delivery.

    Raises:
        tables.TableUnavailableError: DynamoDB does not answer.
    """
    attempts = [*claimed.delivery.attempts, attempt][-ATTEMPTS_KEPT:]
    values: dict[str, Any] = {
        ":status": status,
        ":tries": claimed.tries + 1,
        ":attempts": [
            {
                "attempted_at": each.attempted_at.isoformat(),
                "status": each.status,
                "milliseconds": each.milliseconds,
                "error": each.error,
            }
            for each in attempts
        ],
    }
    due_at = "REMOVE due_at"
    if next_attempt_at:
        due_at, values[":due_at"] = ", due_at = :due_at", _milliseconds(next_attempt_at.timestamp())
    item = _update(
        webhook_id,
        claimed.delivery.id,
        f"SET #status = :status, tries = :tries, attempts = :attempts {due_at}",
        values,
        ExpressionAttributeNames={"#status": "status"},
    )
    return _delivery(item)


def find(webhook_id: str, limit: int, cursor: str | None) -> tuple[list[Delivery], str | None]:
    """Return a page of a webhook's deliveries, newest first, and the cursor of the next page if there is one.

    Raises:
        InvalidError: the cursor is not valid.
        tables.TableUnavailableError: DynamoDB does not answer.
    """
    parameters: dict[str, Any] = {}
    if cursor is not None:
        created_at, event_id = decode_key(cursor, int, str)
        if not (0 <= created_at < ID_LIMIT and 0 < len(event_id) <= EVENT_ID_LIMIT):
            raise InvalidError(BAD_CURSOR)
        parameters["ExclusiveStartKey"] = {"webhook_id": webhook_id, "created_at": created_at, "event_id": event_id}
    answer = tables.call(
        "query",
        TableName=_table(),
        IndexName="newest",
        KeyConditionExpression="webhook_id = :webhook_id",
        Values={":webhook_id": webhook_id},
        ScanIndexForward=False,
        Limit=limit,
        **parameters,
    )
    last = answer.get("LastEvaluatedKey")
    following = encode_key(int(last["created_at"]), last["event_id"]) if last else None
    return [_delivery(item) for item in answer["Items"]], following


def _update(
    webhook_id: str, delivery_id: str, expression: str, values: Mapping[str, Any], **more: Any
) -> Mapping[str, Any]:
    """Update a delivery and return it."""
    answer = tables.call(
        "update_item",
        TableName=_table(),
        Key={"webhook_id": webhook_id, "event_id": delivery_id},
        UpdateExpression=expression,
        Values=values,
        ReturnValues="ALL_NEW",
        **more,
    )
    attributes: Mapping[str, Any] = answer["Attributes"]
    return attributes


def _claimed(item: Mapping[str, Any]) -> Claimed:
    return Claimed(_delivery(item), item["body"], _instant(item["started_at"]), int(item["tries"]))


def _delivery(item: Mapping[str, Any]) -> Delivery:
    return Delivery(
        id=item["event_id"],
        event=item["event"],
        status=item["status"],
        created_at=_instant(item["created_at"]),
        next_attempt_at=_instant(item["due_at"]) if "due_at" in item else None,
        attempts=[
            Attempt(
                datetime.fromisoformat(each["attempted_at"]),
                None if each["status"] is None else int(each["status"]),
                int(each["milliseconds"]),
                each["error"],
            )
            for each in item["attempts"]
        ],
    )


def _milliseconds(timestamp: float) -> int:
    return int(timestamp * 1_000)


def _instant(milliseconds: Any) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1_000, UTC)


def _table() -> str:
    return setting("WEBHOOK_DELIVERIES_TABLE")
