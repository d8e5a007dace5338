"""The edge that all functions of the API share: who may call a route, and what every route refuses alike."""

import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from local.host.gateway import http_event
from local.host.template import ROOT
from tests.conftest import GATEWAY, Answer, Call, api_answer

DESCRIPTION = json.loads((ROOT / "docs" / "openapi.json").read_text())
ROUTES = [
    (method.upper(), path, operation["security"][0]["token"][0])
    for path, operations in DESCRIPTION["paths"].items()
    for method, operation in operations.items()
    if operation.get("security")
]
SCOPES = sorted({scope for _, _, scope in ROUTES})
EXAMPLES = {
    "trade_id": 1,
    "split_id": 1,
    "import_id": 1,
    "rule_id": 2,
    "simulation_id": 1,
    "date": "2024-05-15",
    "ticker": "AAPL",
    "webhook_id": "0f3b2c1d-9e8f-4a7b-8c6d-5e4f3a2b1c0d",
    "delivery_id": "5d7f2a10-51c4-4f0e-9d0b-0b0000000001",
}
# Ways to write a path that some server might take for the same.
SPELLINGS: list[Callable[[str], str]] = [
    lambda path: path,
    lambda path: f"{path}/",
    lambda path: f"{path}//",
    lambda path: f"/{path}",
    lambda path: path.replace("/api/", "/api//"),
    lambda path: path.replace("/api/", "/api/./"),
    lambda path: f"{path}/.",
    lambda path: path.replace("/api/", "/api/x/../"),
    lambda path: f"{path}%2F",
    lambda path: f"{path}/%2e",
    lambda path: f"{path};x=1",
    lambda path: path.upper(),
    lambda path: f"{path}\n",
    lambda path: f"{path}\0",
]


def signed_in(method: str, path: str, **claims: Any) -> dict[str, Any]:
    """Return the answer to a caller whose token has these claims."""
    event = http_event(method, path, headers=[("content-type", "application/json")], body=b"{}")
    event["requestContext"]["authorizer"] = {"jwt": {"claims": {"sub": "desk-7", **claims}, "scopes": None}}
    return api_answer(event)


def test_every_route_has_a_scope_or_says_that_it_is_public() -> None:
    public = [
        path
        for path, operations in DESCRIPTION["paths"].items()
        for operation in operations.values()
        if not operation.get("security")
    ]
    assert public == ["/api/health"]


def test_api_gateway_lets_in_the_scopes_of_the_code_and_no_others() -> None:
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    allowed: dict[str, set[str]] = {}
    for method, path, scope in ROUTES:
        found = GATEWAY.find(method, path.format(**EXAMPLES))
        assert found is not None
        wanted[found[0].function].add(scope)
        allowed.setdefault(found[0].function, set()).update(each.removeprefix("trading/") for each in found[0].scopes)
    assert allowed == dict(wanted)


@pytest.mark.usefixtures("call")
@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_no_spelling_of_a_path_lets_a_token_in_that_lacks_its_scope(method: str, path: str, scope: str) -> None:
    all_others = " ".join(each for each in SCOPES if each != scope)
    refused: list[dict[str, str]] = [
        {"scope": all_others},
        {"scope": ""},
        {},
        {"scope": scope, "token_use": "id"},
        {"scope": f"other/{scope}"},
        {"scope": f"{scope}x"},
        {"scope": scope.upper()},
    ]
    for spell in SPELLINGS:
        for claims in refused:
            answer = signed_in(method, spell(path.format(**EXAMPLES)), **claims)
            assert answer["statusCode"] in {308, 403, 404, 405}, (spell(path), claims, answer)


@pytest.mark.usefixtures("call")
@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_a_token_with_the_scope_is_let_in_with_and_without_a_slash(method: str, path: str, scope: str) -> None:
    for spelled in (path.format(**EXAMPLES), f"{path.format(**EXAMPLES)}/"):
        for claims in (
            {"scope": scope},
            {"scope": f"openid trading/{scope}", "token_use": "access"},
            {"scp": f"[trading/{scope} x]"},
        ):
            answer = signed_in(method, spelled, **claims)
            assert answer["statusCode"] not in {308, 401, 403, 405}, answer
            if answer["statusCode"] == 404:  # the path is known: what it is about is not there
                assert "There is nothing at" not in answer["body"]


@pytest.mark.usefixtures("call")
@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_nobody_is_let_in_without_a_token_where_one_is_required(
    monkeypatch: pytest.MonkeyPatch, method: str, path: str, scope: str
) -> None:
    del scope
    for value in ("true", "", "no"):
        monkeypatch.setenv("AUTH_REQUIRED", value)
        answer = api_answer(http_event(method, path.format(**EXAMPLES)))
        assert (answer["statusCode"], answer["headers"]["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("path", [path for path, operations in DESCRIPTION["paths"].items() if "get" in operations])
def test_an_unknown_query_parameter_is_named(call: Call, path: str) -> None:
    answer = call("GET", path.format(**EXAMPLES), query="x=1&limit_=2")
    assert answer.status == 400
    assert answer.names() == ["limit_", "x"]


def test_a_path_that_does_not_exist_answers_404_before_415(call: Call) -> None:
    assert call("POST", "/api/trades/1/2", raw=b"x", content_type="text/plain").status == 404


def test_a_name_that_occurs_twice_in_an_object_is_refused(call: Call, trade: dict[str, Any]) -> None:
    raw = json.dumps(trade)[:-1] + ', "price": "1"}'
    answer = call("POST", "/api/trades", raw=raw.encode())
    assert (answer.status, answer.names()) == (400, ["price"])


def test_at_most_a_hundred_errors_are_listed_and_the_others_counted(call: Call, trade: dict[str, Any]) -> None:
    answer = call("POST", "/api/trades", {**trade, **{f"k{number}": 1 for number in range(70_000)}})
    assert answer.status == 400
    assert len(answer.names()) == 100
    assert "100 of 70,000" in answer.body["detail"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("side", "HOLD", "must be 'BUY' or 'SELL'"),
        ("ticker", "msft", "must be a ticker, such as MSFT or BRK.B"),
        ("extra", 1, "is not a field of this request"),
        ("client_trade_id", "ü", "must be 1 to 100 printable ASCII characters"),
    ],
)
def test_what_is_wrong_is_said_in_words_for_people(
    call: Call, trade: dict[str, Any], field: str, value: object, message: str
) -> None:
    answer = call("POST", "/api/trades", {**trade, field: value})
    assert answer.body["errors"] == [{"field": field, "message": message}]


@pytest.mark.usefixtures("call")
def test_a_content_type_is_found_however_its_name_is_spelled(trade: dict[str, Any]) -> None:
    event = http_event("POST", "/api/trades", headers=[("content-type", "application/json")])
    event |= {"headers": {"Content-Type": "application/json"}, "body": json.dumps(trade), "isBase64Encoded": False}
    assert api_answer(event)["statusCode"] == 201


def test_head_answers_as_get_does_without_a_body_and_options_names_the_methods(call: Call) -> None:
    head: Answer = call("HEAD", "/api/trades")
    assert (head.status, head.body) == (200, "")
    options = api_answer(http_event("OPTIONS", "/api/trades"))
    assert (options["statusCode"], options["headers"]["Allow"]) == (204, "GET, HEAD, OPTIONS, POST")


@pytest.mark.parametrize(
    ("path", "hint"),
    [("/api/trades/1", "Send the request again."), ("/api/simulations/1", "Send the request again.")],
)
def test_a_503_says_of_its_own_route_what_may_be_sent_again(
    call: Call, monkeypatch: pytest.MonkeyPatch, path: str, hint: str
) -> None:
    from trading.core import database  # noqa: PLC0415 - its connection is this test's to break

    database.release()
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:9/nowhere")
    answer = call("GET", path)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert answer.body["detail"].endswith(hint)
