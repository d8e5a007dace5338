import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
from botocore.exceptions import ClientError

from tests.conftest import PriceServices
from trading.core import aws
from trading.prices.alert_rules import Alert
from trading.prices.ticks import Tick
from trading.streaming import broadcasts, connections
from trading.streaming.broadcasts import Broadcast, Posted

NOON = datetime(2025, 6, 3, 12, tzinfo=UTC)
RISE = Alert("id", "AAPL", Decimal("100.10"), NOON, Decimal("98.00"), NOON, Decimal("2.14"))


def tick(ticker: str, price: str, seconds: float = 0) -> Tick:
    return Tick(ticker, Decimal(price), NOON + timedelta(seconds=seconds))


def broadcast(*ticks: Tick, alerts: tuple[Alert, ...] = ()) -> Broadcast:
    return Broadcast("prices.broadcast.v1", list(ticks), list(alerts))


class Sockets:
    """API Gateway's `@connections`: who is not there is gone, and some never answer."""

    def __init__(self) -> None:
        self.heard: dict[str, list[str]] = {}
        self.mute: set[str] = set()
        self.silence = threading.Event()

    def open(self, connection_id: str, *followed: str) -> None:
        self.heard[connection_id] = []
        connections.remember(connection_id, "desk-7")
        if followed:
            connections.change(connection_id, lambda _: frozenset(followed))

    def take(self, connection_id: str, text: str) -> int:
        if connection_id in self.mute:
            self.silence.wait(10)
        if connection_id not in self.heard:
            return 410
        self.heard[connection_id].append(text)
        return 200


@pytest.fixture
def there(price_services: PriceServices, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sockets]:
    """Sockets that can be posted to, over HTTP."""
    del price_services
    there = Sockets()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["content-length"])).decode()
            status = there.take(unquote(self.path.removeprefix("/live/@connections/")), text)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128  # the default of 5 drops connections when 32 threads post at once

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setenv("SOCKETS_URL", f"http://127.0.0.1:{server.server_port}/live")
        yield there
        there.silence.set()
        server.shutdown()


def test_everybody_gets_what_they_follow_in_one_frame_and_alerts_after_it(there: Sockets) -> None:
    there.open("all=")
    there.open("apple=", "AAPL")
    there.open("nothing=", "IBM")
    ticks = [tick("AAPL", "100.10"), tick("MSFT", "410.50")]
    assert broadcasts.post([broadcast(*ticks, alerts=(RISE,))], 10) == Posted(2, 0, 0)
    prices, alert = there.heard["all="]
    assert prices == (
        '[{"ticker":"AAPL","price":100.10,"timestamp":"2025-06-03T12:00:00Z"},'
        '{"ticker":"MSFT","price":410.50,"timestamp":"2025-06-03T12:00:00Z"}]'
    )
    assert json.loads(alert)["type"] == "alert"
    assert [json.loads(frame) for frame in there.heard["apple="]] == [json.loads(prices)[:1], json.loads(alert)]
    assert there.heard["nothing="] == []


def test_of_several_broadcasts_each_client_gets_the_newest_prices_once(there: Sockets) -> None:
    there.open("all=")
    broadcasts.post([broadcast(tick("A", "2", 2)), broadcast(tick("A", "1", 1), tick("B", "1"))], 10)
    [frame] = there.heard["all="]
    assert [(each["ticker"], each["price"]) for each in json.loads(frame)] == [("A", 2), ("B", 1)]


def connected_for(connection_id: str, seconds: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        then = time.time() - seconds
        patch.setattr(time, "time", lambda: then)
        connections.remember(connection_id, "desk-7")


def test_who_is_gone_is_forgotten_and_the_others_hear(there: Sockets, price_services: PriceServices) -> None:
    there.open("here=")
    connected_for("gone=", 60)
    assert broadcasts.post([broadcast(tick("A", "1"))], 10) == Posted(1, 1, 0)
    assert price_services.connections() == {"here="}
    assert len(there.heard["here="]) == 1


@pytest.mark.usefixtures("there")
def test_whose_socket_is_still_being_opened_is_kept_though_api_gateway_says_gone(price_services: PriceServices) -> None:
    connected_for("young=", 5)
    assert broadcasts.post([broadcast(tick("A", "1"))], 10) == Posted(0, 0, 1)
    assert price_services.connections() == {"young="}


def test_a_table_that_forgets_nobody_keeps_nobody_from_hearing(there: Sockets, monkeypatch: pytest.MonkeyPatch) -> None:
    def throttled(_: str) -> bool:
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "DeleteItem")

    there.open("here=")
    connected_for("gone=", 60)
    monkeypatch.setattr(connections, "forget_gone", throttled)
    assert broadcasts.post([broadcast(tick("A", "1"))], 10) == Posted(1, 0, 1)


def test_who_follows_none_of_it_is_not_posted_to(there: Sockets) -> None:
    there.open("other=", "IBM")
    assert broadcasts.post([broadcast(tick("A", "1"))], 10) == Posted(0, 0, 0)


def test_when_the_time_is_up_nobody_else_is_posted_to(there: Sockets) -> None:
    there.open("here=")
    assert broadcasts.post([broadcast(tick("A", "1"))], -1) == Posted(0, 0, 1)
    assert there.heard["here="] == []


def test_between_two_frames_to_one_client_the_time_may_be_up(there: Sockets, monkeypatch: pytest.MonkeyPatch) -> None:
    there.open("slow=")
    now = [0.0]
    monkeypatch.setattr(broadcasts, "time", SimpleNamespace(monotonic=lambda: now[0]))
    take = there.take

    def take_slowly(connection_id: str, text: str) -> int:
        now[0] += 0.2
        return take(connection_id, text)

    monkeypatch.setattr(there, "take", take_slowly)
    assert broadcasts.post([broadcast(tick("AAPL", "100.10"), alerts=(RISE,) * 10)], 0.3) == Posted(0, 0, 1)
    assert len(there.heard["slow="]) == 2


def test_who_does_not_answer_holds_up_nobody_and_is_not_forgotten(
    there: Sockets, price_services: PriceServices
) -> None:
    for number in range(12):
        there.open(f"{number}=")
    there.mute = {"7="}
    assert broadcasts.post([broadcast(tick("A", "1"))], 10) == Posted(11, 0, 1)
    assert len(price_services.connections()) == 12


@pytest.mark.usefixtures("there")
def test_nobody_there_is_no_fault() -> None:
    assert broadcasts.post([broadcast(tick("A", "1"))], 10) == Posted(0, 0, 0)


def test_a_queue_that_is_away_raises_nothing(price_services: PriceServices, monkeypatch: pytest.MonkeyPatch) -> None:
    broadcasts.send([tick("A", "1")], [RISE])
    [sent] = price_services.broadcast()
    assert broadcasts.read_message(json.dumps(sent)) == broadcast(tick("A", "1"), alerts=(RISE,))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    aws.sqs.cache_clear()
    broadcasts.send([tick("A", "1")], [RISE])
    assert price_services.broadcast() == []
