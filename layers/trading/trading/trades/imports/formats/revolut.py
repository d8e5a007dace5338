"""Revolut: Invest, Statement, account statement for Excel."""

from trading.trades.imports.format import Format, Source

FORMAT = Format(
    name="revolut",
    title="Revolut",
    sources=(
        Source(
            "dickwolff/Export-To-Ghostfolio",
            "295f323dd8c3b49488ba19e428487b2ee43ef91f",
            "samples/revolut-invest-export.csv",
        ),
    ),
    header=("Date", "Ticker", "Type", "Quantity", "Price per share", "Currency"),
    columns={
        "date": ["Date"],
        "kind": ["Type"],
        "ticker": ["Ticker"],
        "quantity": ["Quantity"],
        "price": ["Price per share"],
        "currency": ["Currency"],
    },
    buys="buy - .*",
    sells="sell - .*",
    splits="stock split",
    decimal_mark=None,  # the sample uses both
    newest_first=False,
)
