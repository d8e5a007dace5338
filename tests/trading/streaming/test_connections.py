import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from trading.streaming import connections, protocol
from trading.streaming.protocol import MessageError

pytestmark = pytest.mark.usefixtures("price_services")


def test_a_ticket_opens_the_socket_once() -> None:
    ticket = connections.issue_ticket("desk-7").ticket
    assert connections.redeem_ticket(ticket) == "desk-7"
    assert not connections.redeem_ticket(ticket)


def test_of_many_who_use_one_ticket_at_once_one_gets_in() -> None:
    ticket = connections.issue_ticket("desk-7").ticket
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda _: connections.redeem_ticket(ticket), range(8))).count("desk-7") == 1


def test_a_ticket_that_is_expired_but_still_there_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = connections.issue_ticket("desk-7").ticket
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert not connections.redeem_ticket(ticket)


@pytest.mark.parametrize("ticket", ["", "x" * 43, "*", "x" * 5_000])
def test_what_is_no_ticket_opens_nothing(ticket: str) -> None:
    assert not connections.redeem_ticket(ticket)


def test_who_connects_follows_everything_until_they_say_otherwise() -> None:
    connections.remember("a=", "desk-7")
    assert connections.followed("a=") == {"*"}
    assert json.loads(connections.answer("a=", '{"action": "subscribe", "tickers": ["AAPL", "MSFT"]}')) == {
        "type": "subscribed",
        "tickers": ["AAPL", "MSFT"],
    }
    connections.answer("a=", '{"action": "unsubscribe", "tickers": ["AAPL"]}')
    assert json.loads(connections.answer("a=", '{"action": "list"}'))["tickers"] == ["MSFT"]
    connections.answer("a=", '{"action": "unsubscribe", "tickers": ["*"]}')
    assert json.loads(connections.answer("a=", '{"action": "list"}'))["tickers"] == []
    assert json.loads(connections.answer("a=", '{"action": "ping"}')) == {"type": "pong"}


def test_what_cannot_be_done_is_answered_with_an_error() -> None:
    connections.remember("a=", "desk-7")
    refused = json.loads(connections.answer("a=", '{"action": "unsubscribe", "tickers": ["AAPL"]}'))
    assert (refused["type"], refused["code"]) == ("error", "follows_all")
    assert json.loads(connections.answer("gone=", '{"action": "list"}'))["code"] == "not_connected"
    assert json.loads(connections.answer("a=", ""))["code"] == "bad_json"


def test_subscriptions_that_come_at_once_are_all_kept() -> None:
    connections.remember("a=", "desk-7")
    connections.change("a=", lambda before: protocol.after_subscribing(before, ["A"]))
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda name: connections.change("a=", lambda before: before | {name}), "BCD"))
    assert connections.followed("a=") == {"A", "B", "C", "D"}


def test_a_connection_that_is_forgotten_or_expired_is_not_among_everyone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a=", "b=", "c="):
        connections.remember(name, "desk-7")
    connections.forget("b=")
    connections.forget("b=")
    assert {each.id for each in connections.scan()} == {"a=", "c="}
    later = time.time() + connections.CONNECTION_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert list(connections.scan()) == []


def test_a_change_that_others_keep_overtaking_is_refused_in_the_end() -> None:
    connections.remember("a=", "desk-7")
    names = iter("ABCDEFGH")

    def overtaken(before: protocol.Subscriptions) -> protocol.Subscriptions:
        name = next(names)
        connections.change("a=", lambda _: frozenset({name}))
        return before

    with pytest.raises(MessageError, match="changed elsewhere"):
        connections.change("a=", overtaken)


@pytest.mark.usefixtures("price_services")
def test_a_subject_has_so_many_connections_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_LIMIT", 2)
    connections.remember("a=", "desk-7")
    connections.remember("b=", "desk-7")
    with pytest.raises(connections.TooManyConnectionsError):
        connections.remember("c=", "desk-7")
    connections.remember("d=", "desk-8")
    connections.forget("a=")
    connections.remember("c=", "desk-7")
    assert {each.id for each in connections.scan()} == {"b=", "c=", "d="}
