"""`python -m tests.torture.soak HOURS`, or `make soak HOURS=2`: what processes come to need under light load.

Each process's own memory, open files and threads are read every half minute. After a warm-up of a quarter of the time,
or an hour, the slope of each is the least-squares line's: the smaller one of both halves, for what grows once, as where
a library is loaded, is no leak. The memory so far is printed every five minutes.
"""

import sys
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from statistics import linear_regression

import psutil

from tests.torture.system import System, installed
from tests.torture.under_fire import Client

SAMPLE_SECONDS = 30
PRINTED = 10  # each of so many samples
PAUSE_SECONDS = 0.5
SAMPLES = 4  # at least, for the slopes of two halves
LIMIT = 2.0  # MB an hour
ROW = "{:<36}{:>9}{:>9}{:>11}{:>9}{:>11}"


@dataclass(frozen=True)
class Sample:
    """What a process needed at a moment, in hours since the start."""

    hours: float
    megabytes: float  # of its own
    files: int
    threads: int


def soak(system: System, hours: float) -> dict[str, list[Sample]]:
    """Use a system for so many hours, and return the samples of its processes."""
    started, samples, end = time.monotonic(), defaultdict(list), threading.Event()
    clients = [Client(system, f"soak-{number}", 0) for number in range(2)]
    with ThreadPoolExecutor() as threads:
        works = [threads.submit(clients[0].write, end, PAUSE_SECONDS), threads.submit(publish, system, end)]
        works.append(threads.submit(read, clients[1], end))
        for number in count():
            if (passed := (time.monotonic() - started) / 3_600) >= hours:
                break
            now = sampled(system, passed)
            for name, sample in now.items():
                samples[name].append(sample)
            if number % PRINTED == 0:
                each = ", ".join(f"{name} {sample.megabytes:.1f} MB" for name, sample in sorted(now.items()))
                print(f"after {passed:.2f} h: {each}", flush=True)
            time.sleep(SAMPLE_SECONDS)
            for client in clients:
                client.calls.clear()
        end.set()
    for work in works:
        work.result()
    return samples


def sampled(system: System, hours: float) -> dict[str, Sample]:
    """Return what each process needs now."""
    samples = {}
    for name, process in system.processes().items():
        with suppress(psutil.Error):  # it has ended
            own = process.memory_full_info().uss / 1e6
            samples[name] = Sample(hours, own, process.num_fds(), process.num_threads())
    return samples


def read(client: Client, end: threading.Event) -> None:
    """Read a page of trades, and positions."""
    while not end.wait(PAUSE_SECONDS):
        client.read_page()
        client.read_positions()


def publish(system: System, end: threading.Event) -> None:
    """Publish a price, sometimes one that alerts."""
    number = 0
    while not end.wait(PAUSE_SECONDS):
        number += 1
        timestamp = (datetime.now(UTC) - timedelta(milliseconds=1)).isoformat()
        tick = {"ticker": "AAPL", "price": "103" if number % 60 == 0 else "100", "timestamp": timestamp}
        system.ask("POST", "/api/prices", {"prices": [tick]})


def slopes(samples: dict[str, list[Sample]], hours: float) -> tuple[list[str], bool]:
    """Return a table of what grew after the warm-up, and whether any process's memory grew too fast."""
    warm = min(1, hours / 4)
    lines, grows = [ROW.format("process", "MB", "MB/h", "files", "files/h", "threads/h")], False
    for name, all_of in sorted(samples.items()):
        some = [sample for sample in all_of if sample.hours >= warm]
        if len(some) < SAMPLES or some[-1].hours - some[0].hours < (hours - warm) / 2:
            continue  # it was started late, or ended early
        by = {unit: _slope(some, unit) for unit in ("megabytes", "files", "threads")}
        last = some[-1]
        lines.append(
            ROW.format(
                name,
                f"{last.megabytes:.1f}",
                f"{by['megabytes']:+.2f}",
                last.files,
                f"{by['files']:+.1f}",
                f"{by['threads']:+.1f}",
            )
        )
        grows = grows or by["megabytes"] > LIMIT
    return lines, grows


def _slope(samples: list[Sample], unit: str) -> float:
    middle = len(samples) // 2
    halves = [(sample.hours, getattr(sample, unit)) for sample in samples]
    return min(linear_regression(*zip(*half, strict=True)).slope for half in (halves[:middle], halves[middle:]))


def main(hours: float) -> int:
    """Soak a system, and say what its processes came to need."""
    with installed() as system:
        # The first start deploys, after which AWS's part holds so much free memory that no leak would be seen.
        system.start()
        system.stop()
        system.start()
        samples = soak(system, hours)
    lines, grows = slopes(samples, hours)
    said = f"A process grows by more than {LIMIT:g} MB an hour." if grows else f"None grows by {LIMIT:g} MB an hour."
    print("\n".join([*lines, said]))
    return 1 if grows else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
