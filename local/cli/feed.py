"""`python -m local.cli.feed`: a mock market on ws://localhost:8765, which sends its prices to everybody who connects.

It sends an array of every ticker's price every two seconds, and understands what docs/asyncapi.yaml describes.
"""

import argparse
import asyncio
import errno
import json
import logging
import math
import re
import secrets
import signal
import socket
import sys
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from local.cli import console
from local.cli.market import CALM, NORMAL, STARTING_PRICES, VOLATILE, Market, Mood
from trading.core.values import TICKER_PATTERN
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

logger = logging.getLogger(__name__)

PORT = 8765
LAST_PORT = 65_535
MESSAGE_LIMIT = 16 * 1024  # bytes
MESSAGES_PER_SECOND = 20
# A client is dropped when so many bytes wait for it here, besides the little that the system takes for it.
WAITING_LIMIT = 1024 * 1024
SYSTEM_BUFFER = 64 * 1024
# How long a client that is dropped has to read why.
CLOSE_SECONDS = 3.0
# What is kept for those who come back: all of it together is well below what may wait for one client.
REPLAY_TICKS = 5_000
BACKLOG = 1_024  # clients that connect at the same moment
# A sequence begins with the milliseconds of the start: at this distance, no number is ever used by two runs.
SHORTEST_WAIT = 0.01
# A faster clock begins so far in the past, and goes no further than the present.
LEAD = timedelta(days=1)


@dataclass(frozen=True)
class Options:
    """What market there is, and how fast."""

    tickers: Sequence[str] = tuple(STARTING_PRICES)
    interval: float = 2.0  # seconds from one array of prices to the next, by the market's clock
    seed: str = ""
    mood: Mood = NORMAL
    speed: float = 1.0  # seconds of the market's clock in one of ours


class Clock:
    """The market's clock: the present, or with a speed a past that catches up with it."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._started = datetime.now(UTC)
        self._opening = self._started - (LEAD if speed > 1 else timedelta())
        self._last = datetime.min.replace(tzinfo=UTC)

    def read(self) -> datetime:
        """Return the time in milliseconds, later than it ever was, whatever the system's clock does."""
        now = datetime.now(UTC)
        time = min(now, self._opening + (now - self._started) * self._speed)
        time = time.replace(microsecond=time.microsecond // 1_000 * 1_000)
        self._last = max(time, self._last + timedelta(milliseconds=1))
        return self._last

    def seconds_of(self, seconds: float) -> float:
        """Return how long so many of the market's seconds take."""
        has_caught_up = datetime.now(UTC) - self._last < timedelta(seconds=seconds)
        return seconds if has_caught_up else seconds / self._speed


class Feed:
    """A market and its listeners.

    What a round of prices says of a ticker is written once, and an array once for all who follow the same tickers.
    """

    def __init__(self, options: Options) -> None:
        self.port = 0
        self._options = options
        self._market = Market(options.tickers, options.seed, options.mood)
        self._clock = Clock(options.speed)
        self._sequence = int(datetime.now(UTC).timestamp() * 1_000)
        # The texts of the latest rounds, each by its tickers; the last of them has the number `_sequence`.
        self._rounds: deque[dict[str, str]] = deque(maxlen=max(1, REPLAY_TICKS // len(options.tickers)))
        self._followed: dict[ServerConnection, Subscriptions] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it is served, on this machine only."""
        return f"ws://localhost:{self.port}"

    async def run(self) -> None:
        """Send prices, round by round, until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._send_round()
            # A round that is late is not made up for: the next ones come at their distance.
            due = max(due + self._clock.seconds_of(self._options.interval), loop.time())
            await asyncio.sleep(due - loop.time())
            self._market.move(self._options.interval)

    async def attend(self, connection: ServerConnection) -> None:
        """Send a client what it follows, at first everything, and answer what it says, until it is gone."""
        self._followed[connection] = frozenset({EVERYTHING})
        try:
            await self._listen(connection)
        except ConnectionClosed:
            pass  # as clients do, with or without a goodbye
        except Exception:
            logger.exception("The feed failed a client")
            await _close(connection, CloseCode.INTERNAL_ERROR, "the feed failed")
        finally:
            self._followed.pop(connection, None)

    async def stop(self) -> None:
        """Say goodbye to everybody."""
        for connection in list(self._followed):
            self._drop(connection, CloseCode.GOING_AWAY, "the feed stops")
        if self._closing:
            await asyncio.wait(self._closing)

    def _send_round(self) -> None:
        self._sequence += 1
        time = self._clock.read().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        texts = {
            ticker: f'{{"ticker":"{ticker}","price":{price},"timestamp":"{time}","seq":{self._sequence}}}'
            for ticker, price in self._market.prices().items()
        }
        self._rounds.append(texts)
        listeners: defaultdict[Subscriptions, list[ServerConnection]] = defaultdict(list)
        for connection, followed in self._followed.items():
            listeners[followed].append(connection)
        for followed, connections in listeners.items():
            if followed:
                # Never waits: what a client does not take at once is kept for it, up to a limit.
                wanted = (text for ticker, text in texts.items() if protocol.follows(followed, ticker))
                broadcast(connections, _array(wanted))
        for connection in list(self._followed):
            if connection.transport.get_write_buffer_size() > WAITING_LIMIT:
                logger.warning("A client was dropped: it does not read what it asked for")
                self._drop(connection, CloseCode.TRY_AGAIN_LATER, "too slow: over 1 MB of prices was waiting")

    async def _listen(self, connection: ServerConnection) -> None:
        loop = asyncio.get_running_loop()
        second, count = loop.time(), 0
        async for message in connection:
            if connection not in self._followed:  # it was dropped, and this was waiting
                return
            if loop.time() - second >= 1:
                second, count = loop.time(), 0
            count += 1
            if count > MESSAGES_PER_SECOND:
                reason = f"more than {MESSAGES_PER_SECOND} messages in a second"
                broadcast([connection], MessageError("too_many_messages", reason).write())
                await _close(connection, CloseCode.POLICY_VIOLATION, reason)
                return
            try:
                answers = self._answers(connection, message)
            except MessageError as error:
                answers = [error.write()]
            # All at once, so that no round comes between them; only then may the client say more.
            for answer in answers[:-1]:
                broadcast([connection], answer)
            await connection.send(answers[-1])

    def _answers(self, connection: ServerConnection, message: str | bytes) -> list[str]:
        """Return what is to be said to a message, the prices that a client has missed included.

        Raises:
            MessageError: it is none that the feed understands, or asks for a ticker that is not there.
        """
        if not isinstance(message, str):
            raise MessageError("bad_json", "not JSON: send text, not bytes")
        before = self._followed[connection]
        match protocol.read_message(message):
            case Ping():
                return [protocol.pong()]
            case ListFollowed():
                return [protocol.subscribed(before)]
            case Unsubscribe(tickers=tickers):
                followed = self._followed[connection] = protocol.after_unsubscribing(before, tickers)
                return [protocol.subscribed(followed)]
            case Subscribe(tickers=tickers, since=since):
                self._refuse_unknown(tickers)
                followed = self._followed[connection] = protocol.after_subscribing(before, tickers)
                return [protocol.subscribed(followed), *self._missed(followed, since)]

    def _refuse_unknown(self, tickers: Iterable[str]) -> None:
        unknown = set(tickers) - {*self._options.tickers, EVERYTHING}
        if unknown:
            known = ", ".join(self._options.tickers)
            raise MessageError("unknown_ticker", f"there is no {', '.join(sorted(unknown))} here, only {known}")

    def _missed(self, followed: Subscriptions, since: Mapping[str, int]) -> list[str]:
        """Return what was sent of these tickers since these numbers, after a word on what is no longer there.

        A number that this run has not given, lower or higher, is of another run: whatever was between is missing.
        """
        oldest = self._sequence - len(self._rounds) + 1
        gaps, last = [], {}
        for ticker, number in since.items():
            if ticker not in self._options.tickers or not protocol.follows(followed, ticker):
                continue
            if oldest - 1 <= number <= self._sequence:
                last[ticker] = number
            else:
                gaps.append(json.dumps({"type": "gap", "ticker": ticker, "since": number, "next": oldest}))
                last[ticker] = oldest - 1
        rounds = (
            [texts[ticker] for ticker in last if last[ticker] < number]
            for number, texts in enumerate(self._rounds, oldest)
        )
        return gaps + [_array(texts) for texts in rounds if texts]

    def _drop(self, connection: ServerConnection, code: CloseCode, reason: str) -> None:
        self._followed.pop(connection, None)
        task = asyncio.create_task(_close(connection, code, reason))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


@asynccontextmanager
async def serving(options: Options, port: int) -> AsyncIterator[Feed]:
    """Serve a market on a port of this machine (0: any), at 127.0.0.1 and, where there is one, at ::1.

    Raises:
        OSError: the port cannot be listened on.
    """
    feed = Feed(options)
    async with AsyncExitStack() as stack:
        protocol = _listeners(port)
        feed.port = protocol[0].getsockname()[1]
        for each in protocol:
            await stack.enter_async_context(
                serve(
                    feed.attend,
                    sock=each,
                    backlog=BACKLOG,
                    compression=None,  # which every client would be given anew
                    max_size=MESSAGE_LIMIT,
                    close_timeout=CLOSE_SECONDS,
                )
            )
        async with asyncio.TaskGroup() as group:
            running = group.create_task(feed.run())
            try:
                yield feed
            finally:
                running.cancel()
                await feed.stop()


async def _close(connection: ServerConnection, code: CloseCode, reason: str) -> None:
    """Close a connection; one whose client does not read is cut off, for it would never be closed."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await connection.close(code, reason)
    except TimeoutError:
        connection.transport.abort()


def _listeners(port: int) -> list[socket.socket]:
    first = _listener(socket.AF_INET, "127.0.0.1", port)
    try:
        return [first, _listener(socket.AF_INET6, "::1", first.getsockname()[1])]
    except OSError as error:
        if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:  # a machine without IPv6
            return [first]
        first.close()
        raise


def _listener(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SYSTEM_BUFFER)  # its connections have it too
        listener.bind((address, port))
    except OSError:
        listener.close()
        raise
    return listener


def _array(texts: Iterable[str]) -> str:
    return f"[{','.join(texts)}]"


def _options(arguments: Sequence[str] | None) -> tuple[Options, int]:
    """Return the market that the command line asks for, and the port."""
    parser = argparse.ArgumentParser(prog="python -m local.cli.feed", description="A mock market over WebSocket.")
    parser.add_argument("--port", type=int, default=PORT, help="of this machine (default: %(default)s; 0: any)")
    parser.add_argument(
        "--tickers",
        type=_tickers,
        default=Options.tickers,
        help=f"such as AAPL,BRK.B (default: {','.join(Options.tickers)})",
    )
    parser.add_argument(
        "--interval",
        type=float,
        default=Options.interval,
        help="seconds from one array to the next (default: %(default)s)",
    )
    parser.add_argument(
        "--speed", type=float, default=Options.speed, help="seconds of the market's clock in one of ours"
    )
    parser.add_argument("--seed", default=secrets.token_hex(4), help="the same seed gives the same prices")
    moods = parser.add_mutually_exclusive_group()
    moods.add_argument("--calm", dest="mood", action="store_const", const=CALM, default=NORMAL, help="no jumps")
    moods.add_argument(
        "--volatile", dest="mood", action="store_const", const=VOLATILE, help="an alert every ten seconds"
    )
    given = parser.parse_args(arguments)
    if not 0 <= given.port <= LAST_PORT:
        parser.error(f"--port is a number up to {LAST_PORT}")
    if not 1 <= given.speed < math.inf:
        parser.error("--speed is 1 or more")
    if not SHORTEST_WAIT <= given.interval / given.speed < math.inf:
        parser.error(f"--interval is {SHORTEST_WAIT} seconds or more, by our clock")
    return Options(given.tickers, given.interval, given.seed, given.mood, given.speed), given.port


def _tickers(text: str) -> tuple[str, ...]:
    tickers = tuple(dict.fromkeys(text.split(",")))
    for ticker in tickers:
        if not re.fullmatch(TICKER_PATTERN, ticker):
            raise argparse.ArgumentTypeError(f"{ticker!r} is no ticker, such as AAPL or BRK.B")
    return tickers


async def _serve(options: Options, port: int) -> None:
    stop = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    async with serving(options, port) as feed:
        print(
            f"{len(options.tickers)} tickers every {options.interval:g} s on {feed.url}, seed {options.seed}."
            " Ctrl-C stops.",
            flush=True,
        )
        await stop.wait()
    print("Stopped.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the market that the command line asks for, until Ctrl-C, and return the exit code."""
    options, port = _options(arguments)
    console.show_all()
    try:
        asyncio.run(_serve(options, port))
    except OSError as error:
        why = "is taken by another program" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        print(f"Cannot start: port {port} {why}: choose another with --port.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
