"""The HTTP edge that all APIs of this system share, based on Powertools' resolver.

It adds a scope for each route, exact JSON numbers, paths with and without a trailing slash, HEAD and OPTIONS, 405, 413
and 415, and a problem (RFC 9457) for every failure.
"""

import base64
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, WithJsonSchema

from trading.core import correlation, values
from trading.core.errors import FieldError, InvalidError, NotFoundError, RefusalError, UnavailableError
from trading.core.values import ID_LIMIT, PAGE_LIMIT, EndDate, StartDate, WholeNumber, whole_number_schema
from trading.http import problems
from trading.http.authorization import PUBLIC, authorize
from trading.http.problems import Problem, RequestError

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler.api_gateway import Route
    from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse

logger = Logger(child=True)

# The parameters of every paginated search.
From = Annotated[StartDate | None, Query(description="Inclusive.")]
Until = Annotated[EndDate | None, Query(description="Inclusive; a date without a time covers the whole day (UTC).")]
Limit = Annotated[WholeNumber, Field(ge=1, le=PAGE_LIMIT), whole_number_schema(1, PAGE_LIMIT), Query()]
Cursor = Annotated[
    Annotated[str, WithJsonSchema({"type": "string", "minLength": 1})] | None,
    Query(description="Where the page begins; the Link header has the next page's."),
]
# An id in a path.
Id = Annotated[WholeNumber, Field(ge=1, le=ID_LIMIT), whole_number_schema(1, ID_LIMIT), Path()]

SECURITY_SCHEME = "token"  # its name in the OpenAPI description
JSON = "application/json"
BODILESS = {"GET", "HEAD", "DELETE", "OPTIONS"}  # a body sent with these is ignored
RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True)
class Body:
    """The body that a route accepts: a JSON object, or bytes of one of these media types, up to `limit` bytes."""

    media_types: Sequence[str] = (JSON,)
    # Four times the size of a batch of a thousand trades.
    limit: int = 1_000_000


@dataclass(frozen=True)
class _Edge:
    """What a route requires of a request before its function is called, and its hint for retries."""

    scope: str
    body: Body
    retry_hint: str


class HttpApi(APIGatewayHttpResolver):
    """Powertools' resolver for API Gateway HTTP APIs, extended as described above.

    Routes are declared without a trailing slash, each with the scope that a token must have, or PUBLIC.
    """

    def __init__(self) -> None:
        super().__init__(enable_validation=True, json_body_deserializer=_read_object)
        self._edges: dict[Callable[..., Any], _Edge] = {}
        self.subject = ""  # the caller of the current request
        self.exception_handler(RequestValidationError)(_answer_invalid)
        self.exception_handler(RefusalError)(_answer_problem)
        self.exception_handler(UnavailableError)(self._answer_unavailable)
        self.exception_handler(Exception)(self._answer_unexpected)

    def get(self, rule: str, *, scope: str, **described: Any) -> Callable[..., Any]:  # type: ignore[override]
        """Declare a GET, which also handles HEAD."""
        return self._declare("GET", rule, scope, described)

    def post(self, rule: str, *, scope: str, **described: Any) -> Callable[..., Any]:  # type: ignore[override]
        """Declare a POST; `retry_hint` tells clients how to retry after a 503. `body` is as in `put`."""
        return self._declare("POST", rule, scope, described)

    def put(self, rule: str, *, scope: str, **described: Any) -> Callable[..., Any]:  # type: ignore[override]
        """Declare a PUT; a `body` that is not JSON is read with `body_bytes`."""
        return self._declare("PUT", rule, scope, described)

    def patch(self, rule: str, *, scope: str, **described: Any) -> Callable[..., Any]:  # type: ignore[override]
        """Declare a PATCH."""
        return self._declare("PATCH", rule, scope, described)

    def delete(self, rule: str, *, scope: str, **described: Any) -> Callable[..., Any]:  # type: ignore[override]
        """Declare a DELETE."""
        return self._declare("DELETE", rule, scope, described)

    def _declare(self, method: str, rule: str, scope: str, described: dict[str, Any]) -> Callable[..., Any]:
        body = described.pop("body", Body())
        edge = _Edge(scope, body, described.pop("retry_hint", "Send the request again."))
        if JSON not in body.media_types:
            content = {media_type: {"schema": _described_bytes(media_type)} for media_type in body.media_types}
            described["openapi_extensions"] = {"requestBody": {"required": True, "content": content}}
        described["tags"] = [rule.split("/")[2]]
        described["security"] = [] if scope == PUBLIC else [{SECURITY_SCHEME: [scope]}]

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            self._edges[function] = edge
            return self.route(rule, method, operation_id=function.__name__, **described)(function)

        return register

    def body_bytes(self) -> bytes:
        """Return the body of the current request as it was sent, without decoding text."""
        return _body_bytes(self.current_event.raw_event)

    def resolve(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Handle an API Gateway event of payload format 2.0, and write one log line about it."""
        started = time.perf_counter()
        correlation.begin(event["requestContext"]["requestId"])
        self.subject = ""
        method = event["requestContext"]["http"]["method"]
        try:
            answer = self._answer(method, event, context)
        except RefusalError as error:
            answer = _as_result(_answer_problem(error))
        if method == "HEAD":
            answer["body"] = ""
        logger.info(
            "request",
            method=method,
            path=event["rawPath"],
            status=answer["statusCode"],
            subject=self.subject,
            milliseconds=round((time.perf_counter() - started) * 1_000, 1),
        )
        return answer

    def _answer(self, method: str, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        path = _without_slash(event["rawPath"])
        routes = self._routes_at(path)
        if method == "OPTIONS":
            return _as_result(Response(HTTPStatus.NO_CONTENT.value, headers={"Allow": _allowed(routes)}))
        resolved = "GET" if method == "HEAD" else method
        route = routes.get(resolved)
        if route is None:
            raise RequestError(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"{path} supports {' and '.join(sorted(routes))} only.",
                {"Allow": _allowed(routes)},
            )
        edge = self._edges[route.func]
        self.subject = authorize(event, edge.scope)
        _refuse_unknown_parameters(event, route)
        readable = {**_readable(event, edge.body), "rawPath": path}
        if resolved != method:
            http = {**event["requestContext"]["http"], "method": resolved}
            readable["requestContext"] = {**event["requestContext"], "http": http}
        return super().resolve(readable, context)

    def _routes_at(self, path: str) -> "dict[str, Route]":
        """Return the routes of a path by method; literal paths take precedence over patterns.

        Raises:
            NotFoundError: no route has this path.
        """
        for table in (self._static_routes, self._dynamic_routes):
            found = {route.method: route for route in table if route.rule.match(path)}
            if found:
                return found
        raise NotFoundError(f"There is nothing at {path}.")

    def _answer_unavailable(self, error: UnavailableError) -> Response[str]:
        logger.warning("A dependency is unavailable", reason=str(error))
        hint = self._edges[self.context["_route"].func].retry_hint
        status = HTTPStatus.SERVICE_UNAVAILABLE
        return _problem_response(
            problems.problem(status, f"The system is temporarily unavailable. {hint}"),
            {"Retry-After": str(RETRY_AFTER_SECONDS)},
        )

    def _answer_unexpected(self, error: Exception) -> Response[str]:
        logger.error("A request failed unexpectedly", exc_info=error)
        request_id = self.current_event.request_context.request_id
        detail = f"An unexpected error occurred. Request id: {request_id}"
        return _problem_response(problems.problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail))


def described_json(model: Any, description: str) -> "OpenAPIResponse":
    """Return the OpenAPI description of a response with a `model` as JSON body."""
    return {"description": description, "content": {JSON: {"model": model}}}


def described_problem(description: str) -> "OpenAPIResponse":
    """Return the OpenAPI description of an error response, which is a problem."""
    return {"description": description, "content": {problems.MEDIA_TYPE: {"model": Problem}}}


def json_response(status: HTTPStatus, body: bytes, headers: dict[str, str] | None = None) -> Response[str]:
    """Return a response whose body is already JSON: the resolver passes text through unchanged."""
    return Response(status.value, content_type=JSON, body=body.decode(), headers={**(headers or {})})


def next_page(path: str, given: Mapping[str, str], cursor: str | None) -> dict[str, str]:
    """Return the Link header of the next page of the same search, if there is one."""
    return {"Link": f'<{path}?{urlencode({**given, "cursor": cursor})}>; rel="next"'} if cursor else {}


def _without_slash(path: str) -> str:
    """Return a path without its trailing slash, if it has one.

    Raises:
        NotFoundError: it ends with more than one slash.
    """
    if path.endswith("//"):
        raise NotFoundError(f"There is nothing at {path}.")
    return path.removesuffix("/") or "/"


def _allowed(routes: "Mapping[str, Route]") -> str:
    more = {"OPTIONS", "HEAD"} if "GET" in routes else {"OPTIONS"}
    return ", ".join(sorted(routes.keys() | more))


def _refuse_unknown_parameters(event: Mapping[str, Any], route: "Route") -> None:
    """Refuse unknown query parameters, because a misspelled filter must not be ignored.

    Raises:
        InvalidError: there are unknown parameters; it names each of them.
    """
    given = event.get("queryStringParameters")
    if not given:
        return
    known = {field.alias for field in route.dependant.query_params}
    unknown = [FieldError(name, "is not a parameter of this path") for name in sorted(given.keys() - known)]
    if unknown:
        raise InvalidError(*unknown)


def _readable(event: Mapping[str, Any], expected: Body) -> dict[str, Any]:
    """Return the event with a body that the resolver can read; a body that is not JSON is unchanged.

    Raises:
        RequestError: 413 or 415, the body is too large or has an unexpected media type.
        InvalidError: the body is not valid UTF-8 or base64.
    """
    readable = {**event}
    if not event.get("body") or event["requestContext"]["http"]["method"] in BODILESS:
        return readable
    body = _body_bytes(event)
    if len(body) > expected.limit:
        raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body must not exceed {expected.limit:,} bytes.")
    # API Gateway sends header names in lower case; `sam local` keeps the client's case.
    headers = {name.lower(): value for name, value in event["headers"].items()}
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in expected.media_types:
        found = f", not {media_type}" if media_type else ""
        accepted = " or ".join(expected.media_types)
        raise RequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send Content-Type: {accepted}{found}.")
    # The resolver compares the media type literally, and reads a body without one as JSON.
    readable["headers"] = {**headers, "content-type": media_type}
    if media_type == JSON:
        try:
            readable |= {"body": body.decode(), "isBase64Encoded": False}
        except UnicodeDecodeError:
            raise InvalidError(FieldError("body", "is not UTF-8 text")) from None
    return readable


def _body_bytes(event: Mapping[str, Any]) -> bytes:
    """Return the bytes of a body, which API Gateway encodes as base64 unless the media type is text.

    Raises:
        InvalidError: the body is not valid base64.
    """
    body: str = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        raise InvalidError(FieldError("body", "is not valid base64")) from None


def _described_bytes(media_type: str) -> dict[str, Any]:
    described: dict[str, Any] = {"type": "string", "minLength": 1}
    return described if media_type.startswith("text/") else {**described, "format": "binary"}


def _read_object(body: str) -> dict[str, Any]:
    try:
        value = values.read_json(body, object_pairs_hook=_object)
    except ValueError as error:
        raise InvalidError(FieldError("body", f"is not valid JSON: {error}")) from None
    if not isinstance(value, dict):
        raise InvalidError(FieldError("body", "must be a JSON object"))
    return value


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object. Duplicate names are refused, because parsers disagree about which of them counts.

    Raises:
        InvalidError: a name occurs twice.
    """
    value = dict(members)
    if len(value) < len(members):
        names = [name for name, _ in members]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidError(FieldError(twice, "occurs more than once in the same object"))
    return value


def _answer_problem(error: RefusalError) -> Response[str]:
    headers = error.headers if isinstance(error, RequestError) else {}
    return _problem_response(problems.problem_of(error), headers)


def _answer_invalid(error: RequestValidationError) -> Response[str]:
    errors = [FieldError(_field(entry["loc"]), _message(entry)) for entry in error.errors()]
    return _answer_problem(InvalidError(*errors))


def _problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response[str]:
    return Response(problem.status, content_type=problems.MEDIA_TYPE, body=problem.write(), headers={**(headers or {})})


def _field(location: tuple[str | int, ...]) -> str:
    """Return a field's path in client notation: ("body", "trades", 3, "price") is trades[3].price."""
    path = ""
    for part in location[1:]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.lstrip(".") or str(location[0])


def _message(entry: Mapping[str, Any]) -> str:
    """Return an error message about a field for API users; pydantic's messages are written for developers."""
    context = entry.get("ctx", {})
    if entry["type"] == "string_pattern_mismatch":
        return values.PATTERN_PHRASES[context["pattern"]]
    phrase = _PHRASES.get(entry["type"])
    return phrase.format(**context) if phrase else str(entry["msg"]).removeprefix("Value error, ")


# https://docs.pydantic.dev/latest/errors/validation_errors/
_PHRASES = {
    "missing": "is required",
    "extra_forbidden": "is not a field of this request",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}


def _as_result(response: Response[str]) -> dict[str, Any]:
    return {
        "statusCode": response.status_code,
        "headers": dict(response.headers),
        "body": response.body or "",
        "isBase64Encoded": False,
    }
