"""Simulation: one run, a sweep of a thousand pairs, and the import time."""

import random
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import services
from benchmarks.measure import OURS as OUR_PYTHON
from benchmarks.measure import PEERS, Figure, Handler, first_answer, say, take_turns
from local.host.gateway import http_event
from trading.simulation import engine, history_files
from trading.simulation.engine import Strategy

OURS = "benchmarks.handlers.simulation.handler"
FUNCTION = "functions.strategy_simulator.app.handler"
PLAIN = "benchmarks.peers.plain_simulation.handler"
PANDAS = "benchmarks.peers.pandas_simulation.handler"

BARS = 8_000
ONE = [(50, 200)]
PAIRS = [(fast, slow) for fast in range(5, 101, 5) for slow in range(105, 305, 4)]


def figures(_: int) -> Iterator[Figure]:
    """Measure simulations; the number of bars does not depend on `rows`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "history.csv"
        file.write_text(_history())
        yield from _one_run(file)
        yield from _sweeps(file)
    yield from _imports()


def _one_run(file: Path) -> Iterator[Figure]:
    say("  one run")
    with Handler(OURS, {}) as ours:
        rounds = take_turns(
            11,
            run=partial(ours.call, _event(file, ONE), 5, 200),
            with_result=partial(ours.call, _event(file, ONE, with_result=True), 5, 200),
            with_reading=partial(ours.call, _event(file, ONE, with_result=True, with_reading=True), 5, 200),
        )
    milliseconds = {name: median(seconds) * 1_000 for name, seconds in rounds.seconds.items()}
    name = f"One 50/200 run over {BARS:,} bars, to its metrics"
    yield Figure(name, f"{milliseconds['run']:.1f} ms", "<= 30 ms", milliseconds["run"] <= 30)
    yield Figure("- to its whole result, with the exact equity of each bar", f"{milliseconds['with_result']:.1f} ms")
    yield Figure("- and from the CSV on, each cell checked", f"{milliseconds['with_reading']:.1f} ms")


def _sweeps(file: Path) -> Iterator[Figure]:
    say(f"  {len(PAIRS):,} pairs")
    event = _event(file, PAIRS)
    with Handler(OURS, {}) as ours, Handler(PLAIN, {}) as plain, Handler(PANDAS, {}, PEERS) as pandas:
        for each in (ours, plain, pandas):
            each.call(_event(file, PAIRS[:1]), 1, 200)  # reads the file
        rounds = take_turns(
            3,
            ours=partial(ours.call, event, 3, 200),
            plain=partial(plain.call, event, 1, 200),
            pandas=partial(pandas.call, event, 3, 200),
        )
    name = f"{len(PAIRS):,} pairs over {BARS:,} bars, against"
    yield rounds.times_as_fast(f"{name} a plain loop that recomputes each average", 20, "ours", "plain")
    yield rounds.times_as_fast(f"{name} pandas", 1, "ours", "pandas")


def _imports() -> Iterator[Figure]:
    say("  imports")
    refused = http_event("GET", "/api/simulations/x/")
    rounds = take_turns(
        7,
        function=partial(first_answer, FUNCTION, services.environment("unused"), refused, 400),
        numpy=lambda: [_import_seconds("numpy")],
        duckdb=lambda: [_import_seconds("duckdb")],
    )
    yield Figure("Cold start of the function to a first answer", f"{median(rounds.seconds['function']) * 1_000:.0f} ms")
    for name in ("numpy", "duckdb"):
        yield Figure(f"- importing {name} alone", f"{median(rounds.seconds[name]) * 1_000:.0f} ms")


def _import_seconds(module: str) -> float:
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    return float(subprocess.run([OUR_PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout)


def _event(
    file: Path, pairs: list[tuple[int, int]], *, with_result: bool = False, with_reading: bool = False
) -> dict[str, Any]:
    """Return the event of a handler, with the expected results of its pairs."""
    history = history_files.read_csv(file.read_bytes())
    equities = [float(engine.simulate(history, Strategy(*pair)).metrics.final_equity) for pair in pairs]
    return {
        "file": str(file),
        "pairs": pairs,
        "expected": sum(equities),
        "with_result": with_result,
        "with_reading": with_reading,
    }


def _history() -> str:
    """Return a CSV of prices in cents, a random walk that is always the same."""
    walk = random.Random(50_200)  # noqa: S311 - prices, not secrets
    price, day = 100.0, date(1990, 1, 1)
    rows = ["date,open,high,low,close,volume"]
    for number in range(BARS):
        opened = price * (1 + walk.gauss(0, 0.003))
        price = max(1.0, price * (1 + walk.gauss(0.0003, 0.01)))
        high, low = max(opened, price), min(opened, price)
        rows.append(f"{day + timedelta(number)},{opened:.2f},{high:.2f},{low:.2f},{price:.2f},1000")
    return "\n".join(rows)
