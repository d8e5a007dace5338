"""What keeps the system up: tasks that go on after an error, and processes that are started again."""

import asyncio
import logging
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

logger = logging.getLogger(__name__)

WATCH_SECONDS = 0.25
PAUSE_SECONDS = 1  # before what failed is tried again
LOG_LIMIT = 10_000_000  # bytes
LOG_SECONDS = 60


class Part(Protocol):
    """A process that the system stands on."""

    name: str
    log: Path

    def start(self) -> object:
        """Start it, and return when it answers."""

    def ended(self) -> str | None:
        """Return how it ended by itself, or nothing while it runs."""


class Supervisor:
    """Who keeps tasks and parts going, and writes what went wrong in full to a log of its own."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._details = logging.getLogger(f"{__name__}.details")
        self._details.propagate = False  # a traceback is not for the console

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Keep what `local` logs in the log too, tracebacks included."""
        handler = logging.FileHandler(self._log, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        loggers = (self._details, logging.getLogger("local"))
        for each in loggers:
            each.addHandler(handler)
        try:
            yield
        finally:
            for each in loggers:
                each.removeHandler(handler)
            handler.close()

    async def keep_going(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Do a piece of work to its end; whatever goes wrong is said once, and the work begun again."""
        said = ""
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - one task's error must not end the others
                if str(error) != said:
                    self.say(f"{name} failed and is retried every second", error)
                said = str(error)
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                return

    def say(self, what: str, error: Exception) -> None:
        """Say what an error did in a line, and write the whole of it to the log."""
        logger.warning("%s: %s: %s - see %s", what, type(error).__name__, " ".join(str(error).split()), self._log)
        self._details.error("%s", what, exc_info=error)

    async def keep_running(self, part: Part) -> None:
        """Start a part again whenever it ended by itself, for ever."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if how := part.ended():
                logger.warning("%s: its process %s and is restarted - see %s", part.name, how, part.log)
                ended = time.monotonic()
                await self.keep_going(part.name, lambda: asyncio.to_thread(part.start))
                logger.warning("%s: back after %.1f s", part.name, time.monotonic() - ended)


async def rotate(*folders: Path) -> None:
    """Put aside the logs in folders that have grown large, for ever.

    Who writes to one keeps it open, and writes at its end: so it is copied, and emptied.
    """
    while True:
        for log in (log for folder in folders for log in folder.glob("*.log")):
            if log.stat().st_size > LOG_LIMIT:
                await asyncio.to_thread(shutil.copyfile, log, log.with_suffix(".old"))
                with log.open("r+b") as file:
                    file.truncate()
        await asyncio.sleep(LOG_SECONDS)
