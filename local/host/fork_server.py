"""Processes of functions, forked from one that has imported the shared modules (`runtime.py`)."""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from asyncio import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from local.host.aws_services import exit_of

logger = logging.getLogger(__name__)

RUNTIME = Path(__file__).with_name("runtime.py")
LINE_LIMIT = 32 * 1024 * 1024  # bytes; Lambda's events and answers end at 6 MB
# Modules that most functions import, and that do not depend on a function's settings.
SHARED = (
    "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.utilities.batch",
    "boto3",
    "botocore.auth",
    "psycopg2",
    "pydantic.dataclasses",
    "pydantic.networks",
)


@dataclass(frozen=True, eq=False)
class Process:
    """A function's process: the socket on which it responds, and how it ends."""

    pid: int
    incoming: asyncio.StreamReader
    outgoing: asyncio.StreamWriter
    ended: asyncio.Future[int]  # with a status, which is negative for a signal

    async def wait(self) -> int:
        """Wait for its end, and return its status."""
        return await asyncio.shield(self.ended)

    def kill(self) -> None:
        """End it, if it is running."""
        self.outgoing.close()
        if not self.ended.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


class ForkServer:
    """The process that forks. If it ends, so do the processes that it forked, and it is started again when needed."""

    def __init__(self, log: Path, modules: Sequence[str] = SHARED) -> None:
        self._log = log
        self._modules = modules
        self._control: socket.socket | None = None
        self._listening: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._asked: deque[asyncio.Future[tuple[int, asyncio.Future[int]]]] = deque()
        self._ends: dict[int, asyncio.Future[int]] = {}

    async def __aenter__(self) -> Self:
        """Start the process, without waiting until it has imported everything."""
        await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it, and all processes that it forked."""
        if self._listening:
            self._listening.cancel()
            await asyncio.wait([self._listening])

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with self._log.open("ab") as log, theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                RUNTIME,
                *self._modules,
                stdin=theirs.fileno(),
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"]},
                start_new_session=True,  # Ctrl-C is for the program that started it
            )
        incoming, outgoing = await asyncio.open_connection(sock=ours)
        self._control = outgoing.get_extra_info("socket").dup()
        self._listening = asyncio.create_task(self._listen(process, incoming, outgoing))

    async def fork(self, function: Mapping[str, Any], log: Path) -> Process:
        """Return a new process, which imports the function that is described as `runtime.py` wants it.

        Raises:
            ConnectionError: the process that forks ended meanwhile.
        """
        async with self._starting:
            if self._control is None:
                await self._start()
        assert self._control is not None
        ours, theirs = socket.socketpair()
        try:
            with log.open("ab") as file, theirs:
                line = json.dumps(function).encode() + b"\n"
                socket.send_fds(self._control, [line], [theirs.fileno(), file.fileno()])
            self._asked.append(asyncio.get_running_loop().create_future())
            pid, ended = await self._asked[-1]
        except BaseException:
            ours.close()
            raise
        return Process(pid, *await asyncio.open_connection(sock=ours, limit=LINE_LIMIT), ended)

    async def _listen(
        self, process: subprocess.Process, incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter
    ) -> None:
        """Read the messages of the process until it ends."""
        try:
            async for line in incoming:
                told = json.loads(line)
                if told["status"] is not None:
                    self._ends.pop(told["pid"]).set_result(told["status"])
                    continue
                self._ends[told["pid"]] = asyncio.get_running_loop().create_future()
                asked = self._asked.popleft()
                if not asked.done():  # the caller may have been cancelled
                    asked.set_result((told["pid"], self._ends[told["pid"]]))
            logger.warning(
                "The process of which functions are forked %s - see %s", exit_of(await process.wait()), self._log
            )
        finally:
            outgoing.close()
            assert self._control
            self._control.close()
            self._control = None
            for asked in self._asked:
                if not asked.done():
                    asked.set_exception(ConnectionResetError("the process that forks ended"))
            self._asked.clear()
            for pid, ended in self._ends.items():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                ended.set_result(-signal.SIGKILL)
            self._ends = {}
            await process.wait()
