"""HTTP: requests a second and their times, with one client and several, of trades_api and its peer.

Both are behind the same server (`http_server.py`), which takes the place of API Gateway and costs both the same.
"""

import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

from benchmarks import measure, services
from benchmarks.measure import OURS, PEERS, ROOT, Figure, say
from benchmarks.trades import OURS as OUR_HANDLER
from benchmarks.trades import PEER as PEER_HANDLER
from benchmarks.trades import TRADE
from local.host.gateway import http_event

PROCESSES = 2
CLIENTS = (1, 4, 16)
SECONDS = 2.0
ROUNDS = 5
PAGE = 100
SETTLED_ROWS = 1_000


def figures(_: int) -> Iterator[Figure]:
    """Let clients record trades and read a page of them, by turns from us and from the peer."""
    with services.postgres() as server, services.sqs() as queue:
        environment = services.environment(services.new_database(server, "http"), queue)
        with (
            _served(OUR_HANDLER, environment, OURS) as ours,
            _served(PEER_HANDLER, environment, PEERS) as peer,
        ):
            _load(ours, _post(), 1, rows=SETTLED_ROWS)
            for name, request in (("POST", _post()), (f"GET of {PAGE}", _get())):
                for clients in CLIENTS:
                    say(f"  {name}, {clients} clients")
                    taken: dict[int, list[_Load]] = {ours: [], peer: []}
                    for _round in range(measure.rounds(ROUNDS)):
                        for port, loads in taken.items():
                            loads.append(_load(port, request, clients))
                    ratio = median(
                        mine.per_second / theirs.per_second
                        for mine, theirs in zip(taken[ours], taken[peer], strict=True)
                    )
                    value = f"{_wording(taken[ours])}; the peer {_wording(taken[peer])}: {ratio:.1f} x as many"
                    yield Figure(f"{name}, {clients} client{'s' if clients > 1 else ''}", value)


class _Load:
    """What some clients got: how many answers, and how long each took."""

    def __init__(self, seconds: float, times: list[float]) -> None:
        self.per_second = len(times) / seconds
        cuts = quantiles(times, n=100)
        self.p50, self.p99 = cuts[49], cuts[98]


def _wording(loads: list[_Load]) -> str:
    per_second, p50, p99 = (median(getattr(load, name) for load in loads) for name in ("per_second", "p50", "p99"))
    return f"{per_second:,.0f}/s (p50 {1_000 * p50:.1f} ms, p99 {1_000 * p99:.1f} ms)"


@contextmanager
def _served(handler: str, environment: Mapping[str, str], python: Path) -> Iterator[int]:
    process = subprocess.Popen(
        [python, "-P", ROOT / "benchmarks" / "http_server.py", handler, str(PROCESSES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment},
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    events = {
        "GET": http_event("GET", "/api/trades/", query=f"limit={PAGE}"),
        "POST": http_event("POST", "/api/trades/", headers=[("Content-Type", "application/json")], body=b""),
    }
    print(json.dumps(events), file=process.stdin, flush=True)
    try:
        yield int(process.stdout.readline())
    finally:
        process.communicate()


def _post() -> bytes:
    body = json.dumps(TRADE)
    return f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def _get() -> bytes:
    return b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def _load(port: int, request: bytes, clients: int, rows: int | None = None) -> _Load:
    """Have clients send a request again and again, for some seconds or so many times."""
    started = time.perf_counter()

    def ask(_: int) -> list[float]:
        times: list[float] = []
        with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as answers:
            while len(times) < rows if rows else time.perf_counter() - started < SECONDS:
                sent = time.perf_counter()
                connection.sendall(request)
                if not answers.readline().startswith(b"HTTP/1.1 20"):
                    raise RuntimeError(answers.read1())
                headers = dict(line.split(b": ", 1) for line in iter(answers.readline, b"\r\n"))
                answers.read(int(headers[b"Content-Length"]))
                times.append(time.perf_counter() - sent)
        return times

    with ThreadPoolExecutor(clients) as threads:
        times = [each for client in threads.map(ask, range(clients)) for each in client]
    return _Load(time.perf_counter() - started, times)
