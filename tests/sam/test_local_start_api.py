import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any

import pytest

from local.host.system import LOOPBACK
from tests.conftest import Answer
from tests.sam.conftest import serving

Ask = Callable[..., Answer]

MONTH = "start_date=2025-06-01T00:00:00Z&end_date=2025-06-03T23:59:59Z"


@pytest.fixture(scope="module")
def port(options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port at which `sam local start-api` answers."""
    with serving("start-api", options, tmp_path_factory.mktemp("start-api") / "log") as port:
        yield port


@pytest.fixture
def ask(port: int) -> Ask:
    """A function that asks the API over HTTP, and follows a redirect.

    `{proxy+}` does not match the empty rest of `/api/trades/` in `sam local`, so that $default redirects there.
    """

    def send(method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        with closing(HTTPConnection(LOOPBACK, port, timeout=60)) as connection:
            connection.request(
                method,
                path,
                json.dumps(body) if body else None,
                {"Content-Type": "application/json"} if body else {},
            )
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            text = response.read()
        if response.status == HTTPStatus.PERMANENT_REDIRECT:
            assert not headers["location"].partition("?")[0].endswith("/")
            return send(method, headers["location"], body)
        return Answer(response.status, headers, json.loads(text))

    return send


@pytest.mark.parametrize("path", ["/api/trades/", "/api/trades"])
def test_a_trade_is_recorded_and_found_as_it_was_sent(ask: Ask, trade: dict[str, Any], path: str) -> None:
    recorded = ask("POST", path, trade)
    assert recorded.status == 201
    assert json.dumps({name: recorded.body[name] for name in trade}) == json.dumps(trade)
    assert recorded.headers["location"].rstrip("/") == f"/api/trades/{recorded.body['id']}"

    found = ask("GET", f"{path}?ticker=MSFT&{MONTH}")
    assert found.status == 200
    assert json.dumps(recorded.body) in [json.dumps(each) for each in found.body]


def test_a_bad_trade_is_refused_with_a_problem_that_names_its_fields(ask: Ask, trade: dict[str, Any]) -> None:
    answer = ask("POST", "/api/trades/", {**trade, "ticker": "msft", "price": "-1"})
    assert answer.status == 400
    assert set(answer.names()) == {"ticker", "price"}


# `sam local` knows the $default route, so that these are our own answers, as they are in AWS.
@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/api/trades/", 405)])
def test_what_is_not_there_is_answered_with_a_problem(ask: Ask, method: str, path: str, status: int) -> None:
    answer = ask(method, path)
    assert answer.status == status
    assert answer.names() == []


def test_the_notification_of_a_trade_is_delivered(ask: Ask, trade: dict[str, Any]) -> None:
    recorded = ask("POST", "/api/trades/", trade).body
    deadline = time.monotonic() + 20
    while ask("GET", f"/api/trades/{recorded['id']}/").body["notified_at"] is None:
        assert time.monotonic() < deadline, "the notification was not delivered"
        time.sleep(0.2)
