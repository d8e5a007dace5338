"""The crossover with pandas: rolling means, vectorized crosses and statistics, and a loop over the trades only."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

CASH = 10_000.0
DAYS_OF_A_YEAR = 252


@cache
def read(file: str) -> pd.DataFrame:
    """Return the bars of a CSV."""
    return pd.read_csv(file, usecols=["open", "close"])


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Simulate every pair of the event; 200 if the equity is nearly as expected: floats miss ties."""
    bars = read(event["file"])
    total = sum(simulate(bars, fast, slow)[0] for fast, slow in event["pairs"])
    return {"statusCode": 200 if abs(total / event["expected"] - 1) < 0.01 else 409, "total": total}


def simulate(bars: pd.DataFrame, fast: int, slow: int) -> tuple[float, float, float]:
    """Return the final equity, the Sharpe ratio and the maximum drawdown."""
    fast_average, slow_average = bars["close"].rolling(fast).mean(), bars["close"].rolling(slow).mean()
    difference = (fast_average - slow_average).iloc[slow - 1 :].round(9)
    before = difference.shift(1)
    up, down = (difference > 0) & (before <= 0), (difference < 0) & (before >= 0)
    crossed = difference.index[up | down]
    opens = bars["open"].to_numpy()

    cash, shares = CASH, 0
    cashes, holdings = [cash], [shares]
    ends = []
    for bar in crossed:
        if bar + 1 == len(bars):
            break
        price = opens[bar + 1]
        if up[bar] and not shares:
            shares = int(cash / price)
            cash -= shares * price
        elif down[bar] and shares:
            cash += shares * price
            shares = 0
        else:
            continue
        ends.append(bar + 1)
        cashes.append(cash)
        holdings.append(shares)
    lengths = np.diff([0, *ends, len(bars)])
    equity = pd.Series(np.repeat(cashes, lengths)) + np.repeat(holdings, lengths) * bars["close"]

    returns = equity.pct_change().dropna()
    deviation = returns.std()
    sharpe = returns.mean() / deviation * DAYS_OF_A_YEAR**0.5 if deviation else 0.0
    drawdown = (1 - equity / equity.cummax()).max()
    return float(equity.iloc[-1]), float(sharpe), float(drawdown)
