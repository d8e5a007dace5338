"""Publishes prices to the trading system in small batches, and buffers them while it is unavailable."""

import asyncio
import logging
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

from local.cli import backoff
from trading.core.values import TICKER_PATTERN
from trading.prices.ticks import Tick, frame

logger = logging.getLogger(__name__)

BATCH = 100
KEPT = 10_000  # buffered prices; beyond that the oldest are dropped
LONGEST_WAIT = 10.0
REQUEST_SECONDS = 10.0
# At the end, how long to wait until buffered prices are sent.
FINISH_SECONDS = 3.0

_ROW = re.compile(r"prices\[(\d+)\]")


class Publisher:
    """Sends prices to `POST {url}/api/prices/`, one batch at a time, and reports those it cannot send."""

    def __init__(self, url: str, say: Callable[[str], None], token: Callable[[], str | None] = lambda: None) -> None:
        self._url = f"{url.rstrip('/')}/api/prices/"
        self._say = say
        self._token = token
        self._waiting: deque[Tick] = deque()
        self._sending: list[Tick] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._refused: set[str] = set()  # tickers already reported
        self._published = self._skipped = self._dropped = 0

    def offer(self, ticks: Iterable[Tick]) -> None:
        """Add prices to send; those whose tickers the trading system does not accept are skipped."""
        skipped = []
        for tick in ticks:
            if re.fullmatch(TICKER_PATTERN, tick.ticker):
                self._waiting.append(tick)
            else:
                self._skipped += 1
                skipped.append(tick.ticker)
        self._say_once(skipped, "the trading system has tickers such as AAPL or BRK.B")
        while len(self._waiting) > KEPT:
            self._waiting.popleft()
            self._dropped += 1
        if self._waiting:
            self._idle.clear()
            self._wake.set()

    def summary(self) -> str:
        """Return the totals, as text."""
        left = len(self._waiting) + len(self._sending)
        counts = {"published": self._published, "skipped": self._skipped, "dropped": self._dropped, "not sent": left}
        return ", ".join(f"{what} {count:,}" for what, count in counts.items() if count or what == "published")

    async def run(self) -> None:
        """Send offered prices until cancelled."""
        async with ClientSession(timeout=ClientTimeout(REQUEST_SECONDS)) as session:
            while True:
                await self._wake.wait()
                self._sending = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                await self._deliver(session)
                if not self._waiting:
                    self._wake.clear()
                    self._idle.set()

    async def finish(self) -> None:
        """Wait for a short time until everything is sent."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_SECONDS):
                await self._idle.wait()

    async def _deliver(self, session: ClientSession) -> None:
        """Send the batch, with retries; prices that the trading system refuses are skipped."""
        waits, dropped_before, is_away = backoff.waits(LONGEST_WAIT), self._dropped, False
        while self._sending:
            problem = await self._post(session)
            if problem is not None:
                if not is_away:
                    self._say(f"The trading system is unavailable ({problem}); keeping up to {KEPT:,} prices for it.")
                is_away = True
                await asyncio.sleep(next(waits))
        if is_away:
            dropped = self._dropped - dropped_before
            loss = f"; {dropped:,} prices were dropped meanwhile, the oldest" if dropped else ""
            self._say(f"The trading system is back{loss}.")

    async def _post(self, session: ClientSession) -> str | None:
        """Send the batch once and remove processed prices from it; return an error if none was processed."""
        body = f'{{"prices":{frame(self._sending)}}}'
        try:
            headers = {"Content-Type": "application/json"}
            if token := self._token():
                headers["Authorization"] = f"Bearer {token}"
            async with session.post(self._url, data=body.encode(), headers=headers) as response:
                status = response.status
                answer = await response.json(content_type=None) if status == HTTPStatus.BAD_REQUEST else None
        except (ClientError, TimeoutError, ValueError) as error:
            return str(error) or type(error).__name__
        if status == HTTPStatus.BAD_REQUEST:
            self._skip(answer)
            return None
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return f"HTTP {status}"
        self._published += len(self._sending)
        self._sending = []
        return None

    def _skip(self, problem: Any) -> None:
        """Remove the rows that a problem names from the batch, or all rows if it names none."""
        errors = problem.get("errors", []) if isinstance(problem, dict) else []
        reasons = {int(row[1]): error["message"] for error in errors if (row := _ROW.match(error["field"]))}
        bad = {position: reason for position, reason in reasons.items() if position < len(self._sending)}
        if not bad:
            bad = dict.fromkeys(range(len(self._sending)), str(problem))
        for position, reason in bad.items():
            self._say_once([self._sending[position].ticker], reason)
        self._skipped += len(bad)
        self._sending = [tick for position, tick in enumerate(self._sending) if position not in bad]

    def _say_once(self, tickers: Iterable[str], reason: str) -> None:
        names = sorted(set(tickers) - self._refused)
        if names:
            self._refused.update(names)
            self._say(f"Not published, {', '.join(names)}: {reason}.")


@asynccontextmanager
async def publishing(
    url: str, say: Callable[[str], None], token: Callable[[], str | None] = lambda: None
) -> AsyncIterator[Publisher]:
    """Run a publisher; at the end, wait briefly until the remaining prices are sent.

    `token` returns the access token, if the trading system requires one; it is called for each request, because tokens
    expire.
    """
    publisher = Publisher(url, say, token)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(publisher.run())
        try:
            yield publisher
            await publisher.finish()
        finally:
            running.cancel()
