"""A straightforward crossover: a loop over the bars that recomputes each average, in floats."""

import csv
import math
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

CASH = 10_000.0
DAYS_OF_A_YEAR = 252


@cache
def read(file: str) -> tuple[list[float], list[float]]:
    """Return the opens and the closes of a CSV."""
    with Path(file).open() as lines:
        rows = list(csv.DictReader(lines))
    return [float(row["open"]) for row in rows], [float(row["close"]) for row in rows]


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Simulate every pair of the event; 200 if the equity is nearly as expected: floats miss ties."""
    opens, closes = read(event["file"])
    total = sum(simulate(opens, closes, fast, slow)[0] for fast, slow in event["pairs"])
    return {"statusCode": 200 if abs(total / event["expected"] - 1) < 0.01 else 409, "total": total}


def simulate(opens: list[float], closes: list[float], fast: int, slow: int) -> tuple[float, float, float]:
    """Return the final equity, the Sharpe ratio and the maximum drawdown."""
    cash, shares = CASH, 0
    equity = []
    was_above = was_below = None
    order = ""
    for i, close in enumerate(closes):
        if order == "buy" and not shares:
            shares = int(cash / opens[i])
            cash -= shares * opens[i]
        elif order == "sell" and shares:
            cash += shares * opens[i]
            shares = 0
        order = ""
        if i >= slow - 1:
            fast_average = sum(closes[i - fast + 1 : i + 1]) / fast
            slow_average = sum(closes[i - slow + 1 : i + 1]) / slow
            above, below = fast_average > slow_average, fast_average < slow_average
            if above and was_above is False:
                order = "buy"
            elif below and was_below is False:
                order = "sell"
            was_above, was_below = above, below
        equity.append(cash + shares * close)

    returns = [later / earlier - 1 for earlier, later in pairwise(equity)]
    average = sum(returns) / len(returns)
    deviation = math.sqrt(sum((each - average) ** 2 for each in returns) / (len(returns) - 1))
    sharpe = average / deviation * math.sqrt(DAYS_OF_A_YEAR) if deviation else 0.0
    peak = drawdown = 0.0
    for value in equity:
        peak = max(peak, value)
        drawdown = max(drawdown, 1 - value / peak)
    return equity[-1], sharpe, drawdown
