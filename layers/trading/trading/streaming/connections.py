"""Connections of the price socket and their subscriptions, stored in DynamoDB with an expiry.

They are few and small, so a broadcast scans all of them: that costs little compared with a post to each.
"""

import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from trading.core import aws
from trading.core.settings import setting
from trading.streaming import protocol
from trading.streaming.protocol import (
    EVERYTHING,
    ListFollowed,
    MessageError,
    Ping,
    Subscribe,
    Subscriptions,
    Unsubscribe,
)

TICKET_SECONDS = 60
CONNECTIONS_LIMIT = 250  # per subject
# API Gateway closes a connection after two hours; the item expires a little later.
CONNECTION_SECONDS = 2 * 3_600 + 300
OPENING_SECONDS = 30
ATTEMPTS = 5

_TICKET = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


class TooManyConnectionsError(Exception):
    """A subject has reached the limit of connections."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket that opens the socket once: connect to `url`, which contains it, before it expires."""

    ticket: str
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection and its subscriptions."""

    id: str
    followed: Subscriptions


def issue_ticket(subject: str) -> Ticket:
    """Return an unguessable, single-use ticket that identifies a subject on the socket."""
    ticket, expires_at = secrets.token_urlsafe(32), int(time.time()) + TICKET_SECONDS
    aws.dynamodb().put_item(
        TableName=setting("TICKETS_TABLE"),
        Item={"ticket": {"S": ticket}, "subject": {"S": subject}, "expires_at": {"N": str(expires_at)}},
    )
    # The socket has the URL of its management API, with ws instead of http.
    url = f"ws{setting('SOCKETS_URL').removeprefix('http')}?ticket={ticket}"
    return Ticket(ticket, url, datetime.fromtimestamp(expires_at, UTC))


def redeem_ticket(ticket: str) -> str | None:
    """Consume a ticket and return its subject; None if it is not valid."""
    if not _TICKET.fullmatch(ticket):  # DynamoDB rejects some strings as keys
        return None
    client = aws.dynamodb()
    try:
        answer = client.delete_item(
            TableName=setting("TICKETS_TABLE"),
            Key={"ticket": {"S": ticket}},
            # DynamoDB deletes expired items with a delay.
            ConditionExpression="expires_at > :now",
            ExpressionAttributeValues={":now": {"N": str(int(time.time()))}},
            ReturnValues="ALL_OLD",
        )
    except client.exceptions.ConditionalCheckFailedException:
        return None
    return answer["Attributes"].get("subject", {"S": "unknown"})["S"]  # items of the previous release have none


def remember(connection_id: str, subject: str) -> None:
    """Store a new connection of a subject, which follows every ticker.

    Raises:
        TooManyConnectionsError: the subject has reached the limit.
    """
    if _count(subject) >= CONNECTIONS_LIMIT:
        raise TooManyConnectionsError(subject)
    aws.dynamodb().put_item(
        TableName=setting("CONNECTIONS_TABLE"),
        Item={
            "connection_id": {"S": connection_id},
            "subject": {"S": subject},
            "followed": {"S": EVERYTHING},
            "expires_at": {"N": str(int(time.time()) + CONNECTION_SECONDS)},
        },
    )


def _count(subject: str) -> int:
    """Return the number of a subject's connections. Concurrent connects may exceed the limit by a few."""
    pages = (
        aws.dynamodb()
        .get_paginator("scan")
        .paginate(
            TableName=setting("CONNECTIONS_TABLE"),
            FilterExpression="subject = :subject AND expires_at > :now",
            ExpressionAttributeValues={":subject": {"S": subject}, ":now": {"N": str(int(time.time()))}},
            Select="COUNT",
            ConsistentRead=True,
        )
    )
    return sum(page["Count"] for page in pages)


def forget(connection_id: str) -> None:
    """Delete a closed connection."""
    aws.dynamodb().delete_item(TableName=setting("CONNECTIONS_TABLE"), Key={"connection_id": {"S": connection_id}})


def forget_gone(connection_id: str) -> bool:
    """Delete a connection whose socket is gone, and return whether it was deleted.

    API Gateway also reports a connection that is still being opened as gone, so recent ones are kept.
    """
    client = aws.dynamodb()
    opened_before = int(time.time()) - OPENING_SECONDS
    try:
        client.delete_item(
            TableName=setting("CONNECTIONS_TABLE"),
            Key={"connection_id": {"S": connection_id}},
            ConditionExpression="attribute_not_exists(connection_id) OR expires_at < :opened_before",
            ExpressionAttributeValues={":opened_before": {"N": str(opened_before + CONNECTION_SECONDS)}},
        )
    except client.exceptions.ConditionalCheckFailedException:
        return False
    return True


def followed(connection_id: str) -> Subscriptions:
    """Return a connection's subscriptions.

    Raises:
        MessageError: `not_connected`, the connection is unknown.
    """
    answer = aws.dynamodb().get_item(
        TableName=setting("CONNECTIONS_TABLE"),
        Key={"connection_id": {"S": connection_id}},
        ConsistentRead=True,
    )
    if "Item" not in answer:
        raise MessageError("not_connected", "this connection is not known any more: connect again")
    return _read(answer["Item"]["followed"]["S"])


def change(connection_id: str, rule: Callable[[Subscriptions], Subscriptions]) -> Subscriptions:
    """Apply a rule to a connection's subscriptions, and return the new subscriptions.

    Concurrent changes are serialized with conditional writes.

    Raises:
        MessageError: from the rule; `not_connected`, the connection is unknown; `busy`, too many concurrent changes.
    """
    client = aws.dynamodb()
    for _ in range(ATTEMPTS):
        before = followed(connection_id)
        after = rule(before)
        try:
            client.update_item(
                TableName=setting("CONNECTIONS_TABLE"),
                Key={"connection_id": {"S": connection_id}},
                UpdateExpression="SET followed = :after",
                ConditionExpression="followed = :before",
                ExpressionAttributeValues={":before": {"S": _written(before)}, ":after": {"S": _written(after)}},
            )
        except client.exceptions.ConditionalCheckFailedException:
            continue
        return after
    raise MessageError("busy", "this connection is being changed elsewhere: try again")


def scan() -> Iterator[Connection]:
    """Yield all connections."""
    pages = (
        aws.dynamodb()
        .get_paginator("scan")
        .paginate(
            TableName=setting("CONNECTIONS_TABLE"),
            FilterExpression="expires_at > :now",
            ExpressionAttributeValues={":now": {"N": str(int(time.time()))}},
        )
    )
    for page in pages:
        for item in page["Items"]:
            yield Connection(item["connection_id"]["S"], _read(item["followed"]["S"]))


def answer(connection_id: str, text: str) -> str:
    """Carry out a client's message, and return the reply."""
    try:
        match protocol.read_message(text):
            case Ping():
                return protocol.pong()
            case ListFollowed():
                return protocol.subscribed(followed(connection_id))
            case Subscribe(tickers=tickers):
                return protocol.subscribed(
                    change(connection_id, lambda before: protocol.after_subscribing(before, tickers))
                )
            case Unsubscribe(tickers=tickers):
                return protocol.subscribed(
                    change(connection_id, lambda before: protocol.after_unsubscribing(before, tickers))
                )
    except MessageError as error:
        return error.write()


def _written(followed: Subscriptions) -> str:
    return " ".join(sorted(followed))


def _read(text: str) -> Subscriptions:
    return frozenset(text.split())
