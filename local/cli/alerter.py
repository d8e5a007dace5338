"""`python -m local.cli.alerter`: watch the prices of a feed, and tell of each that rises by 2 % within a minute.

Where the trading system wants a token, it is in the environment as TOKEN: see `python -m local.tools.issue_token`.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientResponseError, ClientSession, ClientTimeout
from rich.console import Console
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.uri import parse_uri

from local.cli import backoff, console, reader
from local.cli.display import Display, JsonLines, Lines, LiveTable
from local.cli.publisher import Publisher, publishing
from local.cli.reader import Answer, Prices, UnreadableError
from trading.prices.alert_rules import Alert, Outcome, RiseDetector
from trading.streaming.protocol import EVERYTHING

URL = "ws://localhost:8765"
LONGEST_WAIT = 30.0
SILENCE_SECONDS = 10.0
# A feed that counts has so long to answer where it goes on; until then, what comes is part of what it will repeat.
RESUME_SECONDS = 5.0
CLOSE_SECONDS = 2.0
TICKET_SECONDS = 10.0
SHOWN_ALERTS = 1_000  # which are remembered, so that none is shown twice
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
BRIEF = 200
SINCE_LIMIT = 14 * 1024  # characters, of the 16 KB that the feed takes


class RefusedError(Exception):
    """The feed does not let us in, and will not if it is asked again."""


class Alerter:
    """Follows a feed for as long as it runs, over any number of connections."""

    def __init__(
        self, url: str, display: Display, *, tickers: Sequence[str] = (), publisher: Publisher | None = None
    ) -> None:
        self._url = url
        self._wanted = sorted({ticker.upper() for ticker in tickers})
        self._display = display
        self._publisher = publisher
        self._watches: dict[str, RiseDetector] = {}
        self._shown: OrderedDict[tuple[str, datetime], None] = OrderedDict()
        self._seqs: dict[str, int] = {}
        self._lost: list[str] = []  # tickers of gaps that were not told of
        self._ignores_until = 0.0  # by the loop's clock, as are the next two
        self._heard = 0.0
        self._usual_wait = 0.0  # between the latest two arrays
        self._started = time.monotonic()
        self._connections = self._prices = self._alerts = self._unreadable = 0
        self._waits = backoff.waits(LONGEST_WAIT)

    async def run(self) -> None:
        """Follow the feed, until cancelled.

        Raises:
            RefusedError: it answers that we may not connect.
        """
        while True:
            try:
                url = self._url if _is_socket(self._url) else await _with_ticket(self._url)
                async with connect(
                    url, proxy=None if _is_here(url) else True, close_timeout=CLOSE_SECONDS
                ) as connection:
                    await self._follow(connection)
            except (InvalidStatus, ClientResponseError) as error:
                status = error.status if isinstance(error, ClientResponseError) else error.response.status_code
                if 400 <= status < 500 and status not in {408, 425, 429}:  # noqa: PLR2004 - those may pass
                    raise RefusedError(f"HTTP {status}; a ticket in the address is good for one connection") from None
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
        """Return what was seen, as text."""
        tickers, seconds = len(self._watches), time.monotonic() - self._started
        text = f"{seconds:.0f} s: tickers {tickers}, prices {self._prices:,}, alerts {self._alerts}"
        if self._connections > 1:
            text += f", connections {self._connections}"
        if self._unreadable:
            text += f", unreadable messages {self._unreadable:,}"
        if self._publisher:
            text += f". To the trading system: {self._publisher.summary()}"
        return f"{text}."

    async def _follow(self, connection: ClientConnection) -> None:
        """Ask for what is wanted, then listen until the connection ends."""
        loop = asyncio.get_running_loop()
        self._connections += 1
        self._display.say(f"Connected to {_shown(self._url)}.")
        self._heard, self._ignores_until = loop.time(), 0.0
        # A client that wants everything, and has nothing to resume, need not say so: another's feed may not listen.
        if self._wanted or self._seqs:
            request: dict[str, Any] = {"action": "subscribe", "tickers": self._wanted or [EVERYTHING]}
            # Without numbers the feed goes on from now; with too many it would end the connection.
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
                continue
            heard_before = self._heard
            try:
                self._take(message)
            except UnreadableError as error:
                self._unreadable += 1
                if not complained:
                    self._display.say(f"An unreadable message, {_brief(str(error))}. Others are only counted.")
                complained = True
            if is_silent and self._heard > heard_before:
                is_silent = False
                self._display.say(f"Prices again, after {self._heard - heard_before:.0f} s.")

    def _take(self, message: str | bytes) -> None:
        """Show and judge what a message says.

        Raises:
            UnreadableError: some of it cannot be read.
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
            case Answer(type="gap"):
                self._lost.append(_brief(str(heard.members.get("ticker"))))
            case Answer(type="error", members={"code": "not_connected"}):
                raise OSError("it has forgotten this connection")  # a new one is what helps
            case Answer(type="error"):
                self._ignores_until = 0.0
                said = [str(heard.members[name]) for name in ("code", "message") if name in heard.members]
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
        ticks = [tick for tick in prices.ticks if not self._wanted or tick.ticker.upper() in self._wanted]
        if not ticks:
            return
        self._display.prices(ticks)
        self._prices += len(ticks)
        counted = []
        for tick in ticks:
            watch = self._watches.get(tick.ticker) or self._watches.setdefault(tick.ticker, RiseDetector(tick.ticker))
            detection = watch.update(tick)
            if detection.outcome is Outcome.COUNTED:
                counted.append(tick)
            if detection.alert:
                self._show(detection.alert)
        if self._publisher:
            self._publisher.offer(counted)

    def _show(self, alert: Alert) -> None:
        """Show an alert once, were it ours and the server's."""
        key = (alert.ticker, alert.timestamp)
        if key in self._shown:
            return
        self._shown[key] = None
        if len(self._shown) > SHOWN_ALERTS:
            self._shown.popitem(last=False)
        self._alerts += 1
        self._display.alert(alert)

    def _tell_of_gaps(self) -> None:
        if self._lost:
            self._display.say(f"Some prices are lost, the feed no longer has them: {', '.join(self._lost)}.")
            self._lost.clear()


async def _with_ticket(url: str) -> str:
    """Return the address of a trading system's socket, with the ticket that opens it once."""
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"} if "TOKEN" in os.environ else {}
    async with (
        ClientSession(headers=headers, timeout=ClientTimeout(TICKET_SECONDS), raise_for_status=True) as session,
        session.post(f"{url.rstrip('/')}/api/prices/ticket/") as response,
    ):
        return str((await response.json())["url"])


def _is_socket(url: str) -> bool:
    """Whether a URL is a WebSocket's, and not a trading system's, which gives tickets to one."""
    return urlsplit(url).scheme in {"ws", "wss"}


def _is_here(url: str) -> bool:
    return urlsplit(url).hostname in LOOPBACK


def _shown(url: str) -> str:
    """Return a URL without its query, in which there may be a ticket."""
    return url.partition("?")[0]


def _brief(text: str) -> str:
    """Return what a stranger said as something that a terminal can show."""
    return "".join(character if character.isprintable() else "?" for character in text[:BRIEF])


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.cli.alerter", description=__doc__)
    parser.add_argument(
        "--url",
        type=_url,
        default=URL,
        help="of a feed, or http://… of a trading system, whose socket is followed then (default: %(default)s)",
    )
    parser.add_argument("--tickers", default="", help="such as AAPL,MSFT; all without")
    parser.add_argument("--publish", metavar="URL", help="send the prices on, to http://127.0.0.1:8000 say")
    parser.add_argument("--json", action="store_true", help="write JSON lines, as they are on the socket")
    return parser.parse_args(arguments)


def _url(text: str) -> str:
    with suppress(InvalidURI):
        parse_uri(f"ws{text.removeprefix('http')}" if text.startswith("http") else text)
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no address of a feed, such as {URL}")


def _display(*, as_json: bool) -> Display:
    if as_json:
        return JsonLines(_print)
    terminal = Console()
    return LiveTable(terminal) if terminal.is_terminal else Lines(_print)


def _print(text: str) -> None:
    print(text, flush=True)


async def _watch(arguments: argparse.Namespace) -> int:
    tickers = [ticker for ticker in arguments.tickers.split(",") if ticker]
    with _display(as_json=arguments.json) as display:
        token = (lambda: os.environ["TOKEN"]) if "TOKEN" in os.environ else None
        published = publishing(arguments.publish, display.say, token) if arguments.publish else nullcontext()
        async with published as publisher:
            alerter = Alerter(arguments.url, display, tickers=tickers, publisher=publisher)
            running = asyncio.create_task(alerter.run())
            for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(signal_number, running.cancel)
            await asyncio.wait([running])
        display.say(alerter.summary())
    try:
        running.result()
    except asyncio.CancelledError:  # by Ctrl-C
        return 0
    except RefusedError as error:
        print(f"The feed refuses us: {error}.", file=sys.stderr)
    return 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Watch the feed that the command line names, until Ctrl-C, and return the exit code."""
    given = _arguments(arguments)
    console.show_all()
    return asyncio.run(_watch(given))


if __name__ == "__main__":
    sys.exit(main())
