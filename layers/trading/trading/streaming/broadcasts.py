"""Broadcasts: prices and alerts for the price socket's clients that follow them.

A broadcast is worth something for seconds: what does not reach a socket is not sent to it again. Alerts are kept, and
told through their notifications too.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Literal
from urllib.parse import quote, unquote

from aws_lambda_powertools import Logger

from trading.core import aws, queues, values
from trading.core.settings import setting
from trading.core.values import adapter
from trading.prices import ticks
from trading.prices.alert_rules import Alert
from trading.prices.ticks import Tick
from trading.streaming import connections, protocol
from trading.streaming.protocol import Subscriptions

logger = Logger(child=True)

SEND_SECONDS = 2.0
POSTS_AT_ONCE = 32
FORGOTTEN_AT_ONCE = 8


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

    posts = (
        (f"/@connections/{quote(each.id, safe='')}", _in_time(frames(each.followed), deadline))
        for each in connections.scan()
        if frames(each.followed)
    )
    reached, gone, failed = 0, [], 0
    for path, error in aws.sockets(setting("SOCKETS_URL")).post_each(posts, POSTS_AT_ONCE):
        connection_id = unquote(path.removeprefix("/@connections/"))
        if error is None:
            reached += 1
        elif error.status == HTTPStatus.GONE:
            gone.append(connection_id)
        else:
            failed += 1
            logger.warning("A client was not reached", connection_id=connection_id, reason=str(error))
    with ThreadPoolExecutor(FORGOTTEN_AT_ONCE) as threads:
        forgotten = sum(threads.map(_forget, gone))
    return Posted(reached, forgotten, failed + len(gone) - forgotten)


def _newest(received: Iterable[Tick]) -> list[Tick]:
    newest: dict[str, Tick] = {}
    for tick in received:
        if tick.ticker not in newest or newest[tick.ticker].timestamp <= tick.timestamp:
            newest[tick.ticker] = tick
    return list(newest.values())


def _in_time(frames: list[bytes], deadline: float) -> Iterator[bytes]:
    from trading.core.signed_http import CallError  # noqa: PLC0415 - loaded with the client, not before

    for frame in frames:
        if time.monotonic() > deadline:
            raise CallError("the time is up")
        yield frame


def _forget(connection_id: str) -> bool:
    """Forget a connection that is gone, and return whether it is forgotten now."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as above

    try:
        return connections.forget_gone(connection_id)
    except (BotoCoreError, ClientError) as error:
        logger.warning("A client that is gone was not forgotten", connection_id=connection_id, reason=str(error))
        return False
