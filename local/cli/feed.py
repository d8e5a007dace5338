"""A mock market, and who listens to it: what the feed sends, and what it answers.

It sends an array of every ticker's price every two seconds, and understands what docs/asyncapi.yaml describes.
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

# A client is dropped when so many bytes wait for it here, besides the little that the system takes for it.
WAITING_LIMIT = 1024 * 1024
# What is kept for those who come back: all of it together is well below what may wait for one client.
REPLAY_TICKS = 5_000
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

    def __init__(self, options: Options, recording: TextIO | None = None) -> None:
        """Open a market. What it sends is also written to `recording`, an array a line."""
        self.port = 0  # the server's, once there is one
        self._options = options
        self._recording = recording
        self._market = Market(options.tickers, options.seed, options.mood)
        self._clock = Clock(options.speed)
        # It begins with the milliseconds of the start: no number is ever used by two runs.
        self._sequence = int(datetime.now(UTC).timestamp() * 1_000)
        # The texts of the latest rounds, each by its tickers; the last of them has the number `_sequence`.
        self._rounds: deque[dict[str, str]] = deque(maxlen=max(1, REPLAY_TICKS // len(options.tickers)))
        self._followed: dict[FeedConnection, Subscriptions] = {}

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

    async def attend(self, connection: FeedConnection) -> None:
        """Send a client what it follows, at first everything, and answer what it says, until it is gone."""
        self._followed[connection] = frozenset({EVERYTHING})
        try:
            await self._listen(connection)
        except ConnectionClosed:
            pass  # as clients do, with or without a goodbye
        except Exception:
            logger.exception("The feed failed a client")
            await connection.drop(CloseCode.INTERNAL_ERROR, "the feed failed")
        finally:
            self._followed.pop(connection, None)

    async def stop(self) -> None:
        """Say goodbye to everybody."""
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
                # Never waits: what a client does not take at once is kept for it, up to a limit.
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
            logger.warning("The recording has ended, and the feed goes on: %s", error.strerror)
            self._recording = None

    async def _listen(self, connection: FeedConnection) -> None:
        async for message in connection:
            if connection not in self._followed:  # it was dropped, and this was waiting
                return
            try:
                answers = self._answers(connection, message)
            except MessageError as error:
                answers = [error.write()]
            # All at once, so that no round comes between them; only then may the client say more.
            for answer in answers[:-1]:
                broadcast([connection], answer)
            await connection.send(answers[-1])

    def _answers(self, connection: FeedConnection, message: str | bytes) -> list[str]:
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


def _array(texts: Iterable[str]) -> str:
    return f"[{','.join(texts)}]"
