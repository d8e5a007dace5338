"""A running system for the tests of `local`: the real one, on ports of its own."""

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

import pytest

from local.host import system
from local.host.system import RunningSystem

Invoke = Callable[..., Any]


@pytest.fixture(scope="package")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs beside the tests, in a thread of its own."""
    with asyncio.Runner() as runner:
        running = runner.get_loop()
        thread = threading.Thread(target=running.run_forever)
        thread.start()
        yield running
        running.call_soon_threadsafe(running.stop)
        thread.join()


@pytest.fixture(scope="package")
def running(loop: asyncio.AbstractEventLoop) -> Iterator[RunningSystem]:
    """The system that template.yaml declares, up and running."""
    folder = Path(tempfile.mkdtemp(prefix="trading-system-"))
    folder.chmod(0o755)  # PostgreSQL's account can stay in it, where root runs the tests
    stop = asyncio.Event()
    up: asyncio.Queue[RunningSystem] = asyncio.Queue()

    async def serve() -> None:
        async with system.running(folder, 0) as running:
            await up.put(running)
            await stop.wait()

    served = asyncio.run_coroutine_threadsafe(serve(), loop)
    started = asyncio.run_coroutine_threadsafe(up.get(), loop)
    futures: list[Future[Any]] = [served, started]
    wait(futures, timeout=180, return_when=FIRST_COMPLETED)
    if served.done():
        served.result()  # raises what kept it from starting
    yield started.result(0)
    loop.call_soon_threadsafe(stop.set)
    served.result(60)
    shutil.rmtree(folder)


@pytest.fixture
def invoke(running: RunningSystem, loop: asyncio.AbstractEventLoop) -> Invoke:
    """A function that invokes one of the system's functions by its name, and returns its answer."""

    def ask(name: str, event: dict[str, Any] | None = None) -> Any:
        return asyncio.run_coroutine_threadsafe(running.functions[name].invoke(event or {}), loop).result(60)

    return ask
