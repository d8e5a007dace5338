"""The laptop's system: how soon `make start` is ready, what it holds in memory, and what a tour leaves."""

import json
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks import measure
from benchmarks.measure import OURS, Figure, megabytes, say
from local.host.system import LOOPBACK, free_port
from local.tools.checkout import copied

STARTS = 5
START_SECONDS = 60
SETTLE_SECONDS = 5  # the mock market wakes what works on prices
TRADE = {"ticker": "MSFT", "price": "310.50", "quantity": 50, "side": "BUY", "timestamp": "2025-06-03T12:00:00Z"}
READY = b"Ready after"


def figures(_: int) -> Iterator[Figure]:
    """Start the system several times, and take the tour of the README on the last of them."""
    with checkout() as folder:
        say("  the first start, which makes the database and the services")
        with started(folder) as (seconds, _system, _port):
            yield Figure("First start, until it is ready", f"{seconds:.1f} s")
        say("  later starts")
        taken = []
        starts = measure.rounds(STARTS)
        for _ in range(starts):
            with started(folder) as (seconds, system, port):
                taken.append(seconds)
                if len(taken) < starts:
                    continue
                time.sleep(SETTLE_SECONDS)
                before, _parts = _memory(system)
                _tour(folder, port)
                after, parts = _memory(system)
        yield Figure("Later starts, until it is ready", f"{median(taken):.1f} s", "<= 2 s", median(taken) <= 2)
        yield Figure(f"Memory of all processes, {SETTLE_SECONDS} s later", megabytes(before))
        yield Figure("- after the tour of the README", megabytes(after), "<= 500 MB", after <= 500e6)
        for name, (count, size) in parts.items():
            yield Figure(f"- - {name} ({count})", megabytes(size))


@contextmanager
def checkout() -> Iterator[Path]:
    """A copy of what a system needs of this checkout, to be removed with all that it leaves."""
    folder = Path(tempfile.mkdtemp(prefix="trading-laptop-"))
    folder.chmod(0o755)
    with copied(folder):
        yield folder


@contextmanager
def started(folder: Path) -> Iterator[tuple[float, psutil.Process, int]]:
    """Run the system, and yield the seconds until it said that it is ready, its process and its port."""
    port = free_port(0, [LOOPBACK])
    console = folder / "console.txt"
    started = time.perf_counter()
    with console.open("wb") as output:
        process = subprocess.Popen(
            [OURS, "-m", "local"],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "PORT": str(port), "PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        while READY not in console.read_bytes():
            if process.poll() is not None or time.perf_counter() - started > START_SECONDS:
                raise RuntimeError(console.read_text())
            time.sleep(0.01)
        yield time.perf_counter() - started, psutil.Process(process.pid), port
    finally:
        process.terminate()
        process.wait()


def ask(url: str, path: str, body: object = None) -> Any:
    """Send a system a request, and return its answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})  # noqa: S310 - our own
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - the same
        return json.load(answer)


def _tour(checkout: Path, port: int) -> None:
    """Do what the README shows, in its order."""
    url = f"http://{LOOPBACK}:{port}"

    def trading(*arguments: str) -> None:
        subprocess.run([OURS, "-m", "local.cli", *arguments], cwd=checkout, check=True, stdout=subprocess.DEVNULL)

    ask(url, "/api/trades/", TRADE)
    ask(url, "/api/trades?ticker=MSFT&start_date=2025-06-01&end_date=2025-06-03")
    ask(url, "/api/trades/1/void", {"reason": "wrong account"})
    trading("buy", "MSFT", "50", "310.50")
    trading("sell", "MSFT", "20", "320")
    trading("positions")
    trading("upload", "events/2024/05/15/trades.csv", "--date", "2024-05-15")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        time.sleep(SETTLE_SECONDS)  # a person asks when it is analyzed, not while it is
        try:
            ask(url, "/api/analyses/2024-05-15")
        except OSError:
            continue
        break
    ask(url, "/api/alert-rules", {"ticker": "AAPL", "kind": "fall", "percent": "3", "window_seconds": 300})
    ask(url, "/api/prices/AAPL/averages")
    ask(url, "/api/alerts")
    ask(url, "/api/health")


def _memory(system: psutil.Process) -> tuple[float, dict[str, tuple[int, float]]]:
    """Return what all processes hold together, what they share counted once, and the part of each kind."""
    parts: dict[str, tuple[int, float]] = {}
    for process in [system, *system.children(recursive=True)]:
        line = " ".join(process.cmdline())
        names = {"runtime": "functions", "aws_server": "AWS's services", "postgres": "PostgreSQL"}
        name = next((meaning for part, meaning in names.items() if part in line), "the host")
        size = _shared_fairly(process.pid)
        count, whole = parts.get(name, (0, 0))
        parts[name] = (count + 1, whole + size)
    return sum(size for _, size in parts.values()), parts


def _shared_fairly(pid: int) -> float:
    """Return the bytes of a process's memory, each page divided by how many processes have it (Linux's PSS)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
