"""Connections: who is on the price socket and what each follows, kept in DynamoDB with an expiry.

They are few and small, so a broadcast reads all of them: a posting for each costs more than a thousandth of a read.
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
CONNECTIONS_LIMIT = 250  # of one subject
# API Gateway ends a connection after two hours; what is left of one then goes a little later.
CONNECTION_SECONDS = 2 * 3_600 + 300
OPENING_SECONDS = 30
ATTEMPTS = 5

_TICKET = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


class TooManyConnectionsError(Exception):
    """A subject has as many connections as one may have."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket that opens the socket once: connect to `url`, which contains it, before it expires."""

    ticket: str
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Connection:
    """Somebody on the socket, and what they follow."""

    id: str
    followed: Subscriptions


def issue_ticket(subject: str) -> Ticket:
    """Return a ticket that nobody can guess, for a subject, who is known on the socket by it."""
    ticket, expires_at = secrets.token_urlsafe(32), int(time.time()) + TICKET_SECONDS
    aws.dynamodb().put_item(
        TableName=setting("TICKETS_TABLE"),
        Item={"ticket": {"S": ticket}, "subject": {"S": subject}, "expires_at": {"N": str(expires_at)}},
    )
    # The socket is served at the address of its management, over ws instead of http.
    url = f"ws{setting('SOCKETS_URL').removeprefix('http')}?ticket={ticket}"
    return Ticket(ticket, url, datetime.fromtimestamp(expires_at, UTC))


def redeem_ticket(ticket: str) -> str | None:
    """Use a ticket up, and return whose it was; None where it is none that opens the socket."""
    if not _TICKET.fullmatch(ticket):  # DynamoDB would call some texts no key at all
        return None
    client = aws.dynamodb()
    try:
        answer = client.delete_item(
            TableName=setting("TICKETS_TABLE"),
            Key={"ticket": {"S": ticket}},
            # An expired one stays for a while: DynamoDB takes its time.
            ConditionExpression="expires_at > :now",
            ExpressionAttributeValues={":now": {"N": str(int(time.time()))}},
            ReturnValues="ALL_OLD",
        )
    except client.exceptions.ConditionalCheckFailedException:
        return None
    return answer["Attributes"].get("subject", {"S": "unknown"})["S"]  # the code before this wrote none


def remember(connection_id: str, subject: str) -> None:
    """Keep a new connection of a subject; it follows everything.

    Raises:
        TooManyConnectionsError: the subject has as many as one may have.
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
    """Return how many connections a subject has. Two that connect at once may both be let in as the last."""
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
    """Drop a connection that was closed."""
    aws.dynamodb().delete_item(TableName=setting("CONNECTIONS_TABLE"), Key={"connection_id": {"S": connection_id}})


def forget_gone(connection_id: str) -> bool:
    """Drop a connection whose socket is gone, and return whether it was.

    API Gateway says the same of one that is still being opened: what is young stays.
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
    """Return what a connection follows.

    Raises:
        MessageError: `not_connected`, nothing is known of it.
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
    """Apply a rule to what a connection follows, and return what it follows then.

    Two changes at once are made one after the other.

    Raises:
        MessageError: as the rule does; `not_connected`, nothing is known of it; `busy`, others change it all the time.
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
    """Yield everybody who is connected."""
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
    """Do what a client says, and return the answer to it."""
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
