"""The loop of a typical script: the whole body in memory, a list of dicts, floats, no validation.

It computes only the volume and the VWAP, which is in its favor.
"""

import csv
import io
from pathlib import Path
from typing import Any


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Sum the event's file by ticker; 200 if it has the expected rows."""
    body = Path(event["file"]).read_bytes().decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(body)))
    totals: dict[str, dict[str, float]] = {}
    for row in rows:
        total = totals.setdefault(row["ticker"], {"volume": 0.0, "value": 0.0})
        price, quantity = float(row["price"]), float(row["quantity"])
        total["volume"] += quantity
        total["value"] += price * quantity
    averages = {ticker: total["value"] / total["volume"] for ticker, total in totals.items()}
    return {"statusCode": 200 if (len(rows), len(averages)) == (event["rows"], event["tickers"]) else 500}
