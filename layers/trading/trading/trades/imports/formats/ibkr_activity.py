"""Interactive Brokers: Performance & Reports, Statements, Activity as CSV."""

from trading.trades.imports.format import Fee, Format, Source

FORMAT = Format(
    name="ibkr-activity",
    title="Interactive Brokers, activity statement",
    sources=(
        Source(
            "JohanLarsson/IbkrToSru",
            "272e28a998f397291cf6e11600657a1996c018e7",
            "IbkrToSruTests/CsvTests.cs",
        ),
        Source(
            "rollingSirius/TradeGit",
            "1f88c6cf41544dc5cc3542260754743be0a876a7",
            "tests/fixtures/ibkr_activity.csv",
        ),
    ),
    header=("Trades", "Header", "DataDiscriminator", "Symbol", "Date/Time", "Quantity", "T. Price"),
    columns={
        "date": ["Date/Time"],
        "ticker": ["Symbol"],
        "quantity": ["Quantity"],
        "price": ["T. Price"],
        "currency": ["Currency"],
        "source_account": ["Account"],
    },
    # An order's row is the total of the executions and lots that may follow it.
    only={"DataDiscriminator": "order", "Asset Category": "stocks"},
    dates=("%Y-%m-%d, %H:%M:%S",),
    zone="America/New_York",
    fees=(Fee(["Comm/Fee"]),),
    charges_are_negative=True,
    newest_first=False,
    is_sectioned=True,
)
