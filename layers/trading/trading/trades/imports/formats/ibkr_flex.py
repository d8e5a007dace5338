"""Interactive Brokers: Performance & Reports, Flex Queries, section Trades as CSV."""

from trading.trades.imports.format import Fee, Format, Source

FORMAT = Format(
    name="ibkr-flex",
    title="Interactive Brokers, Flex query",
    sources=(
        Source(
            "dickwolff/Export-To-Ghostfolio",
            "5d4cb1603c6eb50818f9ca296d51309edb051726",
            "samples/ibkr-trades-export.csv",
        ),
        Source(
            "rollingSirius/TradeGit",
            "1f88c6cf41544dc5cc3542260754743be0a876a7",
            "tests/fixtures/ibkr_flex.csv",
        ),
    ),
    header=("Buy/Sell", "Quantity", "TradePrice"),
    columns={
        "date": ["DateTime", "TradeDate"],
        "time": ["TradeTime"],
        "kind": ["Buy/Sell"],
        "ticker": ["Symbol"],
        "isin": ["ISIN"],
        "quantity": ["Quantity"],
        "price": ["TradePrice"],
        "currency": ["CurrencyPrimary"],
        "id": ["TransactionID"],
        "source_account": ["ClientAccountID"],
    },
    only={"AssetClass": "stk|fund", "LevelOfDetail": "execution"},
    dates=("%Y%m%d %H%M%S", "%Y%m%d;%H%M%S", "%Y%m%d"),
    zone="America/New_York",
    fees=(Fee(["IBCommission"], currency="IBCommissionCurrency"), Fee(["Taxes"])),
    charges_are_negative=True,
    newest_first=False,
)
