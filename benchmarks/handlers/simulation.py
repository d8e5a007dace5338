"""Simulations of a history, each with its whole result; the event says which pairs, and what they come to."""

from functools import cache
from pathlib import Path
from typing import Any

from trading.simulation import engine, histories, results
from trading.simulation.engine import Strategy
from trading.simulation.histories import History

read = cache(histories.read_csv)


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Simulate every pair of the event; 200 when all of them come to the expected equity."""
    data = Path(event["file"]).read_bytes()
    # Bars that were read before are still nothing but bars: what is computed from them is computed anew.
    history = histories.read_csv(data) if event["with_reading"] else History(read(data).bars)
    total = 0.0
    for fast, slow in event["pairs"]:
        done = engine.simulate(history, Strategy(fast, slow))
        if event["with_result"]:
            results.result_of(done, "TEST")
        total += float(done.metrics.final_equity)
    return {"statusCode": 200 if abs(total - event["expected"]) < 0.01 else 409, "total": total}
