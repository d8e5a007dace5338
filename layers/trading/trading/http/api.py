"""The HTTP edge that every API of this system shares, around Powertools' resolver.

It adds what the contract asks for and the resolver leaves open: exact JSON numbers, paths with and without their
trailing slash, 405, 413 and 415, and a problem (RFC 9457) for everything that goes wrong.
"""

import base64
import re
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading.core import correlation, values
from trading.core.database import DatabaseUnavailableError
from trading.core.pagination import PAGE_LIMIT
from trading.core.queues import QueueUnavailableError
from trading.core.values import EndDate, WholeNumber
from trading.http import problems
from trading.http.problems import FieldError, Problem, ProblemError, invalid

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse

logger = Logger(child=True)

# What searches that come in pages take, each in the same words.
Until = Annotated[EndDate | None, Query(description="Itself included; a date alone is that whole day.")]
Limit = Annotated[WholeNumber, Query(ge=1, le=PAGE_LIMIT)]
Cursor = Annotated[str | None, Query(description="Where the page begins: follow the Link header.")]

JSON = "application/json"
BODY_LIMIT = 1_000_000  # characters; a batch of a thousand trades has a quarter of that
BODILESS = {"GET", "HEAD", "DELETE"}  # a body that comes with these means nothing
RETRY_AFTER_SECONDS = 5


class HttpApi(APIGatewayHttpResolver):
    """Powertools' resolver for API Gateway's HTTP APIs, with this system's contract around it.

    Routes are declared with their trailing slash, and every body is a JSON object unless `put_text` says otherwise.
    """

    def __init__(self) -> None:
        super().__init__(enable_validation=True, json_body_deserializer=_read_object)
        self._routed: list[tuple[str, str]] = []
        self._texts: dict[str, tuple[str, int]] = {}
        self.exception_handler(NotFoundError)(self._answer_unrouted)
        self.exception_handler(RequestValidationError)(_answer_invalid)
        self.exception_handler(ProblemError)(_answer_problem)
        self.exception_handler(DatabaseUnavailableError)(_answer_without_database)
        self.exception_handler(QueueUnavailableError)(_answer_without_queue)
        self.exception_handler(Exception)(self._answer_unexpected)

    def route(self, rule: str, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:  # type: ignore[override]
        """Declare a route, as the resolver does, and remember its method for the answer 405."""
        self._routed.append((rule, method))
        return super().route(rule, method, *args, **kwargs)

    def put_text(self, rule: str, media_type: str, limit: int, **described: Any) -> Callable[..., Any]:
        """Declare a PUT whose body is text of a media type, of so many characters at most, as it is in the event."""
        self._texts[rule] = (media_type, limit)
        body = {"required": True, "content": {media_type: {"schema": {"type": "string"}}}}
        return self.put(rule, openapi_extensions={"requestBody": body}, **described)

    def resolve(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Answer an API Gateway event of payload format 2.0, and write one log line about it."""
        started = time.perf_counter()
        correlation.begin(event["requestContext"]["requestId"])
        try:
            path = event["rawPath"].rstrip("/") + "/"
            self._check_method(event["requestContext"]["http"]["method"], path)
            readable = _readable(event, *self._expected_body(path))
            answer = super().resolve({**readable, "rawPath": path}, context)
        except ProblemError as problem:
            answer = _as_result(_answer_problem(problem))
        logger.info(
            "request",
            method=event["requestContext"]["http"]["method"],
            path=event["rawPath"],
            status=answer["statusCode"],
            milliseconds=round((time.perf_counter() - started) * 1_000, 1),
        )
        return answer

    def _check_method(self, method: str, path: str) -> None:
        """Refuse a method that a known path does not answer; a path that is spelled out comes before a pattern.

        Raises:
            ProblemError: 405, with the methods that it does answer.
        """
        exact = {known for rule, known in self._routed if rule == path}
        allowed = exact or {known for rule, known in self._routed if _pattern(rule).fullmatch(path)}
        if allowed and method not in allowed:
            raise ProblemError(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"{path} answers {' and '.join(sorted(allowed))} only.",
                headers={"Allow": ", ".join(sorted(allowed))},
            )

    def _expected_body(self, path: str) -> tuple[str, int]:
        texts = (body for rule, body in self._texts.items() if _pattern(rule).fullmatch(path))
        return next(texts, (JSON, BODY_LIMIT))

    def _answer_unrouted(self, _: NotFoundError) -> Response[str]:
        path = self.current_event.path.rstrip("/") or "/"
        return _answer_problem(ProblemError(HTTPStatus.NOT_FOUND, f"There is nothing at {path}."))

    def _answer_unexpected(self, error: Exception) -> Response[str]:
        logger.error("A request failed unexpectedly", exc_info=error)
        request_id = self.current_event.request_context.request_id
        return _answer_problem(
            ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, f"Something went wrong here. Request id: {request_id}")
        )


def returns(model: Any, description: str) -> "OpenAPIResponse":
    """Return what the API's description says of an answer: a JSON body that is a `model`."""
    return {"description": description, "content": {"application/json": {"model": model}}}


def refuses(description: str) -> "OpenAPIResponse":
    """Return what the API's description says of a refusal: a problem."""
    return {"description": description, "content": {problems.MEDIA_TYPE: {"model": Problem}}}


def json_answer(status: HTTPStatus, body: bytes, headers: dict[str, str] | None = None) -> Response[str]:
    """Return a response whose body is JSON already: the resolver passes text on as it is."""
    return Response(status.value, content_type="application/json", body=body.decode(), headers={**(headers or {})})


def next_page(path: str, given: Mapping[str, str], cursor: str | None) -> dict[str, str]:
    """Return the header that leads to the next page of the same search, if there is one."""
    return {"Link": f'<{path}?{urlencode({**given, "cursor": cursor})}>; rel="next"'} if cursor else {}


def refuse_unknown_parameters(given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse query parameters that mean nothing here: a misspelled filter must not find everything.

    Raises:
        ProblemError: 400, naming each of them.
    """
    unknown = [FieldError(name, "is not a parameter of this path") for name in sorted(set(given) - set(known))]
    if unknown:
        raise invalid(*unknown)


@cache
def _pattern(rule: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"<\w+>", "[^/]+", rule))


def _readable(event: Mapping[str, Any], expected: str, limit: int) -> dict[str, Any]:
    """Return the event with a body that is text.

    Raises:
        ProblemError: 413, 415 or 400, the body is too long, not of the expected media type, or no text.
    """
    readable = {**event}
    if not event.get("body") or event["requestContext"]["http"]["method"] in BODILESS:
        return readable
    if len(event["body"]) > limit:
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body may have {limit:,} characters at most.")
    media_type = (event["headers"].get("content-type") or expected).partition(";")[0].strip().lower()
    if media_type != expected:
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send Content-Type: {expected}, not {media_type}.")
    # The resolver compares the type by letter, and reads a body without one as JSON.
    readable["headers"] = {**event["headers"], "content-type": media_type}
    if event.get("isBase64Encoded"):
        try:
            readable["body"] = base64.b64decode(event["body"], validate=True).decode()
        except ValueError:
            raise invalid(FieldError("body", "is not UTF-8 text")) from None
        readable["isBase64Encoded"] = False
    return readable


def _read_object(body: str) -> dict[str, Any]:
    try:
        value = values.read_json(body)
    except ValueError as error:
        raise invalid(FieldError("body", f"is not JSON: {error}")) from None
    if not isinstance(value, dict):
        raise invalid(FieldError("body", "must be a JSON object"))
    return value


def _answer_problem(error: ProblemError) -> Response[str]:
    return Response(
        error.problem.status,
        content_type=problems.MEDIA_TYPE,
        body=error.problem.write(),
        headers={**error.headers},
    )


def _answer_invalid(error: RequestValidationError) -> Response[str]:
    errors = [FieldError(_field(entry["loc"]), _message(entry)) for entry in error.errors()]
    return _answer_problem(invalid(*errors))


def _answer_without_database(error: DatabaseUnavailableError) -> Response[str]:
    logger.warning("The database is away", reason=str(error))
    return _answer_unavailable(
        "The database does not answer. A trade sent with a client_trade_id is safe to send again."
    )


def _answer_without_queue(error: QueueUnavailableError) -> Response[str]:
    logger.warning("The queue is away", reason=str(error))
    return _answer_unavailable("The queue does not answer. Prices are safe to send again: what came twice counts once.")


def _answer_unavailable(detail: str) -> Response[str]:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return _answer_problem(ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=headers))


def _field(location: tuple[str | int, ...]) -> str:
    """Return the path of a field as a client would write it: ("body", "trades", 3, "price") is trades[3].price."""
    path = ""
    for part in location[1:]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.lstrip(".") or str(location[0])


def _message(entry: Mapping[str, Any]) -> str:
    return str(entry["msg"]).removeprefix("Value error, ")


def _as_result(response: Response[str]) -> dict[str, Any]:
    return {
        "statusCode": response.status_code,
        "headers": dict(response.headers),
        "body": response.body,
        "isBase64Encoded": False,
    }
