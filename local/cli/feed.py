"""The feed: sends the prices of a mock market to its clients, and replies to their messages.

It sends an array of all tickers' prices every two seconds, and implements the protocol in docs/asyncapi.yaml.
"""

import asyncio
import json
import logging
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TextIO

from websockets.asyncio.server import broadcast
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from local.cli.feed_connection import FeedConnection
from local.cli.market import NORMAL, STARTING_PRICES, Market, Mood
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

# A client is dropped if more bytes than this wait for it here, in addition to the socket's small send buffer.
WAITING_LIMIT = 1024 * 1024
# Kept for clients that reconnect: in total well below what may wait for one client.
REPLAY_TICKS = 5_000
# A faster clock starts this far in the past, and stops at the present.
LEAD = timedelta(days=1)


@dataclass(frozen=True)
class Options:
    """The tickers, speed and behavior of the market."""

    tickers: Sequence[str] = tuple(STARTING_PRICES)
    interval: float = 2.0  # seconds of market time between two arrays of prices
    seed: str = ""
    mood: Mood = NORMAL
    speed: float = 1.0  # seconds of market time per second of real time


class Clock:
    """The market's clock: the present, or if it is faster, a past time that catches up with the present."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._started = datetime.now(UTC)
        self._opening = self._started - (LEAD if speed > 1 else timedelta())
        self._last = datetime.min.replace(tzinfo=UTC)

    def read(self) -> datetime:
        """Return the time with millisecond precision, strictly increasing even if the system clock is set back."""
        now = datetime.now(UTC)
        time = min(now, self._opening + (now - self._started) * self._speed)
        time = time.replace(microsecond=time.microsecond // 1_000 * 1_000)
        self._last = max(time, self._last + timedelta(milliseconds=1))
        return self._last

    def seconds_of(self, seconds: float) -> float:
        """Return the real time of some seconds of market time."""
        has_caught_up = datetime.now(UTC) - self._last < timedelta(seconds=seconds)
        return seconds if has_caught_up else seconds / self._speed


class Feed:
    """A market and its clients.

    The JSON of each price is created once per round, and each array once for all clients that follow the same tickers.
    """

    def __init__(self, options: Options, recording: TextIO | None = None) -> None:
        """Open a market. What it sends is also written to `recording`, one array per line."""
        self.port = 0  # the server's, once it is known
        self._options = options
        self._recording = recording
        self._market = Market(options.tickers, options.seed, options.mood)
        self._clock = Clock(options.speed)
        # Starts with the time in milliseconds, so that no number is used by two runs.
        self._sequence = int(datetime.now(UTC).timestamp() * 1_000)
        # The JSON of the latest rounds, by ticker; the last round has the number `_sequence`.
        self._rounds: deque[dict[str, str]] = deque(maxlen=max(1, REPLAY_TICKS // len(options.tickers)))
        self._followed: dict[FeedConnection, Subscriptions] = {}

    @property
    def url(self) -> str:
        """The feed's URL, on this machine only."""
        return f"ws://localhost:{self.port}"

    async def run(self) -> None:
        """Send prices, round by round, until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._send_round()
            # After a late round, the next ones keep their interval instead of catching up.
            due = max(due + self._clock.seconds_of(self._options.interval), loop.time())
            await asyncio.sleep(due - loop.time())
            self._market.move(self._options.interval)

    async def attend(self, connection: FeedConnection) -> None:
        """Send a client what it follows, initially everything, and reply to its messages until it disconnects."""
        self._followed[connection] = frozenset({EVERYTHING})
        try:
            await self._listen(connection)
        except ConnectionClosed:
            pass  # the client disconnected, with or without a closing handshake
        except Exception:
            logger.exception("The feed failed a client")
            await connection.drop(CloseCode.INTERNAL_ERROR, "the feed failed")
        finally:
            self._followed.pop(connection, None)

    async def stop(self) -> None:
        """Close all connections."""
        dropping = [connection.drop(CloseCode.GOING_AWAY, "the feed stops") for connection in self._followed]
        if dropping:
            await asyncio.wait(dropping)

    def _send_round(self) -> None:
        self._sequence += 1
        time = self._clock.read().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        texts = {
            ticker: f'{{"ticker":"{ticker}","price":{price},"timestamp":"{time}","seq":{self._sequence}}}'
            for ticker, price in self._market.prices().items()
        }
        self._rounds.append(texts)
        self._record(texts.values())
        listeners: defaultdict[Subscriptions, list[FeedConnection]] = defaultdict(list)
        for connection, followed in self._followed.items():
            listeners[followed].append(connection)
        for followed, connections in listeners.items():
            if followed:
                # Does not block: what a client cannot receive at once is buffered, up to a limit.
                wanted = (text for ticker, text in texts.items() if protocol.follows(followed, ticker))
                broadcast(connections, _array(wanted))
        for connection in list(self._followed):
            if connection.transport.get_write_buffer_size() > WAITING_LIMIT:
                logger.warning("A client was disconnected: it does not read the messages that it requested")
                self._followed.pop(connection)
                connection.drop(CloseCode.TRY_AGAIN_LATER, "too slow: over 1 MB of prices was waiting")

    def _record(self, texts: Iterable[str]) -> None:
        if self._recording is None:
            return
        try:
            self._recording.write(f"{_array(texts)}\n")
            self._recording.flush()
        except OSError as error:
            logger.warning("Recording stopped; the feed continues: %s", error.strerror)
            self._recording = None

    async def _listen(self, connection: FeedConnection) -> None:
        async for message in connection:
            if connection not in self._followed:  # it was dropped while this message waited
                return
            try:
                answers = self._answers(connection, message)
            except MessageError as error:
                answers = [error.write()]
            # All at once, so that no round is sent between them; the next message is read only afterwards.
            for answer in answers[:-1]:
                broadcast([connection], answer)
            await connection.send(answers[-1])

    def _answers(self, connection: FeedConnection, message: str | bytes) -> list[str]:
        """Return the replies to a message, including the prices that the client has missed.

        Raises:
            MessageError: the message is not valid, or names an unknown ticker.
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
        """Return the prices of these tickers since these numbers, preceded by a gap message if some are lost.

        A number outside the range of this run is from another run, so all prices in between are lost.
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


def _array(texts: Iterable[str]) -> str:
    return f"[{','.join(texts)}]"
