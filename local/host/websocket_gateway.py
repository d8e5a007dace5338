"""A local replacement for API Gateway's WebSocket API: invokes functions with events, and serves `@connections`."""

import asyncio
import base64
import json
import logging
import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from local.host import doors
from local.host.functions import FunctionError, LocalFunction
from local.host.template import SocketRoute

logger = logging.getLogger(__name__)

# As in API Gateway: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
MESSAGE_LIMIT = 128 * 1024  # bytes
IDLE_SECONDS = 600
# The maximum number of unsent messages; a client with more is not reading.
BACKLOG = 256


@dataclass
class _Connection:
    request: web.Request
    socket: web.WebSocketResponse
    outbox: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(BACKLOG))
    written_at: float = field(default_factory=time.monotonic)
    connected_at: int = field(default_factory=lambda: int(time.time() * 1_000))


class SocketGateway:
    """The WebSocket API of a template: invokes functions with its events, and lets them post to connections."""

    def __init__(self, routes: Sequence[SocketRoute], functions: Mapping[str, LocalFunction]) -> None:
        self._routes = {route.key: route for route in routes}
        self._functions = functions
        self._connections: dict[str, _Connection] = {}

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Serve a connection from `$connect`, which may refuse it, to `$disconnect`."""
        socket = web.WebSocketResponse(max_msg_size=MESSAGE_LIMIT, autoping=False)
        if not socket.can_prepare(request):
            return web.json_response({"message": "Upgrade Required"}, status=426)
        connection_id = base64.b64encode(
            secrets.token_bytes(11)
        ).decode()  # contains a character that must be quoted in URLs
        connection = _Connection(request, socket)
        status = await self._connected(connection_id, connection, dict(request.query))
        if status != web.HTTPOk.status_code:
            return web.json_response({"message": "Unauthorized"}, status=status)
        writer = None
        try:
            await socket.prepare(request)
            self._connections[connection_id] = connection
            writer = asyncio.create_task(_write(connection))
            await self._read(connection_id, connection)
        except ConnectionError:
            pass  # closed before it was open
        finally:
            self._connections.pop(connection_id, None)
            if writer:
                writer.cancel()
            await self._tell("$disconnect", connection_id, connection)
        return socket

    async def post(self, request: web.Request) -> web.Response:
        """Queue a function's message to a connection; 410 if there is no such connection."""
        connection = self._connections.get(request.match_info["connection_id"])
        if connection is None:
            return _gone()
        try:
            connection.outbox.put_nowait((await request.read()).decode(errors="replace"))
        except asyncio.QueueFull:
            if connection.request.transport:  # a closing handshake would wait for a client that does not read
                connection.request.transport.abort()
            return _gone()
        return web.Response()

    async def close(self) -> None:
        """Close all connections."""
        for connection in list(self._connections.values()):
            await connection.socket.close(code=WSCloseCode.GOING_AWAY, message=b"the system stops")

    async def _connected(self, connection_id: str, connection: _Connection, parameters: dict[str, str]) -> int:
        answer = await self._tell("$connect", connection_id, connection, queryStringParameters=parameters)
        return int(answer["statusCode"]) if answer else web.HTTPInternalServerError.status_code

    async def _read(self, connection_id: str, connection: _Connection) -> None:
        while True:
            try:
                message = await connection.socket.receive(IDLE_SECONDS)
            except TimeoutError:
                if time.monotonic() - connection.written_at < IDLE_SECONDS:
                    continue
                break
            if message.type is WSMsgType.TEXT:
                await self._take(connection_id, connection, message.data)
            elif message.type is WSMsgType.PING:
                await connection.socket.pong(message.data)
            elif message.type is not WSMsgType.PONG:
                break
            await asyncio.sleep(0)  # so that a client that sends continuously does not starve the others

    async def _take(self, connection_id: str, connection: _Connection, text: str) -> None:
        route = self._routes.get(_action(text)) or self._routes["$default"]
        answer = await self._tell(route.key, connection_id, connection, body=text)
        if answer is None:
            problem = {"message": "Internal server error", "connectionId": connection_id}
            await connection.outbox.put(json.dumps(problem))
        elif route.has_response and answer.get("body"):
            await connection.outbox.put(answer["body"])

    async def _tell(self, key: str, connection_id: str, connection: _Connection, **parts: Any) -> dict[str, Any] | None:
        """Invoke a route's function with an event; return the response, or None if it failed."""
        function = self._functions[self._routes[key].function]
        try:
            answer: dict[str, Any] = await function.invoke(_event(key, connection_id, connection, **parts))
        except FunctionError as error:
            logger.warning("%s - see %s", error, function.log)
            return None
        return answer


def application(gateway: SocketGateway, page_port: int) -> web.Application:
    """Return the web application: sockets at any path, because the stage name is part of it, and `@connections`.

    The page served at `page_port` may open sockets too.
    """
    app = web.Application(client_max_size=MESSAGE_LIMIT, middlewares=[doors.middleware(page_port)])
    app.router.add_post("/@connections/{connection_id}", gateway.post)
    app.router.add_get("/{path:.*}", gateway.connect)
    return app


def _gone() -> web.Response:
    return web.json_response({"message": "Gone"}, status=410, headers={"x-amzn-ErrorType": "GoneException"})


async def _write(connection: _Connection) -> None:
    with suppress(ConnectionError):
        while True:
            await connection.socket.send_str(await connection.outbox.get())
            connection.written_at = time.monotonic()


def _action(text: str) -> str:
    """Return the route named in a message, or an empty string; routes that begin with `$` cannot be named."""
    with suppress(ValueError, RecursionError):
        value = json.loads(text)
        if isinstance(value, dict) and isinstance(value.get("action"), str) and not value["action"].startswith("$"):
            return str(value["action"])
    return ""


def _event(key: str, connection_id: str, connection: _Connection, **parts: Any) -> dict[str, Any]:
    """Return API Gateway's event for a route of a WebSocket API.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-keys-connect-disconnect.html
    """
    now = datetime.now(UTC)
    kind = {"$connect": "CONNECT", "$disconnect": "DISCONNECT"}.get(key, "MESSAGE")
    event: dict[str, Any] = {
        "requestContext": {
            "routeKey": key,
            "eventType": kind,
            "messageDirection": "IN",
            "connectionId": connection_id,
            "connectedAt": connection.connected_at,
            "requestId": str(uuid.uuid4()),
            "extendedRequestId": str(uuid.uuid4()),
            "requestTime": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "requestTimeEpoch": int(now.timestamp() * 1_000),
            "stage": "live",
            "apiId": "local",
            "domainName": connection.request.host,
            "identity": {"sourceIp": connection.request.remote},
        },
        "isBase64Encoded": False,
        **{name: part for name, part in parts.items() if part},
    }
    if kind == "MESSAGE":
        event["requestContext"]["messageId"] = str(uuid.uuid4())
    else:
        event["headers"] = dict(connection.request.headers)
    return event
