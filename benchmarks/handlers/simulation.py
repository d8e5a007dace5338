"""Simulations of a history with their complete results; the event has the pairs and the expected equity."""

from functools import cache
from pathlib import Path
from typing import Any

from trading.simulation import engine, history_files, results
from trading.simulation.bars import History
from trading.simulation.engine import Strategy

read = cache(history_files.read_csv)


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Simulate every pair of the event; 200 if all of them have the expected equity."""
    data = Path(event["file"]).read_bytes()
    # Even with bars that are already read, a new History recomputes everything derived from them.
    history = history_files.read_csv(data) if event["with_reading"] else History(read(data).bars)
    total = 0.0
    for fast, slow in event["pairs"]:
        done = engine.simulate(history, Strategy(fast, slow))
        if event["with_result"]:
            results.result_of(done, "TEST")
        total += float(done.metrics.final_equity)
    return {"statusCode": 200 if abs(total - event["expected"]) < 0.01 else 409, "total": total}
