"""What keeps the system running: tasks that go on after an error, and processes that are started again."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

logger = logging.getLogger(__name__)

WATCH_SECONDS = 0.25
PAUSE_SECONDS = 1  # before what failed is tried again


class Part(Protocol):
    """A process that the system stands on."""

    name: str
    log: Path

    def start(self) -> object:
        """Start it, and return when it answers."""

    def ended(self) -> str | None:
        """Return how it ended by itself, or nothing while it runs."""


async def keep_running(part: Part) -> None:
    """Start a part again whenever it has ended, for ever, and say so."""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        if how := part.ended():
            logger.warning("%s %s: starting it again - see %s", part.name, how, part.log)
            started = time.monotonic()
            await supervised(part.name, lambda: asyncio.to_thread(part.start))
            logger.warning("%s: running again after %.1f s", part.name, time.monotonic() - started)


async def supervised(name: str, work: Callable[[], Awaitable[object]]) -> None:
    """Do a piece of work until it comes to its end; what goes wrong is said once, and the work begun again."""
    said = ""
    while True:
        try:
            await work()
        except Exception as error:
            # Whatever it is: one task's error must not end the others.
            if said != (said := f"{type(error).__name__}: {error}"):
                logger.warning("%s: %s; it is tried again each second", name, said)
                logger.debug("%s", name, exc_info=True)
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            return
