"""Simulations of a history, each with its whole result; the event says which pairs, and what they come to."""

from functools import cache
from pathlib import Path
from typing import Any

from trading.simulation import engine, history_files, results
from trading.simulation.bars import History
from trading.simulation.engine import Strategy

read = cache(history_files.read_csv)


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Simulate every pair of the event; 200 when all of them come to the expected equity."""
    data = Path(event["file"]).read_bytes()
    # Bars that were read before are still nothing but bars: what is computed from them is computed anew.
    history = history_files.read_csv(data) if event["with_reading"] else History(read(data).bars)
    total = 0.0
    for fast, slow in event["pairs"]:
        done = engine.simulate(history, Strategy(fast, slow))
        if event["with_result"]:
            results.result_of(done, "TEST")
        total += float(done.metrics.final_equity)
    return {"statusCode": 200 if abs(total - event["expected"]) < 0.01 else 409, "total": total}
