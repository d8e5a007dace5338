"""HTTP servers that clients cannot exhaust: idle, slow and excess connections are closed, bad requests answered."""

import asyncio
import logging
import resource
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from local.host.supervisor import Supervisor

IDLE_SECONDS = 30  # of a connection without a complete request header
BODY_SECONDS = 30  # for a whole body: API Gateway's limit for a request
STOP_SECONDS = 2
BACKLOG = 128
OPEN_FILES = 8_192  # requested; the system may grant fewer
OWN_FILES = 256  # open in the system itself
PORTS = 3  # the HTTP API's, the sockets' and the feed's

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """An application and its connections, of which there are only so many at a time."""

    def __init__(self, application: web.Application, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._most = _most_connections()
        self._busy: set[asyncio.BaseProtocol] = set()

        @web.middleware
        async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._answer(request, handler)

        application.middlewares.append(answer)
        logger = logging.getLogger(__name__)
        logger.addFilter(_is_not_of_a_client)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            auto_decompress=False,  # API Gateway passes bodies on unchanged
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=STOP_SECONDS,
            shutdown_timeout=STOP_SECONDS,
            logger=logger,
        )

    async def start(self, stack: AsyncExitStack, *listeners: socket.socket) -> None:
        """Serve on sockets, until the stack is unwound."""
        await self._runner.setup()
        stack.push_async_callback(self._runner.cleanup)
        for listener in listeners:
            server = await asyncio.get_running_loop().create_server(self._accept, sock=listener, backlog=BACKLOG)
            stack.callback(server.close)

    def _accept(self) -> asyncio.BaseProtocol:
        """Return the handler of a new connection; if there are too many, the one that was idle longest is closed."""
        assert self._runner.server is not None
        open_ones = [each for each in self._runner.server.connections if each.transport]
        if len(open_ones) < self._most:
            return self._runner.server()
        idle = next((each for each in open_ones if each not in self._busy), None)
        if idle is None:
            return _Refusal()
        idle.force_close()
        return self._runner.server()

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._busy.add(request.protocol)
        try:
            return await _refused(request) or await handler(request)
        except (web.HTTPException, ConnectionError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets API Gateway's words
            self._supervisor.say(f"{request.method} {request.path}", error)
            return _message(500, "Internal Server Error")
        finally:
            self._busy.discard(request.protocol)


class _Refusal(asyncio.Protocol):
    """Closes a connection as soon as it is made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


async def _refused(request: web.Request) -> web.Response | None:
    """Read a request's body, and return an answer where that is too large, too slow or not what its head says."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            await request.read()
    except web.HTTPRequestEntityTooLarge:
        return _message(413, "Request Entity Too Large")
    except TimeoutError:
        return _message(408, "Request Timeout")
    except web.RequestPayloadError:
        return _message(400, "Bad Request")
    return None


def _message(status: int, text: str) -> web.Response:
    response = web.json_response({"message": text}, status=status)
    response.force_close()
    return response


def _is_not_of_a_client(record: logging.LogRecord) -> bool:
    """Return whether an error is a bug: a client that sends invalid requests or disconnects needs no traceback."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, (HttpProcessingError, ConnectionError, web.RequestPayloadError))


def _most_connections() -> int:
    """Return how many connections a port may have, so that all ports together leave files for the system itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < OPEN_FILES:
        soft = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    files = OPEN_FILES if soft == resource.RLIM_INFINITY else min(soft, OPEN_FILES)
    return max(16, (files - OWN_FILES) // PORTS)
