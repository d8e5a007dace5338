"""The peer of positions: idiomatic pandas on cumulative quantities. Floats and no checkpoints are in its favor."""

import os
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import create_engine, text

engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://"))
TRADES = text(
    "select side, quantity::float8, price::float8, fee::float8 from trades"
    " where ticker = :ticker order by timestamp, id"
)


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Compute the position of the event's ticker; 200 if it has one."""
    with engine.connect() as connection:
        trades = pd.read_sql(TRADES, connection, params={"ticker": event["ticker"]})
    bought, sold = trades[trades["side"] == "BUY"], trades[trades["side"] == "SELL"]
    until_bought, until_sold = bought["quantity"].cumsum().to_numpy(), sold["quantity"].cumsum().to_numpy()
    met = min(until_bought[-1], until_sold[-1])
    # A match ends where a trade of either side ends.
    ends = np.unique(np.concatenate([until_bought, until_sold]))
    ends = ends[ends <= met]
    lengths = np.diff(ends, prepend=0.0)
    buy, sell = np.searchsorted(until_bought, ends), np.searchsorted(until_sold, ends)
    paid = (bought["price"] + bought["fee"] / bought["quantity"]).to_numpy()[buy]
    received = (sold["price"] - sold["fee"] / sold["quantity"]).to_numpy()[sell]
    profit = float((lengths * (received - paid)).sum())
    return {"statusCode": 200 if len(trades) else 404, "realized_profit": profit}
