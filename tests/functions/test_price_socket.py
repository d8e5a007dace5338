import json
from typing import Any

import pytest

from local.host.template import ROOT
from tests.conftest import PriceServices, context
from trading.streaming import connections

EVENTS = ROOT / "events" / "price_socket"


def invoke(event: str, **changes: Any) -> dict[str, Any]:
    from functions.price_socket.app import handler  # noqa: PLC0415 - its environment is set by the fixtures

    return handler(json.loads((EVENTS / event).read_text()) | changes, context())


CONNECTION = json.loads((EVENTS / "ping.json").read_text())["requestContext"]["connectionId"]


def test_a_ticket_lets_somebody_in_once(price_services: PriceServices) -> None:
    parameters = {"ticket": connections.issue_ticket("desk-7").ticket}
    assert invoke("connect.json", queryStringParameters=parameters) == {"statusCode": 200}
    assert price_services.connections() == {CONNECTION}
    assert invoke("connect.json", queryStringParameters=parameters) == {"statusCode": 401}


@pytest.mark.parametrize("parameters", [{}, {"ticket": ""}, {"ticket": "guessed"}, None])
def test_nobody_gets_in_without_a_ticket(price_services: PriceServices, parameters: dict[str, str] | None) -> None:
    assert invoke("connect.json", queryStringParameters=parameters) == {"statusCode": 401}
    assert price_services.connections() == set()


@pytest.mark.usefixtures("price_services")
def test_every_message_is_answered() -> None:
    connections.remember(CONNECTION, "desk-7")
    answers = [
        json.loads(invoke(f"{name}.json")["body"]) for name in ("subscribe", "unsubscribe", "list", "ping", "unknown")
    ]
    assert [answer["type"] for answer in answers] == ["subscribed", "subscribed", "subscribed", "pong", "error"]
    assert [answer["tickers"] for answer in answers[:3]] == [["AAPL", "MSFT"], ["AAPL"], ["AAPL"]]


def test_who_disconnects_is_forgotten(price_services: PriceServices) -> None:
    connections.remember(CONNECTION, "desk-7")
    assert invoke("disconnect.json") == invoke("disconnect.json") == {"statusCode": 200}
    assert price_services.connections() == set()
