"""A local replacement for API Gateway: converts HTTP requests to Lambda events of payload format 2.0."""

import base64
import logging
import re
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from local.host import doors
from local.host.authorizer import Authorizer, ForbiddenError, UnauthorizedError
from local.host.functions import FunctionDiedError, FunctionError, LocalFunction
from local.host.page import PATHS, Page
from local.host.sign_in import SignIn
from local.host.template import ROOT, Route, check_route_key

logger = logging.getLogger(__name__)

BODY_LIMIT = 10 * 1024 * 1024  # bytes, as in API Gateway
TEXT_TYPES = re.compile(r"text/|application/(.+\+)?(json|xml|javascript)")
HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Gateway:
    """The HTTP API of a template: finds the route of a request and invokes its function."""

    def __init__(
        self,
        routes: Sequence[Route],
        functions: Mapping[str, LocalFunction],
        authorizer: Authorizer | None = None,
    ) -> None:
        """Take the routes of a template.

        Raises:
            local.host.template.RouteKeyError: API Gateway would refuse to create one of them.
        """
        for route in routes:
            check_route_key(route.key)
        self._routes = sorted(((_pattern(route.key), route) for route in routes), key=lambda pair: _rank(pair[1]))
        self._functions = functions
        self._authorizer = authorizer

    async def answer(self, request: web.Request) -> web.Response:
        """Handle a request like API Gateway, including its own error messages."""
        started = time.perf_counter()
        response = await self._answer(request)
        milliseconds = (time.perf_counter() - started) * 1_000
        logger.info("%-6s %s %s %.0f ms", request.method, request.path_qs, response.status, milliseconds)
        return response

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _message(413, "Request Entity Too Large")
        found = self.find(request.method, request.path)
        if found is None:
            return _message(404, "Not Found")
        route, parameters = found
        try:
            caller = self._caller(request, route)
        except UnauthorizedError:
            return _message(401, "Unauthorized", {"WWW-Authenticate": "Bearer"})
        except ForbiddenError:
            return _message(403, "Forbidden")
        event = http_event(
            request.method,
            request.path,
            query=request.rel_url.raw_query_string,
            headers=request.headers.items(),
            body=body,
            client=request.remote or "",
            route_key=route.key,
            path_parameters=parameters,
            caller=caller,
        )
        try:
            result = await self._functions[route.function].invoke(event)
        except FunctionError as error:
            logger.warning("%s - see %s", error, self._functions[route.function].log)
            return _failure(error)
        return _response(result)

    def _caller(self, request: web.Request, route: Route) -> dict[str, Any] | None:
        if self._authorizer is None or not route.has_authorizer:
            return None
        return self._authorizer.authorize(request.headers.get("Authorization"), route.scopes)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """Return the route of a request and its path variables, or None if no route matches.

        The path must be decoded. A full match takes precedence over the longest greedy one, and that over $default:
        https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
        """
        for pattern, route in self._routes:
            match = pattern.fullmatch(f"{method} {path}")
            if match:
                return route, match.groupdict()
        return None


def http_event(  # noqa: PLR0913 - the parts of a request
    method: str,
    path: str,
    *,
    query: str = "",
    headers: Sequence[tuple[str, str]] | Any = (),
    body: bytes = b"",
    client: str = "127.0.0.1",
    route_key: str = "$default",
    path_parameters: Mapping[str, str] | None = None,
    caller: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return API Gateway's event for a request (HTTP API, payload format 2.0).

    `caller` is the result of the JWT authorizer.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """
    joined = _joined((name.lower(), value) for name, value in headers)
    now = datetime.now(UTC)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": joined,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": joined.get("host", "localhost"),
            "domainPrefix": "local",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": client,
                "userAgent": joined.get("user-agent", ""),
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": route_key,
            "stage": "$default",
            "time": format_datetime(now),
            "timeEpoch": int(now.timestamp() * 1_000),
        },
        "isBase64Encoded": False,
    }
    if caller:
        event["requestContext"]["authorizer"] = {"jwt": dict(caller)}
    if query:
        event["queryStringParameters"] = _joined(parse_qsl(query, keep_blank_values=True))
    if path_parameters:
        event["pathParameters"] = dict(path_parameters)
    if body:
        event["body"], event["isBase64Encoded"] = _body(body, joined.get("content-type", ""))
    return event


async def show_docs(_: web.Request) -> web.Response:
    """Serve Swagger UI, with assets from Powertools, for the committed OpenAPI description."""
    return web.Response(
        content_type="text/html",
        text="""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Trading API</title>
<link rel="stylesheet" href="/docs/assets/swagger-ui.min.css"></head><body class="swagger-ui">
<nav class="wrapper"><a href="/">The page</a> · <a href="/docs/openapi.json">OpenAPI</a> ·
<a href="/docs/asyncapi.yaml">WebSocket messages (AsyncAPI)</a></nav><div id="ui"></div>
<script src="/docs/assets/swagger-ui-bundle.min.js"></script>
<script>SwaggerUIBundle({url: "/docs/openapi.json", dom_id: "#ui", tryItOutEnabled: true})</script></body></html>""",
    )


async def show_openapi(_: web.Request) -> web.FileResponse:
    """Serve the committed OpenAPI description."""
    return web.FileResponse(ROOT / "docs" / "openapi.json")


async def show_asyncapi(_: web.Request) -> web.Response:
    """Serve the AsyncAPI description as text that a browser displays."""
    return web.Response(text=(ROOT / "docs" / "asyncapi.yaml").read_text())


def application(gateway: Gateway, page: Page, sign_in: SignIn | None = None) -> web.Application:
    """Return the web application: the page, sign-in, documentation, and the gateway for all other paths."""
    app = web.Application(client_max_size=BODY_LIMIT, middlewares=[doors.middleware()])
    if sign_in:
        sign_in.add_to(app)
    app.router.add_get(PATHS, page.answer)
    app.router.add_get("/docs", show_docs)
    app.router.add_get("/docs/openapi.json", show_openapi)
    app.router.add_get("/docs/asyncapi.yaml", show_asyncapi)
    app.router.add_static("/docs/assets", _swagger_assets())
    app.router.add_route("*", r"/{path:[\s\S]*}", gateway.answer)
    return app


def _swagger_assets() -> Path:
    package = find_spec("aws_lambda_powertools")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "event_handler" / "openapi" / "swagger_ui"


def _pattern(key: str) -> re.Pattern[str]:
    if key == "$default":
        return re.compile(".*", re.DOTALL)
    method, path = key.split(" ")
    path = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path))
    # A greedy variable may be empty: `GET /metrics/{proxy+}` serves `/metrics/` (storacha/w3infra#166).
    path = re.sub(r"\\\{(\w+)\\\+\\\}", r"(?P<\1>.*)", path)
    return re.compile(f"{'[A-Z]+' if method == 'ANY' else method} {path}", re.DOTALL)


def _rank(route: Route) -> tuple[bool, int, int, bool]:
    """Return the sort key of API Gateway's precedence; on a tie, fewer variables and a specific method come first."""
    depth = route.key.count("/") if route.key.endswith("+}") else sys.maxsize
    return route.key == "$default", -depth, route.key.count("{"), route.key.startswith("ANY ")


def _joined(pairs: Any) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _body(body: bytes, content_type: str) -> tuple[str, bool]:
    if TEXT_TYPES.match(content_type):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), True


def _response(result: Mapping[str, Any]) -> web.Response:
    body = result.get("body") or ""
    return web.Response(
        status=result["statusCode"],
        body=base64.b64decode(body) if result.get("isBase64Encoded") else body.encode(),
        headers={name: value for name, value in result.get("headers", {}).items() if name.lower() not in HOP_HEADERS},
    )


def _failure(error: FunctionError) -> web.Response:
    """Return the response for a failed function; if its process died, a new one will be ready shortly."""
    if isinstance(error, FunctionDiedError):
        return _message(503, "Service Unavailable", {"Retry-After": "1"})
    return _message(500, "Internal Server Error")


def _message(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"message": message}, status=status, headers=headers)
