"""Supervision: restarting tasks after an error, and processes after an unexpected end."""

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
PAUSE_SECONDS = 1  # before a retry
LOG_LIMIT = 10_000_000  # bytes
LOG_SECONDS = 60


class Part(Protocol):
    """A process that the system depends on."""

    name: str
    log: Path

    def start(self) -> object:
        """Start it, and wait until it is ready."""

    def ended(self) -> str | None:
        """Return how it ended unexpectedly; None while it runs."""


class Supervisor:
    """Restarts tasks and parts, and writes errors in full to its own log."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._details = logging.getLogger(f"{__name__}.details")
        self._details.propagate = False  # no tracebacks on the console

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Also write the log messages of `local` to the log file, including tracebacks."""
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
        """Run a task to completion; after an error, log it once and restart the task."""
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
        """Log an error in one line on the console, and in full in the log file."""
        logger.warning("%s: %s: %s - see %s", what, type(error).__name__, " ".join(str(error).split()), self._log)
        self._details.error("%s", what, exc_info=error)

    async def keep_running(self, part: Part) -> None:
        """Restart a part whenever it ends unexpectedly; never returns."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if how := part.ended():
                logger.warning("%s: its process %s and is restarted - see %s", part.name, how, part.log)
                ended = time.monotonic()
                await self.keep_going(part.name, lambda: asyncio.to_thread(part.start))
                logger.warning("%s: back after %.1f s", part.name, time.monotonic() - ended)


async def rotate(*folders: Path) -> None:
    """Rotate large logs in these folders; never returns.

    The writers keep their files open in append mode, so a log is copied and then truncated.
    """
    while True:
        for log in (log for folder in folders for log in folder.glob("*.log")):
            if log.stat().st_size > LOG_LIMIT:
                await asyncio.to_thread(shutil.copyfile, log, log.with_suffix(".old"))
                with log.open("r+b") as file:
                    file.truncate()
        await asyncio.sleep(LOG_SECONDS)
