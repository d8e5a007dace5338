import json
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.not_found.app import handler
from local.host.gateway import http_event
from tests.conftest import context


def answer(path: str, query: str = "", method: str = "GET") -> dict[str, Any]:
    return handler(http_event(method, path, query=query), context())


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_a_path_with_a_slash_at_its_end_is_redirected_to_the_one_without(method: str) -> None:
    said = answer("/api/health/", method=method)
    assert (said["statusCode"], said["headers"], said["body"]) == (308, {"location": "/api/health"}, "")


def test_a_redirect_keeps_the_query_and_encodes_what_api_gateway_decoded() -> None:
    redirect = answer("/api/trades/a b\r\nx?/", "ticker=MSFT&end_date=2025-06-03T12:00:00%2B02:00&x=a b")
    assert redirect["headers"]["location"] == (
        "/api/trades/a%20b%0D%0Ax%3F?ticker=MSFT&end_date=2025-06-03T12:00:00%2B02:00&x=a%20b"
    )


@pytest.mark.parametrize(
    "path",
    [
        "/", "/nothing", "/nothing/", "/api", "/api/", "/api/nothing", "/api/trades//", "/api//trades/",
        "//evil.example/", "//evil.example/api/x/", "/api/..//evil.example/", "/api/../x/", "/api/./x/", "/apis/x/",
    ],
)  # fmt: skip
def test_everything_else_is_a_problem(path: str) -> None:
    said = answer(path)
    assert (said["statusCode"], said["headers"]) == (404, {"content-type": "application/problem+json"})
    assert json.loads(said["body"]) == {
        "type": "about:blank",
        "title": HTTPStatus.NOT_FOUND.phrase,
        "status": 404,
        "detail": f"There is nothing at {path}.",
        "errors": [],
    }


def test_an_answer_to_head_has_no_body() -> None:
    assert answer("/nothing", method="HEAD")["body"] == ""


@given(st.text(alphabet="/\\.:@%?#ae \r\n", max_size=20), st.text(max_size=10))
def test_a_redirect_leads_to_the_same_path_of_the_same_host(rest: str, query: str) -> None:
    path = f"/api/{rest}"
    said = answer(path, query)
    if said["statusCode"] == HTTPStatus.PERMANENT_REDIRECT:
        location = said["headers"]["location"]
        target = urlsplit(urljoin("https://own.example/api/x/", location))
        assert location.isprintable()
        assert location.isascii()
        assert (target.scheme, target.netloc) == ("https", "own.example")
        assert unquote(target.path) == path.removesuffix("/")
