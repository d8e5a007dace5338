"""What is said on a price socket: one protocol, of the laptop's feed and of the WebSocket API alike.

A client follows every ticker, written `*`, or those that it names. At first it is every one.
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
    """A message that cannot be understood or done: a code for programs, and what is wrong in words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def write(self) -> str:
        """Return the answer to such a message."""
        return _written("error", code=self.code, message=str(self))


Followable = AnyCaseTickerOrEvery
Followables = Annotated[list[Followable], Field(min_length=1, max_length=FOLLOW_LIMIT)]


class Subscribe(BaseModel):
    """Follow these tickers too; where the server counts its ticks, from those after `since` on."""

    action: Literal["subscribe"]
    tickers: Followables
    since: dict[AnyCaseTicker, Annotated[int, Field(ge=0, strict=True)]] = {}


class Unsubscribe(BaseModel):
    """Follow these tickers no longer."""

    action: Literal["unsubscribe"]
    tickers: Followables


class ListFollowed(BaseModel):
    """Say which tickers are followed."""

    action: Literal["list"]


class Ping(BaseModel):
    """Say something, so that nobody takes this connection for dead."""

    action: Literal["ping"]


type Message = Subscribe | Unsubscribe | ListFollowed | Ping

_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="action")])


def read_message(text: str) -> Message:
    """Return what a client said; keys that mean nothing here are passed over.

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
    # The first part of the location is the action; a part that names a type says nothing to a client.
    where = ".".join(str(part) for part in problem["loc"][1:3])
    raise MessageError("bad_message", f"{where}: {problem['msg']}" if where else str(problem["msg"]))


def after_subscribing(followed: Subscriptions, tickers: Iterable[str]) -> Subscriptions:
    """Return what is followed then: names replace everything, and everything replaces names.

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
    """Return what is followed then.

    Raises:
        MessageError: `follows_all`, everything less one is not something that can be followed.
    """
    unwanted = frozenset(tickers)
    if EVERYTHING in unwanted:
        return frozenset()
    if EVERYTHING in followed:
        raise MessageError("follows_all", "you follow every ticker: subscribe to those that you want")
    return followed - unwanted


def follows(followed: Subscriptions, ticker: str) -> bool:
    """Whether a client hears of a ticker."""
    return ticker in followed or EVERYTHING in followed


def subscribed(followed: Subscriptions) -> str:
    """Return the answer that says what is followed, all of it."""
    return _written("subscribed", tickers=sorted(followed))


def pong() -> str:
    """Return the answer to a ping."""
    return _written("pong")


def alerted(alert: Alert) -> str:
    """Return the message of an alert: the same object as over HTTP, and its type."""
    return _written("alert", **adapter(Alert).dump_python(alert, mode="json"))


def _written(type_: str, **members: object) -> str:
    return json.dumps({"type": type_, **members})
