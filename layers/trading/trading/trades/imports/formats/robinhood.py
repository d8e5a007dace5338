"""Robinhood: Account, Reports and statements, Generate report."""

from trading.trades.imports.format import Format, Source

FORMAT = Format(
    name="robinhood",
    title="Robinhood",
    sources=(
        Source(
            "acarlson98/rhParser",
            "bb3dcf0fc3b01796e28ad8d017ce606562e78aa1",
            "Robinhood Dec 2023.csv",
        ),
    ),
    header=("Activity Date", "Instrument", "Trans Code", "Quantity", "Price"),
    columns={
        "date": ["Activity Date"],
        "kind": ["Trans Code"],
        "ticker": ["Instrument"],
        "quantity": ["Quantity"],
        "price": ["Price"],
    },
    buys="buy",
    sells="sell",
    splits="spl",
    dates=("%m/%d/%Y",),
    zone="America/New_York",
    currency="USD",
)
