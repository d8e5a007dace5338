"""Subscriptions: the webhooks, the events that each selects, and the state of its receiver, stored in DynamoDB.

Secrets, and the URLs of chats, are stored in a table that is encrypted with KMS and that only two functions can read.
Each delivery needs them, so a digest would not be enough; the API never returns them.
"""

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from trading.core.errors import ConflictError, FieldError, InvalidError, NotFoundError
from trading.core.settings import setting
from trading.notifications import events
from trading.notifications.webhooks import messages, tables
from trading.notifications.webhooks.messages import Kind
from trading.notifications.webhooks.tables import ConditionError

LIMIT = 20  # webhooks; every event is compared with all of them
FAILING_LIMIT = timedelta(days=5)

EVENT_TYPES: tuple[str, ...] = tuple(events.KINDS)

PauseReason = Literal["requested", "gone", "failing"]


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook without its secret. `events`, `ticker`, `account` and `rule_id` are null for any.

    `paused_because` says why it is paused: on request, because the receiver answered 410, or because it failed for five
    days. `failing_since` is the time of the first failure since the last success.
    """

    id: str
    kind: Kind
    url: str
    chat_id: str | None
    events: list[str] | None
    ticker: str | None
    account: str | None
    rule_id: int | None
    paused: bool
    paused_because: PauseReason | None
    failing_since: datetime | None
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class CreatedWebhook(Webhook):
    """A webhook that was just created, with the secret that signs its messages: it is not shown again."""

    secret: str | None


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook with what is needed to send to it: the full URL, the secret, and the receiver's Retry-After."""

    webhook: Webhook
    url: str
    secret: str | None
    held_until: datetime | None

    def is_ready(self, now: datetime) -> bool:
        """Whether a delivery may be attempted."""
        return not self.webhook.paused and (self.held_until is None or self.held_until <= now)

    def wants(self, event: Mapping[str, Any]) -> bool:
        """Whether the webhook selects an event, given as JSON; an event without a ticker matches no ticker."""
        webhook, data = self.webhook, event["data"]
        trades = [data[part] for part in ("voided", "recorded") if isinstance(data.get(part), dict)] or [data]
        return (
            (webhook.events is None or event["type"] in webhook.events)
            and (webhook.ticker is None or any(trade.get("ticker") == webhook.ticker for trade in trades))
            and (webhook.account is None or any(trade.get("account") == webhook.account for trade in trades))
            and (webhook.rule_id is None or (data.get("rule") or {}).get("id") == webhook.rule_id)
        )


def create(wanted: Mapping[str, Any], subject: str) -> CreatedWebhook:
    """Create a webhook and return it with its secret. Concurrent calls may exceed the limit by a few.

    Raises:
        ConflictError: the limit of webhooks is reached.
        InvalidError: the chat is missing, or is given for a kind without chats.
        tables.TableUnavailableError: DynamoDB does not answer.
    """
    _check_chat(wanted["kind"], wanted["chat_id"])
    if len(targets()) >= LIMIT:
        raise ConflictError(f"There are {LIMIT} webhooks already. Delete one first.")
    secret = messages.new_secret() if wanted["kind"] == "standard" else None
    item = {
        **wanted,
        "webhook_id": str(uuid.uuid4()),
        "secret": secret,
        "created_at": datetime.now(UTC).isoformat(),
        "created_by": subject,
    }
    tables.call("put_item", TableName=_table(), Item=item)
    shown = _target(item).webhook
    return CreatedWebhook(**asdict(shown), secret=secret)


def targets() -> list[Target]:
    """Return all webhooks, oldest first.

    Raises:
        tables.TableUnavailableError: DynamoDB does not answer.
    """
    found = [_target(item) for item in tables.every("scan", TableName=_table(), ConsistentRead=True)]
    return sorted(found, key=lambda target: target.webhook.created_at)


def get(webhook_id: str) -> Target:
    """Return a webhook.

    Raises:
        NotFoundError: there is no such webhook.
        tables.TableUnavailableError: DynamoDB does not answer.
    """
    answer = tables.call("get_item", TableName=_table(), Key={"webhook_id": webhook_id}, ConsistentRead=True)
    if "Item" not in answer:
        raise _not_found(webhook_id)
    return _target(answer["Item"])


def change(webhook_id: str, changes: Mapping[str, Any]) -> Webhook:
    """Change some settings of a webhook. Resuming it resets its failures.

    Raises:
        NotFoundError: there is no such webhook.
        InvalidError: the chat is missing, or is given for a kind without chats.
        tables.TableUnavailableError: DynamoDB does not answer.
    """
    before = get(webhook_id).webhook
    _check_chat(before.kind, changes.get("chat_id", before.chat_id))
    changes = {**changes}
    paused = changes.pop("paused", None)
    if paused is True and not before.paused:
        changes["paused_because"] = "requested"
    if paused is False:
        changes |= dict.fromkeys(("paused_because", "failing_since", "held_until"))
    return _update(webhook_id, changes).webhook if changes else before


def delete(webhook_id: str) -> Webhook:
    """Delete a webhook and return it; nothing more is sent to it.

    Raises:
        NotFoundError: there is no such webhook.
        tables.TableUnavailableError: DynamoDB does not answer.
    """
    key = {"webhook_id": webhook_id}
    answer = tables.call("delete_item", TableName=_table(), Key=key, ReturnValues="ALL_OLD")
    if "Attributes" not in answer:
        raise _not_found(webhook_id)
    return _target(answer["Attributes"]).webhook


def mark(target: Target, **state: str | None) -> Target:
    """Store the state of a receiver (`failing_since`, `held_until`, `paused_because`), and return the updated webhook.

    Raises:
        tables.TableUnavailableError: DynamoDB does not answer.
    """
    try:
        return _update(target.webhook.id, state)
    except NotFoundError:  # deleted meanwhile: nothing more is sent to it
        return replace(target, webhook=replace(target.webhook, paused=True))


def _update(webhook_id: str, values: Mapping[str, Any]) -> Target:
    try:
        answer = tables.call(
            "update_item",
            TableName=_table(),
            Key={"webhook_id": webhook_id},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
            ConditionExpression="attribute_exists(webhook_id)",
            ExpressionAttributeNames={f"#{name}": name for name in values},
            Values={f":{name}": value for name, value in values.items()},
            ReturnValues="ALL_NEW",
        )
    except ConditionError:
        raise _not_found(webhook_id) from None
    return _target(answer["Attributes"])


def _target(item: Mapping[str, Any]) -> Target:
    webhook = Webhook(
        id=item["webhook_id"],
        kind=item["kind"],
        url=messages.redacted(item["kind"], item["url"]),
        chat_id=item["chat_id"],
        events=item["events"],
        ticker=item["ticker"],
        account=item["account"],
        rule_id=None if item["rule_id"] is None else int(item["rule_id"]),
        paused=bool(item.get("paused_because")),
        paused_because=item.get("paused_because"),
        failing_since=_instant(item.get("failing_since")),
        created_at=datetime.fromisoformat(item["created_at"]),
        created_by=item["created_by"],
    )
    return Target(webhook, item["url"], item["secret"], _instant(item.get("held_until")))


def _instant(written: str | None) -> datetime | None:
    return datetime.fromisoformat(written) if written else None


def _check_chat(kind: Kind, chat_id: str | None) -> None:
    if kind == "telegram" and chat_id is None:
        raise InvalidError(FieldError("chat_id", "is required for telegram"))
    if kind != "telegram" and chat_id is not None:
        raise InvalidError(FieldError("chat_id", f"is not a setting of {kind}"))


def _not_found(webhook_id: str) -> NotFoundError:
    return NotFoundError(f"There is no webhook {webhook_id}.")


def _table() -> str:
    return setting("WEBHOOKS_TABLE")
