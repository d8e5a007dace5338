import asyncio
import logging
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from local.host import serving
from local.host.serving import Server
from local.host.supervisor import Supervisor

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Site:
    """A server with few connections and little patience, and its clients."""

    def __init__(self, port: int, stack: AsyncExitStack) -> None:
        self._port = port
        self._stack = stack
        self.work = asyncio.Event()  # that `/work` waits for

    async def connect(self, sent: bytes = b"") -> Connection:
        """Open a connection, and send what it begins with."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._stack.callback(writer.close)
        writer.write(sent)
        await writer.drain()
        return reader, writer

    async def get(self, path: str = "/") -> tuple[int, Any]:
        """Return the status and the JSON of an answer."""
        async with ClientSession() as session, session.get(f"http://127.0.0.1:{self._port}{path}") as response:
            return response.status, await response.json()

    async def answer(self, request: web.Request) -> web.Response:
        """Answer at once, after work, or not as it should be."""
        if request.path == "/work":
            await self.work.wait()
        if request.path == "/bug":
            raise KeyError("on purpose")
        return web.json_response(len(await request.read()))


@asynccontextmanager
async def served(log: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        listener = socket.create_server(("127.0.0.1", 0))
        stack.callback(listener.close)
        site = Site(listener.getsockname()[1], stack)
        application = web.Application(client_max_size=1_000)
        application.router.add_route("*", "/{path:.*}", site.answer)
        supervisor = Supervisor(log)
        stack.enter_context(supervisor.logging())
        await Server(application, supervisor).start(stack, listener)
        yield site


@pytest.fixture
def visit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Site], Awaitable[None]]], None]:
    """A function that serves a visitor."""
    monkeypatch.setattr(serving, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr(serving, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(serving, "STOP_SECONDS", 0.1)
    monkeypatch.setattr(serving, "_most_connections", lambda: 10)

    async def run(visitor: Callable[[Site], Awaitable[None]]) -> None:
        async with asyncio.timeout(10), served(tmp_path / "host.log") as site:
            await visitor(site)

    return lambda visitor: asyncio.run(run(visitor))


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Drip", REQUEST])
def test_a_connection_that_does_not_ask_is_closed(sent: bytes, visit: Any) -> None:
    async def visitor(site: Site) -> None:
        reader, _ = await site.connect(sent)
        answer = await reader.read()  # to its end
        assert answer == b"" or answer.endswith(b"\r\n\r\n0")

    visit(visitor)


def test_a_body_that_drips_is_refused(visit: Any) -> None:
    async def visitor(site: Site) -> None:
        reader, writer = await site.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n")

        async def drip() -> None:
            with suppress(ConnectionError):
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.01)

        dripping = asyncio.create_task(drip())
        assert b" 408 " in await reader.readline()
        dripping.cancel()

    visit(visitor)


def test_connections_that_do_not_ask_make_room_for_those_that_do(visit: Any) -> None:
    async def visitor(site: Site) -> None:
        idle = [await site.connect() for _ in range(50)]
        assert await site.get() == (200, 0)
        ended = [asyncio.create_task(reader.read()) for reader, _ in idle[:39]]
        assert await asyncio.gather(*ended) == [b""] * 39  # the oldest, and before their time

    visit(visitor)


def test_where_all_are_at_work_one_more_is_closed(visit: Any) -> None:
    async def visitor(site: Site) -> None:
        at_work = [asyncio.create_task(site.get("/work")) for _ in range(10)]
        await asyncio.sleep(0.2)
        reader, _ = await site.connect()
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        site.work.set()
        assert await asyncio.gather(*at_work) == [(200, 0)] * 10

    visit(visitor)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00", b" 400 "),
        (b"GET / HTTP/1.1\r\nHo st: x\r\n\r\n", b" 400 "),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 10_000 + b"\r\n\r\n", b" 400 "),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n", b" 400 "),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2_000, b" 413 "),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nhalf", b""),  # and it goes away
        (b"GET /work HTTP/1.1\r\nHost: x\r\n\r\n", b""),
    ],
)
def test_what_a_client_does_wrong_is_no_traceback(
    sent: bytes, status: bytes, visit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def visitor(site: Site) -> None:
        reader, writer = await site.connect(sent)
        if status:
            assert status in await reader.readline()
        writer.transport.abort()
        await asyncio.sleep(0.1)
        site.work.set()
        assert (await site.get())[0] == 200

    visit(visitor)
    assert caplog.messages == []


def test_an_error_of_ours_is_said_in_a_line_and_answered_in_api_gateways_words(
    visit: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def visitor(site: Site) -> None:
        assert await site.get("/bug") == (500, {"message": "Internal Server Error"})

    visit(visitor)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == [f"GET /bug: KeyError: 'on purpose' - see {tmp_path / 'host.log'}"]
    assert "Traceback" in (tmp_path / "host.log").read_text()


def test_few_open_files_leave_room_for_the_system_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, 1_024))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    assert serving._most_connections() == 256  # noqa: SLF001 - three ports, and what the system has open itself
