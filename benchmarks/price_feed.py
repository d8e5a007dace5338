"""The price feed: the latency from a price's timestamp to its receipt by each of a thousand local clients."""

import json
import selectors
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import pairwise
from statistics import median, quantiles

from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.uri import parse_uri

from benchmarks.measure import OURS, ROOT, Figure, say

CLIENTS = 1_000
ARRAYS = 10  # per round, one per second
ROUNDS = 3
LIMIT_MILLISECONDS = 150
TICKERS = 10
# Sent by a client that requests everything from the beginning and reads nothing, so that its buffers fill up.
ASK_ALL_AGAIN = '{"action":"subscribe","tickers":["*"],"since":{"AAPL":0,"MSFT":0,"NVDA":0,"TSLA":0,"XOM":0}}'
ASKS_PER_SECOND = 15


class Client:
    """A connection, and the number and age in milliseconds of each array that it received."""

    def __init__(self, port: int, *, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", port))
        self.received: list[tuple[int, float]] = []
        self._protocol = ClientProtocol(parse_uri(f"ws://localhost:{port}"))
        self._protocol.send_request(self._protocol.connect())
        self._flush()

    def read(self, known: dict[bytes, tuple[int, float]]) -> None:
        """Read available data; `known` has the number and time of each array that any client has read."""
        data = self.socket.recv(65_536)
        now = time.time()
        if not data:
            raise AssertionError("the feed has dropped a client")
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                payload = bytes(event.data)
                if payload not in known:
                    known[payload] = _number_and_time(payload)
                number, sent = known[payload]
                self.received.append((number, (now - sent) * 1_000))

    def say(self, text: str) -> None:
        """Send a message."""
        self._protocol.send_text(text.encode())
        self._flush()

    def _flush(self) -> None:
        self.socket.sendall(b"".join(self._protocol.data_to_send()))


def figures(_: int) -> Iterator[Figure]:
    """Measure the feed, with everybody reading and with one who does not; rounds take turns."""
    say("  a thousand clients")
    plain: list[list[float]] = []
    beside_stalled: list[list[float]] = []
    lost = 0
    for _number in range(ROUNDS):
        for ages, has_stalled in ((plain, False), (beside_stalled, True)):
            round_ages, round_lost = _round(has_stalled=has_stalled)
            ages.append(round_ages)
            lost += round_lost
    limit = f"<= {LIMIT_MILLISECONDS} ms"
    worst = _p99(plain)
    yield Figure(f"Feed to {CLIENTS:,} clients, p99", _text(plain), limit, worst <= LIMIT_MILLISECONDS)
    worst = _p99(beside_stalled)
    yield Figure("- beside one that does not read", _text(beside_stalled), limit, worst <= LIMIT_MILLISECONDS)
    arrays = 2 * ROUNDS * ARRAYS * CLIENTS
    yield Figure("- arrays lost", f"{lost} of {arrays:,}", "0", lost == 0)


def _round(*, has_stalled: bool) -> tuple[list[float], int]:
    """Return the age of each array at each client, in milliseconds, and how many are missing."""
    with _feed() as port, ExitStack() as stack, selectors.DefaultSelector() as selector:
        clients = [Client(port) for _ in range(CLIENTS)]
        for client in clients:
            stack.callback(client.socket.close)
            selector.register(client.socket, selectors.EVENT_READ, client)
        stalled = Client(port, receive_buffer=4_096) if has_stalled else None
        known: dict[bytes, tuple[int, float]] = {}
        if stalled:
            stack.callback(stalled.socket.close)
            stalled.read(known)  # the handshake only
        _read(selector, known, 2, None)  # the handshakes and the first array
        for client in clients:
            client.received.clear()
        _read(selector, known, ARRAYS, stalled)
        ages = [age for client in clients for _, age in client.received[:ARRAYS]]
        return ages, sum(_missing(client) for client in clients)


def _read(
    selector: selectors.BaseSelector, known: dict[bytes, tuple[int, float]], seconds: float, stalled: Client | None
) -> None:
    """Read for `seconds`, and then until all arrays sent before the end have arrived."""
    end, ask = time.monotonic() + seconds, time.monotonic()
    while time.monotonic() < end:
        for key, _ in selector.select(0.05):
            key.data.read(known)
        if stalled and time.monotonic() > ask:
            stalled.say(ASK_ALL_AGAIN)
            ask += 1 / ASKS_PER_SECOND
    while ready := selector.select(0.2):
        for key, _ in ready:
            key.data.read(known)


def _missing(client: Client) -> int:
    """Return how many arrays a client has missed."""
    gaps = sum(after - before - 1 for (before, _), (after, _) in pairwise(client.received))
    return gaps + max(0, ARRAYS - len(client.received))


def _number_and_time(payload: bytes) -> tuple[int, float]:
    rows = json.loads(payload)
    assert len(rows) == TICKERS
    return rows[0]["seq"], datetime.fromisoformat(rows[0]["timestamp"]).timestamp()


@contextmanager
def _feed() -> Iterator[int]:
    """Run a feed in a separate process, and yield its port."""
    process = subprocess.Popen(
        [OURS, "-m", "local.cli", "feed", "--port", "0", "--interval", "1", "--seed", "benchmark"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,  # Ctrl-C must reach only the parent process
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline().partition("localhost:")[2].partition(",")[0])
    finally:
        process.terminate()
        process.communicate()


def _p99(rounds: list[list[float]]) -> float:
    return median(quantiles(ages, n=100)[98] for ages in rounds)


def _text(rounds: list[list[float]]) -> str:
    return f"{_p99(rounds):.0f} ms (median {median(median(ages) for ages in rounds):.0f} ms)"
