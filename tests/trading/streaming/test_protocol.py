import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from trading.prices.alert_rules import Alert
from trading.streaming import protocol
from trading.streaming.protocol import ListFollowed, MessageError, Ping, Subscribe, Unsubscribe, read_message

ALL, NONE = frozenset({"*"}), frozenset[str]()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"action": "subscribe", "tickers": ["AAPL"]}', Subscribe(action="subscribe", tickers=["AAPL"])),
        ('{"action": "subscribe", "tickers": ["*"], "more": 1}', Subscribe(action="subscribe", tickers=["*"])),
        (
            '{"action": "subscribe", "tickers": ["brk.b"], "since": {"BRK.B": 3}}',
            Subscribe(action="subscribe", tickers=["BRK.B"], since={"BRK.B": 3}),
        ),
        ('{"action": "unsubscribe", "tickers": ["A"]}', Unsubscribe(action="unsubscribe", tickers=["A"])),
        ('{"action": "list"}', ListFollowed(action="list")),
        ('{"action": "ping"}', Ping(action="ping")),
    ],
)
def test_a_message_is_read(text: str, message: object) -> None:
    assert read_message(text) == message


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("hello", "bad_json", "not JSON"),
        ("[" * 100_000, "bad_json", "nested too deep"),
        ("[]", "bad_message", ""),
        ('"ping"', "bad_message", ""),
        ("{}", "unknown_action", "subscribe, unsubscribe, list or ping"),
        ('{"action": "buy"}', "unknown_action", "subscribe, unsubscribe, list or ping"),
        ('{"action": ["ping"]}', "unknown_action", "subscribe, unsubscribe, list or ping"),
        ('{"action": "subscribe"}', "bad_message", "tickers: Field required"),
        ('{"action": "subscribe", "tickers": []}', "bad_message", "tickers"),
        ('{"action": "subscribe", "tickers": "AAPL"}', "bad_message", "tickers"),
        (
            json.dumps({"action": "subscribe", "tickers": ["A", "apple inc"]}),
            "bad_message",
            r"tickers.1: String should match pattern '^(\*|[A-Z]{1,5}([.-][A-Z]{1,4})?)$'",
        ),
        ('{"action": "subscribe", "tickers": ["A"], "since": {"A": -1}}', "bad_message", "since.A"),
        (json.dumps({"action": "subscribe", "tickers": ["A"] * 101}), "bad_message", "tickers"),
    ],
)
def test_a_message_that_is_none_is_answered_with_a_code_and_what_is_wrong(text: str, code: str, words: str) -> None:
    with pytest.raises(MessageError) as refusal:
        read_message(text)
    answer = json.loads(refusal.value.write())
    assert (answer["type"], answer["code"]) == ("error", code)
    assert words in answer["message"]


def test_names_replace_everything_and_everything_replaces_names() -> None:
    assert protocol.after_subscribing(ALL, ["B", "A"]) == {"A", "B"}
    assert protocol.after_subscribing(frozenset({"A"}), ["B"]) == {"A", "B"}
    assert protocol.after_subscribing(frozenset({"A"}), ["*", "B"]) == ALL
    assert protocol.after_subscribing(NONE, ["A"]) == {"A"}


def test_unsubscribing_takes_names_away_or_everything() -> None:
    assert protocol.after_unsubscribing(frozenset({"A", "B"}), ["A", "C"]) == {"B"}
    assert protocol.after_unsubscribing(ALL, ["*"]) == NONE
    assert protocol.after_unsubscribing(frozenset({"A"}), ["*"]) == NONE
    with pytest.raises(MessageError, match="subscribe to those that you want"):
        protocol.after_unsubscribing(ALL, ["A"])


def test_a_client_follows_a_hundred_names_at_most() -> None:
    names = frozenset(f"A.{chr(65 + number)}" for number in range(26)) | {f"{chr(65 + n)}" for n in range(26)}
    assert len(names) == 52
    more = {f"{first}{second}" for first in "ABCD" for second in "ABCDEFGHIJKL"}
    assert len(protocol.after_subscribing(names, more)) == 100
    with pytest.raises(MessageError, match="100"):
        protocol.after_subscribing(names | more, ["ZZ"])


def test_a_client_hears_of_what_it_follows() -> None:
    assert protocol.follows(ALL, "A")
    assert protocol.follows(frozenset({"A"}), "A")
    assert not protocol.follows(frozenset({"A"}), "B")
    assert not protocol.follows(NONE, "A")


def test_answers_are_objects_with_a_type() -> None:
    assert json.loads(protocol.subscribed(frozenset({"B", "A"}))) == {"type": "subscribed", "tickers": ["A", "B"]}
    assert json.loads(protocol.pong()) == {"type": "pong"}
    noon = datetime(2025, 6, 3, 12, tzinfo=UTC)
    alert = Alert("id", "AAPL", Decimal("100.10"), noon, Decimal("98.00"), noon, Decimal("2.14"))
    assert json.loads(protocol.alerted(alert)) == {
        "type": "alert",
        "id": "id",
        "ticker": "AAPL",
        "price": "100.10",
        "timestamp": "2025-06-03T12:00:00Z",
        "low_price": "98.00",
        "low_timestamp": "2025-06-03T12:00:00Z",
        "rise_percent": "2.14",
        "high_price": None,
        "high_timestamp": None,
        "fall_percent": None,
        "rule": {
            "id": 1,
            "ticker": "*",
            "kind": "rise",
            "percent": "2",
            "window_seconds": 60,
            "price": None,
            "once": False,
        },
    }
