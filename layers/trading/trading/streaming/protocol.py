"""The protocol of the price socket, shared by the local feed and the WebSocket API.

A client follows every ticker, written `*`, or the tickers that it names. A new client follows every ticker.
"""

import json
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from trading.core.values import AnyCaseTicker, AnyCaseTickerOrEvery, adapter, read_json
from trading.prices.alert_rules import Alert

EVERYTHING = "*"
FOLLOW_LIMIT = 100

type Subscriptions = frozenset[str]


class MessageError(Exception):
    """A message is invalid or cannot be carried out: a code for programs, and a description for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def write(self) -> str:
        """Return the reply to such a message."""
        return _written("error", code=self.code, message=str(self))


Followable = AnyCaseTickerOrEvery
Followables = Annotated[list[Followable], Field(min_length=1, max_length=FOLLOW_LIMIT)]


class Subscribe(BaseModel):
    """Also follow these tickers; if the server numbers its ticks, starting after `since`."""

    action: Literal["subscribe"]
    tickers: Followables
    since: dict[AnyCaseTicker, Annotated[int, Field(ge=0, strict=True)]] = {}


class Unsubscribe(BaseModel):
    """Stop following these tickers."""

    action: Literal["unsubscribe"]
    tickers: Followables


class ListFollowed(BaseModel):
    """List the followed tickers."""

    action: Literal["list"]


class Ping(BaseModel):
    """Keep the connection alive."""

    action: Literal["ping"]


type Message = Subscribe | Unsubscribe | ListFollowed | Ping

_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="action")])


def read_message(text: str) -> Message:
    """Parse a client's message; unknown keys are ignored.

    Raises:
        MessageError: `bad_json`, `bad_message` or `unknown_action`.
    """
    try:
        value = read_json(text)
    except ValueError as error:
        raise MessageError("bad_json", f"not JSON: {error}") from None
    try:
        return _MESSAGE.validate_python(value)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
    if problem["type"].startswith("union_tag"):
        raise MessageError("unknown_action", "action must be subscribe, unsubscribe, list or ping")
    # The first part of the location is the action; parts that name a type mean nothing to a client.
    where = ".".join(str(part) for part in problem["loc"][1:3])
    raise MessageError("bad_message", f"{where}: {problem['msg']}" if where else str(problem["msg"]))


def after_subscribing(followed: Subscriptions, tickers: Iterable[str]) -> Subscriptions:
    """Return the new subscriptions: names replace `*`, and `*` replaces names.

    Raises:
        MessageError: `too_many_tickers`.
    """
    wanted = frozenset(tickers)
    if EVERYTHING in wanted:
        return frozenset({EVERYTHING})
    together = wanted | (followed - {EVERYTHING})
    if len(together) > FOLLOW_LIMIT:
        raise MessageError("too_many_tickers", f"a client follows {FOLLOW_LIMIT} tickers at most, or {EVERYTHING}")
    return together


def after_unsubscribing(followed: Subscriptions, tickers: Iterable[str]) -> Subscriptions:
    """Return the new subscriptions.

    Raises:
        MessageError: `follows_all`, because "all except some" is not supported.
    """
    unwanted = frozenset(tickers)
    if EVERYTHING in unwanted:
        return frozenset()
    if EVERYTHING in followed:
        raise MessageError("follows_all", "you follow every ticker: subscribe to those that you want")
    return followed - unwanted


def follows(followed: Subscriptions, ticker: str) -> bool:
    """Whether a client with these subscriptions receives a ticker."""
    return ticker in followed or EVERYTHING in followed


def subscribed(followed: Subscriptions) -> str:
    """Return the reply that lists all subscriptions."""
    return _written("subscribed", tickers=sorted(followed))


def pong() -> str:
    """Return the reply to a ping."""
    return _written("pong")


def alerted(alert: Alert) -> str:
    """Return the message for an alert: the same object as over HTTP, with a type."""
    return _written("alert", **adapter(Alert).dump_python(alert, mode="json"))


def _written(type_: str, **members: object) -> str:
    return json.dumps({"type": type_, **members})
