import base64
import re
from typing import Any

import pytest

from local.host import gateway
from local.host.gateway import Gateway, http_event
from local.host.template import Route, RouteKeyError


def found(keys: list[str], method: str, path: str) -> tuple[str, dict[str, str]] | None:
    match = Gateway([Route(key, "f") for key in keys], {}).find(method, path)
    return match and (match[0].key, match[1])


def test_a_full_match_comes_before_variables_and_those_before_the_default() -> None:
    keys = ["$default", "GET /a/{id}", "GET /a/b"]
    assert found(keys, "GET", "/a/b") == ("GET /a/b", {})
    assert found(keys, "GET", "/a/c") == ("GET /a/{id}", {"id": "c"})
    assert found(keys, "GET", "/a/c/d") == ("$default", {})
    assert found(keys, "POST", "/a/b") == ("$default", {})


def test_a_path_of_any_method_answers_what_no_method_of_its_own_does() -> None:
    keys = ["ANY /a/b", "GET /a/b", "ANY /a/{id}"]
    assert found(keys, "GET", "/a/b") == ("GET /a/b", {})
    assert found(keys, "PUT", "/a/b") == ("ANY /a/b", {})
    assert found(keys, "PUT", "/a/c") == ("ANY /a/{id}", {"id": "c"})


def test_a_greedy_variable_takes_the_rest_of_a_path_after_every_full_match() -> None:
    keys = ["$default", "ANY /{all+}", "ANY /a/{rest+}", "GET /a/{id}", "ANY /a"]
    assert found(keys, "GET", "/a/b") == ("GET /a/{id}", {"id": "b"})
    assert found(keys, "PUT", "/a/b") == ("ANY /a/{rest+}", {"rest": "b"})
    assert found(keys, "GET", "/a/b/c d/") == ("ANY /a/{rest+}", {"rest": "b/c d/"})
    assert found(keys, "GET", "/a/") == ("ANY /a/{rest+}", {"rest": ""})
    assert found(keys, "GET", "/a") == ("ANY /a", {})
    assert found(keys, "GET", "/ab") == ("ANY /{all+}", {"all": "ab"})


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("GET /a/", "ends with a slash"),
        ("GET /a//b", "a segment of the path is empty"),
        ("GET a", "does not start with a slash"),
        ("GET", "does not start with a slash"),
        ("FETCH /a", "FETCH is not a method"),
        ("/a", "/a is not a method"),
        ("GET /{rest+}/b", "a greedy variable is not at the end"),
        ("GET /a{id}", "a variable is not a whole segment"),
        ("GET /{id}/{id}", "two variables have one name"),
    ],
)
def test_a_route_that_api_gateway_refuses_stops_the_start(key: str, fault: str) -> None:
    with pytest.raises(RouteKeyError, match=f"{re.escape(key)}: .*{fault}"):
        Gateway([Route(key, "f")], {})


@pytest.mark.parametrize("key", ["$default", "GET /", "ANY /a", "ANY /a/{proxy+}", "PATCH /a/{b}/c/{d}"])
def test_a_route_that_api_gateway_takes_is_taken(key: str) -> None:
    assert Gateway([Route(key, "f")], {})


def test_a_trailing_slash_is_another_path_and_a_dot_is_a_dot() -> None:
    assert found(["GET /a/b"], "GET", "/a/b/") is None
    assert found(["GET /a.b"], "GET", "/axb") is None


def test_an_event_has_decoded_parameters_joined_headers_and_text_bodies() -> None:
    event = http_event(
        "POST",
        "/a",
        query="x=1&x=2&y=a%20b&z=",
        headers=[("Content-Type", "application/json; charset=utf-8"), ("X-A", "1"), ("x-a", "2")],
        body=b"{}",
    )
    assert event["queryStringParameters"] == {"x": "1,2", "y": "a b", "z": ""}
    assert event["rawQueryString"] == "x=1&x=2&y=a%20b&z="
    assert event["headers"]["x-a"] == "1,2"
    assert (event["body"], event["isBase64Encoded"]) == ("{}", False)
    assert event["requestContext"]["http"]["method"] == "POST"


@pytest.mark.parametrize(
    ("content_type", "body"), [("image/png", b"\x89PNG"), ("application/json", b"\xff\xfe"), ("", b"plain")]
)
def test_a_body_that_is_no_text_travels_in_base64(content_type: str, body: bytes) -> None:
    event = http_event("POST", "/", headers=[("content-type", content_type)], body=body)
    assert event["isBase64Encoded"]
    assert base64.b64decode(event["body"]) == body


def test_what_is_not_there_is_not_in_the_event() -> None:
    assert {"body", "queryStringParameters", "pathParameters"}.isdisjoint(http_event("GET", "/"))


@pytest.mark.parametrize(
    ("result", "status", "body"),
    [
        ({"statusCode": 204}, 204, b""),
        ({"statusCode": 201, "body": "hé"}, 201, "hé".encode()),
        (
            {"statusCode": 200, "body": base64.b64encode(b"\x00\xff").decode(), "isBase64Encoded": True},
            200,
            b"\x00\xff",
        ),
    ],
)
def test_a_functions_answer_becomes_a_response(result: dict[str, Any], status: int, body: bytes) -> None:
    response = gateway._response(result)  # noqa: SLF001 - API Gateway's rule, which a handler here does not use whole
    assert (response.status, response.body or b"") == (status, body)
