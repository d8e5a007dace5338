"""Swissquote: Account, Transactions, CSV."""

from trading.trades.imports.format import Fee, Format, Source

FORMAT = Format(
    name="swissquote",
    title="Swissquote",
    sources=(
        Source(
            "dickwolff/Export-To-Ghostfolio",
            "9f19841037da7026ec45298618bf17a44380122f",
            "samples/swissquote-export.csv",
        ),
    ),
    header=("Date", "Order #", "Transaction", "Symbol", "Quantity", "Unit price", "Currency"),
    # The order number does not identify a trade: an order may be filled in parts.
    columns={
        "date": ["Date"],
        "kind": ["Transaction"],
        "ticker": ["Symbol"],
        "isin": ["ISIN"],
        "quantity": ["Quantity"],
        "price": ["Unit price"],
        "currency": ["Currency"],
    },
    dates=("%d-%m-%Y %H:%M:%S",),
    zone="Europe/Zurich",
    fees=(Fee(["Costs"]),),
)
