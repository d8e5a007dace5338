import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import jsonschema_rs
import pytest
import yaml
from websockets.asyncio.client import connect

from local.cli import feed_connection, feed_server, reader
from local.cli.feed import Options
from local.cli.feed_server import serving
from local.host import system, template
from local.host.template import ROOT
from trading.prices.alert_rules import Detector
from trading.prices.ticks import Tick, frame
from trading.streaming import protocol
from trading.streaming.protocol import MessageError

DESCRIPTION = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text())
MESSAGES = DESCRIPTION["components"]["messages"]
REQUESTS = {"subscribe", "unsubscribe", "list", "ping"}
NOW = datetime(2025, 6, 3, 12, tzinfo=UTC)
EXAMPLES = [(name, example["payload"]) for name, message in MESSAGES.items() for example in message["examples"]]


def fits(name: str, value: Any) -> bool:
    schema = {**MESSAGES[name]["payload"], "components": DESCRIPTION["components"]}
    return jsonschema_rs.Draft7Validator(schema, validate_formats=True).is_valid(value)


def described(name: str) -> dict[str, Any]:
    """Return the members that a message may have, by its description."""
    schema = DESCRIPTION["components"]["schemas"][MESSAGES[name]["payload"]["$ref"].rpartition("/")[2]]
    members: dict[str, Any] = schema.get("items", schema)["properties"]
    return members


def check(text: str) -> str:
    """Assert that a message of ours is as it is described, without a member more, and return its name."""
    value = json.loads(text)
    name = "prices" if isinstance(value, list) else str(value["type"])
    assert fits(name, value), text
    for each in value if isinstance(value, list) else [value]:
        assert set(each) <= set(described(name)), text
    return name


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from ([part["$ref"]] if "$ref" in part else [])
        part = list(part.values())
    for each in part if isinstance(part, list) else []:
        yield from references(each)


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DESCRIPTION):
        found = DESCRIPTION
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]


def test_every_message_that_is_described_is_said_somewhere() -> None:
    said = [set(channel["messages"]) for channel in DESCRIPTION["channels"].values()]
    assert set.union(*said) == set(MESSAGES)


@pytest.mark.parametrize(("name", "payload"), EXAMPLES)
def test_examples_are_as_described_and_understood(name: str, payload: Any) -> None:
    assert fits(name, payload)
    if name in REQUESTS:
        assert protocol.read_message(json.dumps(payload)).action == name
    elif name == "prices":
        prices = reader.read(json.dumps(payload), NOW)
        assert isinstance(prices, reader.Prices)
        assert prices.ticks
    else:
        assert not isinstance(reader.read(json.dumps(payload), NOW), reader.Prices)


def test_requests_have_the_members_that_the_code_reads() -> None:
    for name, model in (
        ("subscribe", protocol.Subscribe),
        ("unsubscribe", protocol.Unsubscribe),
        ("list", protocol.ListFollowed),
        ("ping", protocol.Ping),
    ):
        assert set(described(name)) == set(model.model_fields)


@pytest.mark.parametrize(
    "message",
    [
        {"action": "subscribe", "tickers": []},
        {"action": "subscribe", "tickers": ["*", "aapl"]},
        {"action": "subscribe", "tickers": ["TOOLONG"]},
        {"action": "subscribe", "tickers": ["**"]},
        {"action": "subscribe", "tickers": "AAPL"},
        {"action": "subscribe", "tickers": ["AAPL"] * 100},
        {"action": "subscribe", "tickers": ["AAPL"] * 101},
        {"action": "subscribe", "tickers": ["AAPL"], "since": {}},
        {"action": "subscribe", "tickers": ["AAPL"], "since": {"brk.b": 0}},
        {"action": "subscribe", "tickers": ["AAPL"], "since": {"AAPL": -1}},
        {"action": "subscribe", "tickers": ["AAPL"], "since": {"AAPL": "1"}},
        {"action": "subscribe", "tickers": ["AAPL"], "since": {"MOCK_A": 1}},
        {"action": "subscribe", "tickers": ["AAPL"], "since": 7},
        {"action": "subscribe"},
        {"action": "unsubscribe", "tickers": ["*"]},
        {"action": "unsubscribe", "tickers": [1]},
        {"action": "list", "and": "more"},
        {"action": "ping"},
        {"action": "Ping"},
        {},
    ],
)
def test_the_code_understands_exactly_what_is_described(message: dict[str, Any]) -> None:
    try:
        protocol.read_message(json.dumps(message))
    except MessageError:
        assert not any(fits(name, message) for name in REQUESTS)
    else:
        assert [name for name in REQUESTS if fits(name, message)] == [message["action"]]


def test_all_that_the_feed_says_is_as_described() -> None:
    said = []

    async def talk() -> None:
        async with serving(Options(interval=0.02, seed="seed"), 0) as feed, connect(feed.url) as client:
            for request in (
                '{"action":"ping"}',
                '{"action":"list"}',
                '{"action":"subscribe","tickers":["*"],"since":{"AAPL":1}}',
                '{"action":"subscribe","tickers":["AAPL"]}',
                '{"action":"subscribe","tickers":["ZZZ"]}',
                "garbage",
            ):
                await client.send(request)
            for _ in range(20):
                said.append(str(await client.recv()))  # noqa: PERF401 - read in order

    asyncio.run(talk())
    of_the_feed = set(DESCRIPTION["channels"]["feed"]["messages"]) - REQUESTS
    assert {check(text) for text in said} == of_the_feed


def test_all_that_the_socket_says_is_as_described() -> None:
    watch = Detector("BRK.B")
    ticks = [Tick("BRK.B", Decimal(price), NOW + timedelta(seconds=n)) for n, price in enumerate(["98.00", "100.10"])]
    [alert] = [watch.update(tick) for tick in ticks][-1].alerts
    said = [frame(ticks), protocol.alerted(alert), protocol.pong(), protocol.subscribed(frozenset({"*"}))]
    said.append(MessageError("busy", "try again").write())
    assert {check(text) for text in said} == set(DESCRIPTION["channels"]["socket"]["messages"]) - REQUESTS
    assert set(json.loads(protocol.alerted(alert))) == set(described("alert"))


def test_the_codes_of_errors_are_those_of_the_code() -> None:
    raised = re.compile(r'MessageError\(\s*"(\w+)"')
    files = [*ROOT.glob("layers/trading/trading/**/*.py"), *ROOT.glob("local/**/*.py")]
    assert {code for file in files for code in raised.findall(file.read_text())} == set(
        described("error")["code"]["enum"]
    )


def test_every_request_has_a_route_of_the_template() -> None:
    routes = {route.key for route in template.read(template.kept()).socket_routes}
    assert routes == REQUESTS | {"$connect", "$disconnect", "$default"}


def test_addresses_and_limits_are_those_of_the_code() -> None:
    servers = {name: server["host"] for name, server in DESCRIPTION["servers"].items()}
    assert servers["feed"] == f"localhost:{feed_server.PORT}"
    assert servers["laptop"] == f"127.0.0.1:{system.SOCKET_PORT}"
    assert DESCRIPTION["components"]["schemas"]["Tickers"]["maxItems"] == protocol.FOLLOW_LIMIT
    limits = f"{feed_connection.MESSAGES_PER_SECOND} messages of {feed_connection.MESSAGE_LIMIT // 1024} KB"
    assert limits in DESCRIPTION["channels"]["feed"]["description"]
