"""A running system for the tests of `local`: the real one, on ports of its own."""

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import system
from local.system import RunningSystem


@pytest.fixture(scope="package")
def running() -> Iterator[RunningSystem]:
    """The system that template.yaml declares, up and running beside the tests."""
    folder = Path(tempfile.mkdtemp(prefix="trading-system-"))
    started: list[RunningSystem | BaseException] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        try:
            async with system.running(folder, 0) as up:
                started.append(up)
                ready.set()
                await stop.wait()
        except BaseException as error:
            started.append(error)
            ready.set()
            raise

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait()
    if isinstance(started[0], BaseException):
        raise started[0]
    yield started[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    shutil.rmtree(folder)
