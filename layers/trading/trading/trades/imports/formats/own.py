"""The files of this system: `trades.csv` as written by the exporter, and by this project's predecessor."""

from trading.trades.imports.format import Fee, Format

FORMAT = Format(
    name="trades",
    title="trades.csv of this system",
    sources=(),  # docs/api.md, and the exporter
    header=("ticker", "price", "quantity", "side", "timestamp"),
    columns={
        "date": ["timestamp"],
        "kind": ["side"],
        "ticker": ["ticker"],
        "quantity": ["quantity"],
        "price": ["price"],
        "currency": ["currency"],
        "account": ["account"],
        "id": ["trade_id"],
    },
    buys="buy",
    sells="sell",
    fees=(Fee(["fee"]),),
    ids_are_ours=True,
    newest_first=False,
)
