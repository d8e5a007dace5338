"""Charles Schwab: Accounts, History, Export."""

from trading.trades.imports.format import Fee, Format, Source

FORMAT = Format(
    name="schwab",
    title="Charles Schwab",
    sources=(
        Source(
            "dickwolff/Export-To-Ghostfolio",
            "0192c5df1a351c24d0d648f0b904547726fdae5c",
            "samples/schwab-export.csv",
        ),
        Source(
            "redstreet/beancount_reds_importers",
            "2f96d3aeaab557f5d7ec7e07ca85a71a46a3ec42",
            "beancount_reds_importers/importers/schwab/tests/schwab_csv_brokerage/"
            "schwab_csv_brokerage_Transactions_123.csv",
        ),
    ),
    header=("Date", "Action", "Symbol", "Quantity", "Price", "Fees & Comm"),
    columns={
        "date": ["Date"],
        "kind": ["Action"],
        "ticker": ["Symbol"],
        "quantity": ["Quantity"],
        "price": ["Price"],
    },
    buys="buy|reinvest shares",
    sells="sell|sell short",
    splits="stock split|reverse split",
    dates=("%m/%d/%Y",),
    date_part="(?:.* as of )?(.*)",
    zone="America/New_York",
    fees=(Fee(["Fees & Comm"]),),
    currency="USD",
)
