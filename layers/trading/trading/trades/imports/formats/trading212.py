"""Trading 212: History, Export."""

from trading.trades.imports.format import Fee, Format, Source

_FEES = (
    "Transaction fee",
    "Finra fee",
    "Stamp duty reserve tax",
    "French transaction tax",
    "Currency conversion fee",
)

FORMAT = Format(
    name="trading212",
    title="Trading 212",
    sources=(
        Source(
            "dickwolff/Export-To-Ghostfolio",
            "489dd1213f36f4a2b6432958680ddcfc699970ba",
            "samples/trading212-export.csv",
        ),
        Source(
            "KapJI/capital-gains-calculator",
            "6fe1bbbf0c7e8be830a1e1298f301d5b8ab94417",
            "tests/trading212/data/2026/inputs/transactions.csv",
        ),
    ),
    header=("Action", "ISIN", "Ticker", "No. of shares", "Price / share"),
    columns={
        "date": ["Time", "Time (UTC)"],
        "kind": ["Action"],
        "ticker": ["Ticker"],
        "isin": ["ISIN"],
        "quantity": ["No. of shares"],
        "price": ["Price / share"],
        "currency": ["Currency (Price / share)"],
        "id": ["ID"],
    },
    buys="(market|limit|stop|stop limit) buy",
    sells="(market|limit|stop|stop limit) sell",
    splits="stock split (open|close)",
    fees=tuple(Fee([name], currency=f"Currency ({name})") for name in _FEES),
    newest_first=False,
)
