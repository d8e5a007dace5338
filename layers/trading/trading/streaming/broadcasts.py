"""Broadcasts: prices and alerts for the price socket's clients that follow them.

A broadcast is worth something for seconds: what does not reach a socket is not sent to it again. Alerts are kept, and
told through their notifications too.
"""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from aws_lambda_powertools import Logger

from trading.core import aws, queues, values
from trading.core.settings import setting
from trading.core.values import adapter
from trading.prices import ticks
from trading.prices.alert_rules import Alert
from trading.prices.ticks import Tick
from trading.streaming import connections, protocol
from trading.streaming.connections import Connection
from trading.streaming.protocol import Subscriptions

if TYPE_CHECKING:
    from trading.core.signed_http import SignedHttp

logger = Logger(child=True)

SEND_SECONDS = 2.0
POSTERS = 32  # posts at a time


@dataclass(frozen=True, slots=True)
class Broadcast:
    """The message that carries prices and alerts to the broadcaster."""

    type: Literal["prices.broadcast.v1"]
    prices: list[Tick]
    alerts: list[Alert]


@dataclass(frozen=True, slots=True)
class Posted:
    """The outcome of a broadcast: how many clients received it, were gone, or did not respond in time."""

    reached: int
    gone: int
    failed: int


def read_message(text: str) -> Broadcast:
    """Parse the broadcast in a message.

    Raises:
        ValueError: the text is no such message (pydantic's ValidationError is one).
    """
    return adapter(Broadcast).validate_python(values.read_json(text))


def send(newest: Sequence[Tick], alerts: Sequence[Alert]) -> None:
    """Send the newest price of each ticker, and alerts, to the broadcast queue.

    Best effort: the prices are recorded, so nothing that happens here may bring them again.
    """
    body = adapter(Broadcast).dump_json(Broadcast("prices.broadcast.v1", list(newest), list(alerts))).decode()
    try:
        refused = queues.send(setting("BROADCAST_QUEUE_URL"), [body], SEND_SECONDS)
    except queues.QueueUnavailableError:
        logger.exception("These prices will not be broadcast")
    else:
        if refused:
            logger.error("These prices will not be broadcast")


def post(broadcasts: Sequence[Broadcast], seconds: float) -> Posted:
    """Post to each client what it follows, for at most so long: the newest prices in one frame, then each alert.

    Many are posted to at a time, so that one who does not answer holds up none but himself. Who is gone is forgotten.

    Raises:
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: it is not known who is connected.
    """
    if not broadcasts:
        return Posted(0, 0, 0)
    deadline = time.monotonic() + seconds
    newest = _newest(tick for each in broadcasts for tick in each.prices)
    alerts = [alert for each in broadcasts for alert in each.alerts]

    @cache  # because most follow the same tickers
    def frames(followed: Subscriptions) -> list[bytes]:
        followed_ticks = [tick for tick in newest if protocol.follows(followed, tick.ticker)]
        told = [protocol.alerted(alert) for alert in alerts if protocol.follows(followed, alert.ticker)]
        return [frame.encode() for frame in ([ticks.frame(followed_ticks)] if followed_ticks else []) + told]

    sockets = aws.sockets(setting("SOCKETS_URL"))
    with ThreadPoolExecutor(POSTERS) as posters:
        posting = [
            posters.submit(_post, sockets, each, frames(each.followed), deadline)
            for each in connections.scan()
            if frames(each.followed)
        ]
        outcomes = [each.result() for each in posting]
    return Posted(*(outcomes.count(outcome) for outcome in ("reached", "gone", "failed")))


def _newest(received: Iterable[Tick]) -> list[Tick]:
    newest: dict[str, Tick] = {}
    for tick in received:
        if tick.ticker not in newest or newest[tick.ticker].timestamp <= tick.timestamp:
            newest[tick.ticker] = tick
    return list(newest.values())


def _post(sockets: "SignedHttp", connection: Connection, frames: list[bytes], deadline: float) -> str:
    """Post frames to a connection one after another, and return the outcome."""
    # Loaded with the client, not before.
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    from trading.core.signed_http import CallError  # noqa: PLC0415

    try:
        try:
            for frame in frames:
                if time.monotonic() > deadline:
                    return "failed"
                sockets.post(f"/@connections/{quote(connection.id, safe='')}", frame)
        except CallError as error:
            if error.status != HTTPStatus.GONE:
                raise
            return "gone" if connections.forget_gone(connection.id) else "failed"
    except (CallError, BotoCoreError, ClientError) as error:
        logger.warning("A client was not reached", connection_id=connection.id, reason=str(error))
        return "failed"
    return "reached"
