"""Lambda's part on a laptop: functions in processes of their own, started when they are needed."""

import asyncio
import json
import os
import sys
import time
import uuid
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.host.aws_services import CREDENTIALS
from local.host.template import Function

RUNTIME = Path(__file__).with_name("runtime.py")
CONCURRENCY = 4  # processes of one function: Lambda gives each event one of its own
LINE_LIMIT = 32 * 1024 * 1024  # bytes; Lambda's events and answers end at 6 MB


class FunctionError(Exception):
    """A function raised, ran out of time or died; the message says which."""


class LocalFunction:
    """A function that can be invoked; each of its processes answers one event at a time."""

    def __init__(self, function: Function, environment: Mapping[str, str], log: Path) -> None:
        self.name = function.name
        self.log = log
        self._function = function
        self._environment = {
            **CREDENTIALS,
            **environment,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(str(path) for path in (function.code, *function.layers)),
            "PYTHONUNBUFFERED": "1",  # what a function printed is in its log at once, even if it dies
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "_HANDLER": function.handler,
        }
        self._idle: list[Process] = []
        self._running: set[Process] = set()
        self._free = asyncio.Semaphore(CONCURRENCY)

    async def invoke(self, event: Mapping[str, Any]) -> Any:
        """Return what the handler answers to an event.

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
            process = self._living() or await self._start()
            try:
                answer = await asyncio.wait_for(_ask(process, line), self._function.timeout)
            except BaseException as error:
                await self._end(process)
                if isinstance(error, TimeoutError):
                    raise FunctionError(f"{self.name} timed out after {self._function.timeout} s") from None
                raise
            if answer is None:
                await self._end(process)
                raise FunctionError(f"{self.name} ended before it answered")
            self._idle.append(process)
        if "error" in answer:
            raise FunctionError("{errorType}: {errorMessage}".format(**answer["error"]))
        return answer["result"]

    async def warm(self) -> None:
        """Start a process, which imports the handler at once, so that the first event need not wait for that."""
        self._idle.append(await self._start())

    async def close(self) -> None:
        """End the function's processes."""
        for process in list(self._running):
            await self._end(process)

    def _living(self) -> Process | None:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None:
                return process
            self._running.discard(process)
        return None

    async def _start(self) -> Process:
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                RUNTIME,
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                cwd=self._function.code,
                env=self._environment,
                limit=LINE_LIMIT,
                start_new_session=True,  # Ctrl-C is for the program that started it
            )
        self._running.add(process)
        return process

    async def _end(self, process: Process) -> None:
        self._running.discard(process)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _ask(process: Process, line: bytes) -> dict[str, Any] | None:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(line)
        await process.stdin.drain()
        answer = await process.stdout.readline()
    except ConnectionError:
        return None
    return json.loads(answer) if answer else None
