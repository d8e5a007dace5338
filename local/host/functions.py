"""Lambda on a laptop: functions in processes of their own, started when they are needed."""

import asyncio
import json
import logging
import os
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from local.host.aws_services import CREDENTIALS, exit_of
from local.host.fork_server import ForkServer, Process
from local.host.template import Function

logger = logging.getLogger(__name__)

CONCURRENCY = 4  # processes of one function: Lambda gives each event one of its own
IMPORT_SECONDS = 30
END_SECONDS = 1  # between the end of a process's output and its own end
# A process that ends sooner is not replaced immediately, because the next one would probably end too.
SHORT_LIFE_SECONDS = 2


class FunctionError(Exception):
    """A function raised, ran out of time or died; the message says which."""


class FunctionDiedError(FunctionError):
    """A function's process ended before it responded; its work may or may not be done."""


class _NotReceivedError(Exception):
    """A process ended before it was given an event."""


class LocalFunction:
    """A function that can be invoked; each of its processes answers one event at a time."""

    def __init__(self, function: Function, environment: Mapping[str, str], log: Path, forks: ForkServer) -> None:
        self.name = function.name
        self.log = log
        self._function = function
        self._forks = forks
        self._imported = {
            "folder": str(function.code),
            "path": [str(path) for path in (function.code, *function.layers)],
            "environment": {
                **CREDENTIALS,
                **environment,
                "PATH": os.environ["PATH"],
                "AWS_LAMBDA_FUNCTION_NAME": function.name,
                "_HANDLER": function.handler,
            },
        }
        self._idle: list[Process] = []
        self._watchers: dict[Process, asyncio.Task[None]] = {}
        self._free = asyncio.Semaphore(CONCURRENCY)

    async def invoke(self, event: Mapping[str, Any]) -> Any:
        """Return the handler's response to an event.

        Raises:
            FunctionError: it raised, did not answer within its timeout, or ended.
        """
        context = {
            "function_name": self.name,
            "memory_limit_in_mb": self._function.memory,
            "aws_request_id": str(uuid.uuid4()),
            "deadline": time.time() + self._function.timeout,
        }
        line = json.dumps({"event": event, "context": context}).encode() + b"\n"
        async with self._free:
            while True:
                process = self._idle.pop() if self._idle else await self._start_for_sure()
                try:
                    answer = await asyncio.wait_for(_ask(process, line), self._function.timeout)
                except _NotReceivedError:
                    logger.warning(
                        "A process of %s had ended; another one gets the event - see %s", self.name, self.log
                    )
                except BaseException as error:
                    await self._end(process)
                    if isinstance(error, TimeoutError):
                        raise FunctionError(f"{self.name} timed out after {self._function.timeout} s") from None
                    if isinstance(error, ValueError):
                        raise FunctionError(f"{self.name} gave an unreadable answer") from None
                    raise
                else:
                    break
            if answer is None:
                raise await self._death(process, "before it answered")
            self._idle.append(process)
        if "error" in answer:
            raise FunctionError("{errorType}: {errorMessage}".format(**answer["error"]))
        return answer["result"]

    async def warm(self) -> None:
        """Start a process if there is none, so that the first event does not wait for it."""
        if self._watchers:
            return
        try:
            self._idle.append(await self._start())
        except FunctionError as error:
            logger.warning("%s - see %s", error, self.log)

    @property
    def processes(self) -> list[int]:
        """The ids of the function's processes."""
        return [process.pid for process in self._watchers]

    async def close(self) -> None:
        """End the function's processes."""
        for process in list(self._watchers):
            await self._end(process)

    async def _start(self) -> Process:
        try:
            process = await self._forks.fork(self._imported, self.log)
        except ConnectionError as error:
            raise FunctionDiedError(f"{self.name} was not started: {error}") from None
        self._watchers[process] = asyncio.create_task(self._watch(process))
        try:
            async with asyncio.timeout(IMPORT_SECONDS):
                is_ready = await process.incoming.readline()
        except ConnectionError:
            is_ready = b""
        except BaseException as error:
            await self._end(process)
            if isinstance(error, TimeoutError):
                raise FunctionError(f"{self.name} was not imported within {IMPORT_SECONDS} s") from None
            raise
        if not is_ready:
            raise await self._death(process, "before it was ready")
        return process

    async def _start_for_sure(self) -> Process:
        """Start a process, and a second one if the first is killed before it is ready."""
        with suppress(FunctionDiedError):
            return await self._start()
        return await self._start()

    async def _death(self, process: Process, when: str) -> FunctionDiedError:
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), END_SECONDS)
        process.kill()  # if only its output has ended
        return FunctionDiedError(f"{self.name} {exit_of(await process.wait())} {when}")

    async def _watch(self, process: Process) -> None:
        """Wait until a process ends by itself, and start another that is ready for the next event."""
        started = time.monotonic()
        how = exit_of(await process.wait())
        del self._watchers[process]
        if process in self._idle:
            self._idle.remove(process)
            process.outgoing.close()
            logger.warning("A process of %s %s - see %s", self.name, how, self.log)
        if time.monotonic() - started > SHORT_LIFE_SECONDS:
            await self.warm()

    async def _end(self, process: Process) -> None:
        if watcher := self._watchers.pop(process, None):
            watcher.cancel()
            process.kill()
            await process.wait()


async def _ask(process: Process, line: bytes) -> dict[str, Any] | None:
    """Return the response of a process, or nothing if it ended before it responded.

    Raises:
        _NotReceivedError: it had ended before it was asked.
    """
    process.outgoing.write(line)
    if process.outgoing.is_closing():
        raise _NotReceivedError
    try:
        await process.outgoing.drain()
        answer = await process.incoming.readline()
    except ConnectionError:
        return None
    if not answer.endswith(b"\n"):
        return None
    result: dict[str, Any] = json.loads(answer)
    return result
