"""The peer of the analysis: idiomatic pandas with the same columns. Floats and no validation are in its favor."""

from typing import Any

import pandas as pd


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Summarize the event's file; 200 if it has the expected rows."""
    trades = pd.read_csv(
        event["file"],
        dtype={"ticker": "category", "price": "float64", "quantity": "float64", "side": "category"},
        parse_dates=["timestamp"],
        date_format="ISO8601",
        keep_default_na=False,  # NA is a ticker
    ).sort_values("timestamp", kind="stable")
    trades["notional"] = trades["price"] * trades["quantity"]
    groups = trades.groupby("ticker", observed=True)
    summary = groups.agg(
        total_volume=("quantity", "sum"),
        mean_price=("price", "mean"),
        trade_count=("price", "size"),
        notional=("notional", "sum"),
        open=("price", "first"),
        high=("price", "max"),
        low=("price", "min"),
        close=("price", "last"),
    )
    summary["average_price"] = summary["notional"] / summary["total_volume"]
    bought = trades["quantity"].where(trades["side"] == "BUY", 0)
    summary["buy_volume"] = bought.groupby(trades["ticker"], observed=True).sum()
    summary["sell_volume"] = summary["total_volume"] - summary["buy_volume"]
    return {
        "statusCode": 200 if (summary["trade_count"].sum(), len(summary)) == (event["rows"], event["tickers"]) else 500
    }
