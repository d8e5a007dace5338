"""The alerter: follows the prices of a feed, reconnecting as needed, and shows each alert."""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientResponseError, ClientSession, ClientTimeout
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from local.cli import backoff, reader
from local.cli.client import is_here
from local.cli.console import printable
from local.cli.display import Display
from local.cli.publisher import Publisher
from local.cli.reader import Answer, Prices, UnreadableError
from local.cli.watches import Watches
from trading.prices.alert_rules import DEFAULT_RULE, Alert, AlertRule, Outcome
from trading.prices.ticks import AHEAD, Tick
from trading.streaming.protocol import EVERYTHING

LONGEST_WAIT = 30.0
SILENCE_SECONDS = 10.0
# How long a feed with sequence numbers has to answer a resume. Prices that arrive before are part of its replay.
RESUME_SECONDS = 5.0
CLOSE_SECONDS = 2.0
TICKET_SECONDS = 10.0
SHOWN_ALERTS = 1_000  # remembered, so that none is shown twice
BRIEF = 200  # characters
NAMED = 10  # tickers listed in a line
SINCE_LIMIT = 14 * 1024  # characters; the feed accepts messages of 16 KB


class RefusedError(Exception):
    """The feed permanently refuses the connection."""


class Alerter:
    """Follows a feed and reconnects when a connection is lost."""

    def __init__(  # noqa: PLR0913 - the options of the command
        self,
        url: str,
        display: Display,
        *,
        tickers: Sequence[str] = (),
        rules: Sequence[AlertRule] = (DEFAULT_RULE,),
        publisher: Publisher | None = None,
        token: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Follow a feed (ws://…) or the socket of a trading system (http://…).

        `token` returns the access token of a trading system; it is called for each connection, because tokens expire.
        """
        self._url = url
        self._token = token
        self._wanted = sorted({ticker.upper() for ticker in tickers})
        self._display = display
        self._publisher = publisher
        self._watches = Watches(rules)
        self._ahead: set[str] = set()  # tickers with a tick in the future that was reported
        self._absent = set(self._wanted)  # tickers without a price so far, until that is reported
        self._shown: OrderedDict[tuple[str, datetime, AlertRule], None] = OrderedDict()
        self._seqs: dict[str, int] = {}
        self._lost: list[str] = []  # tickers with gaps that are not reported yet
        self._ignores_until = 0.0  # by the loop's clock, like the next two
        self._heard = 0.0
        self._usual_wait = 0.0  # between the latest two arrays
        self._started = time.monotonic()
        self._connections = self._prices = self._alerts = self._unreadable = self._passed_over = 0
        self._waits = backoff.waits(LONGEST_WAIT)

    async def run(self) -> None:
        """Follow the feed, until cancelled.

        Raises:
            RefusedError: it permanently refuses the connection.
        """
        while True:
            try:
                url = self._url if _is_socket(self._url) else await _with_ticket(self._url, self._token())
                async with connect(
                    url, proxy=None if is_here(url) else True, close_timeout=CLOSE_SECONDS
                ) as connection:
                    await self._follow(connection)
            except (InvalidStatus, ClientResponseError) as error:
                status = error.status if isinstance(error, ClientResponseError) else error.response.status_code
                if 400 <= status < 500 and status not in {408, 425, 429}:  # noqa: PLR2004 - these are temporary
                    raise RefusedError(f"HTTP {status}{_hint(self._url, status)}") from None
                why = f"HTTP {status}"
            except ConnectionClosed as error:
                close = error.rcvd
                why = f"it closed the connection: {close.code} {close.reason}".strip() if close else "connection lost"
            except (OSError, InvalidHandshake, ClientError) as error:  # a TimeoutError is an OSError
                why = str(error) or "no answer"
            wait = next(self._waits)
            self._display.say(f"No prices from {_shown(self._url)} ({_brief(why)}). Next try in {wait:.1f} s.")
            await asyncio.sleep(wait)

    def summary(self) -> str:
        """Return the totals, as text."""
        tickers, seconds = len(self._watches), time.monotonic() - self._started
        text = f"{seconds:.0f} s: tickers {tickers}, prices {self._prices:,}, alerts {self._alerts}"
        if self._connections > 1:
            text += f", connections {self._connections}"
        if self._unreadable:
            text += f", unreadable messages {self._unreadable:,}"
        if self._passed_over:
            text += f", prices ahead of the clock {self._passed_over:,}"
        if self._publisher:
            text += f". To the trading system: {self._publisher.summary()}"
        return f"{text}."

    async def _follow(self, connection: ClientConnection) -> None:
        """Subscribe, then listen until the connection ends."""
        loop = asyncio.get_running_loop()
        self._connections += 1
        self._display.say(f"Connected to {_shown(self._url)}.")
        connected = self._heard = loop.time()
        self._ignores_until = 0.0
        # To follow everything without resuming, no message is needed; feeds of others may not support any.
        if self._wanted or self._seqs:
            request: dict[str, Any] = {"action": "subscribe", "tickers": self._wanted or [EVERYTHING]}
            # Without numbers the feed continues from now; with too many it would close the connection.
            if self._seqs and len(json.dumps(self._seqs)) < SINCE_LIMIT:
                request["since"] = self._seqs
                self._ignores_until = loop.time() + RESUME_SECONDS
            await connection.send(json.dumps(request))
        is_silent, complained = False, False
        while True:
            patience = max(SILENCE_SECONDS, 3 * self._usual_wait)
            try:
                async with asyncio.timeout_at(None if is_silent else self._heard + patience):
                    message = await connection.recv()
            except TimeoutError:
                is_silent = True
                self._display.say(f"The feed is silent: no prices for {patience:.0f} s.")
                self._tell_of_absent(patience)
                continue
            heard_before = self._heard
            try:
                self._take(message)
            except UnreadableError as error:
                self._unreadable += 1
                if not complained:
                    self._display.say(f"An unreadable message, {_brief(str(error))}. Others are only counted.")
                complained = True
            if self._absent and loop.time() - connected > patience:
                self._tell_of_absent(patience)
            if is_silent and self._heard > heard_before:
                is_silent = False
                self._display.say(f"Prices again, after {self._heard - heard_before:.0f} s.")

    def _take(self, message: str | bytes) -> None:
        """Show the contents of a message and evaluate the rules.

        Raises:
            UnreadableError: part of it cannot be read.
        """
        heard = reader.read(message, datetime.now(UTC))
        if not isinstance(heard, Answer) or heard.type != "gap":
            self._tell_of_gaps()
        match heard:
            case Prices():
                if heard.ticks:
                    self._take_prices(heard)
                if heard.unreadable:
                    raise UnreadableError(heard.unreadable[0])
            case Alert():
                self._show(heard)
            case Answer():
                self._answer(heard)

    def _answer(self, answer: Answer) -> None:
        """Handle a message that is neither prices nor an alert.

        Raises:
            OSError: the server no longer knows this connection.
        """
        match answer:
            case Answer(type="gap"):
                self._lost.append(str(answer.members.get("ticker")))
            case Answer(type="error", members={"code": "not_connected"}):
                raise OSError("the server no longer knows this connection")  # reconnect
            case Answer(type="error"):
                self._ignores_until = 0.0
                if answer.members.get("code") == "unknown_ticker":
                    self._absent.clear()  # already reported by this message
                said = [str(answer.members[name]) for name in ("code", "message") if name in answer.members]
                self._display.say(f"The feed says {_brief(': '.join(said))}.")
            case Answer(type="subscribed"):
                self._ignores_until = 0.0

    def _take_prices(self, prices: Prices) -> None:
        now = asyncio.get_running_loop().time()
        self._usual_wait, self._heard = now - self._heard, now
        if now < self._ignores_until:
            return
        self._waits = backoff.waits(LONGEST_WAIT)
        self._seqs |= prices.seqs
        wanted = [tick for tick in prices.ticks if not self._wanted or tick.ticker.upper() in self._wanted]
        self._absent.difference_update(tick.ticker.upper() for tick in wanted)
        ticks = self._without_future(wanted)
        if not ticks:
            return
        self._display.prices(ticks)
        self._prices += len(ticks)
        detections = [self._watches.update(tick) for tick in ticks]
        self._begin_anew([tick.ticker for tick, (_, is_new_run) in zip(ticks, detections, strict=True) if is_new_run])
        for detection, _ in detections:
            for alert in detection.alerts:
                self._show(alert)
        if self._publisher:
            counted = zip(ticks, detections, strict=True)
            self._publisher.offer([tick for tick, (detection, _) in counted if detection.outcome is Outcome.COUNTED])

    def _begin_anew(self, tickers: Sequence[str]) -> None:
        """Report that the feed restarted; its alerts for these tickers may be repeated."""
        if tickers:
            self._display.say(f"The feed restarted at an earlier time: {_listed(tickers)}.")
            for key in [key for key in self._shown if key[0] in tickers]:
                del self._shown[key]

    def _without_future(self, ticks: list[Tick]) -> list[Tick]:
        """Return ticks that are not in the future: one from tomorrow would make all others of its ticker too old."""
        latest = datetime.now(UTC) + AHEAD
        future = {tick.ticker: tick for tick in ticks if tick.timestamp > latest}
        if not future:
            return ticks
        believed = [tick for tick in ticks if tick.timestamp <= latest]
        self._passed_over += len(ticks) - len(believed)
        if names := [name for name in future if name not in self._ahead]:
            self._ahead.update(names)
            newest = max(future[name].timestamp for name in names)
            self._display.say(
                f"Prices dated ahead of this machine's clock, up to {newest:%Y-%m-%d %H:%M:%S} UTC, are left out:"
                f" {_listed(names)}."
            )
        return believed

    def _show(self, alert: Alert) -> None:
        """Show an alert once, even if both this program and the server raise it."""
        key = (alert.ticker, alert.timestamp, replace(alert.rule, id=None))
        if key in self._shown:
            return
        self._shown[key] = None
        if len(self._shown) > SHOWN_ALERTS:
            self._shown.popitem(last=False)
        self._alerts += 1
        self._display.alert(alert)

    def _tell_of_gaps(self) -> None:
        if self._lost:
            self._display.say(f"Some prices are lost, the feed no longer has them: {_listed(self._lost)}.")
            self._lost.clear()

    def _tell_of_absent(self, patience: float) -> None:
        """Report once which tickers have no prices."""
        if self._absent:
            names = _listed(sorted(self._absent))
            self._display.say(f"No price of {names} in {patience:.0f} s. Does the feed have such a ticker?")
            self._absent.clear()


async def _with_ticket(url: str, token: str | None) -> str:
    """Return the URL of a trading system's socket, with a single-use ticket."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        ClientSession(headers=headers, timeout=ClientTimeout(TICKET_SECONDS), raise_for_status=True) as session,
        session.post(f"{url.rstrip('/')}/api/prices/ticket/") as response,
    ):
        return str((await response.json())["url"])


def _is_socket(url: str) -> bool:
    """Whether a URL is that of a WebSocket, and not of a trading system, which issues tickets for one."""
    return urlsplit(url).scheme in {"ws", "wss"}


def _hint(url: str, status: int) -> str:
    """Return a hint on how to resolve a refusal."""
    if _is_socket(url):
        return "; a ticket in the address is good for one connection" if "?" in url else ""
    if status == HTTPStatus.UNAUTHORIZED:
        return ": set TOKEN to a valid token"
    return ": the token needs the scope prices:read" if status == HTTPStatus.FORBIDDEN else ""


def _shown(url: str) -> str:
    """Return a URL without its query, which may contain a ticket."""
    return url.partition("?")[0]


def _brief(text: str) -> str:
    """Return the beginning of an untrusted text, without terminal control characters."""
    return printable(text[:BRIEF])


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"{', '.join(map(_brief, names[:NAMED]))}{more}"
