"""Requests that match no route: redirected to the same path without a trailing slash, or answered with 404."""

import re
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from aws_lambda_powertools.utilities.typing import LambdaContext

from trading.http.problems import MEDIA_TYPE, Problem

# An API path with one trailing slash. Empty and dot segments are excluded, because a client would resolve them to
# another path or, at the beginning, to another host.
WITH_SLASH = re.compile(r"/api(/(?!\.{1,2}/)[^/]+)+/")
# The characters that a query may contain unencoded: https://www.rfc-editor.org/rfc/rfc3986#appendix-A
QUERY_CHARACTERS = "%!$&'()*+,;=:@/?-._~"


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Respond to an API Gateway event of payload format 2.0 with 308 or 404."""
    path, method = event["rawPath"], event["requestContext"]["http"]["method"]
    if WITH_SLASH.fullmatch(path):
        return _answer(HTTPStatus.PERMANENT_REDIRECT, {"location": _location(event)})
    status = HTTPStatus.NOT_FOUND
    problem = Problem("about:blank", status.phrase, status.value, f"There is nothing at {path}.", [])
    return _answer(status, {"content-type": MEDIA_TYPE}, "" if method == "HEAD" else problem.write())


def _answer(status: HTTPStatus, headers: dict[str, str], body: str = "") -> dict[str, Any]:
    return {"statusCode": status.value, "headers": headers, "body": body, "isBase64Encoded": False}


def _location(event: dict[str, Any]) -> str:
    """Return a request's path, without the trailing slash, and query, encoded again as API Gateway decodes them."""
    path = quote(event["rawPath"].removesuffix("/"))
    query = quote(event.get("rawQueryString", ""), safe=QUERY_CHARACTERS)
    return f"{path}?{query}" if query else path
