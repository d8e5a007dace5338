"""The feed's WebSocket server, and its protection against other origins."""

import asyncio
import errno
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import TextIO

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from local.cli import feed_connection
from local.cli.feed import Feed, Options
from local.cli.feed_connection import MESSAGE_LIMIT, FeedConnection

PORT = 8765
LAST_PORT = 65_535
BACKLOG = 1_024  # clients that connect at the same moment
# The send buffer of a client's socket, in addition to what waits in the feed.
SYSTEM_BUFFER = 64 * 1024
NAMES = ("localhost", "127.0.0.1", "[::1]")
# Programs send no Origin. Pages in a browser do, and only pages of this machine are allowed.
ORIGINS = (None, re.compile(rf"https?://({'|'.join(map(re.escape, NAMES))})(:[0-9]+)?"))


@asynccontextmanager
async def serving(options: Options, port: int, recording: TextIO | None = None) -> AsyncIterator[Feed]:
    """Serve a market on a port of this machine (0: any), at 127.0.0.1 and, if available, ::1.

    What it sends is also written to `recording`.

    Raises:
        OSError: the port cannot be listened on.
    """
    feed = Feed(options, recording)
    async with AsyncExitStack() as stack:
        listeners = _listeners(port)
        feed.port = listeners[0].getsockname()[1]

        async def attend(connection: ServerConnection) -> None:
            assert isinstance(connection, FeedConnection)
            await feed.attend(connection)

        for listener in listeners:
            await stack.enter_async_context(
                serve(
                    attend,
                    sock=listener,
                    backlog=BACKLOG,
                    create_connection=FeedConnection,
                    origins=ORIGINS,
                    process_request=partial(_check_host, feed.port),
                    compression=None,  # it would be repeated for each client
                    max_size=MESSAGE_LIMIT,
                    close_timeout=feed_connection.CLOSE_SECONDS,
                )
            )
        async with asyncio.TaskGroup() as group:
            running = group.create_task(feed.run())
            try:
                yield feed
            finally:
                running.cancel()
                await feed.stop()


def _check_host(port: int, connection: ServerConnection, request: Request) -> Response | None:
    """Refuse a request with another Host, which prevents DNS rebinding."""
    if request.headers.get_all("Host") in [[f"{name}:{port}"] for name in NAMES]:
        return None
    return connection.respond(HTTPStatus.MISDIRECTED_REQUEST, f"This is localhost:{port}, and no other host.\n")


def _listeners(port: int) -> list[socket.socket]:
    first = _listener(socket.AF_INET, "127.0.0.1", port)
    try:
        return [first, _listener(socket.AF_INET6, "::1", first.getsockname()[1])]
    except OSError as error:
        if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:  # a machine without IPv6
            return [first]
        first.close()
        raise


def _listener(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SYSTEM_BUFFER)  # connections inherit it
        listener.bind((address, port))
    except OSError:
        listener.close()
        raise
    return listener
