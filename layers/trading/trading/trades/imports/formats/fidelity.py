"""Fidelity: Activity & Orders, Download, for one account or all accounts."""

from trading.trades.imports.format import Fee, Format, Source

FORMAT = Format(
    name="fidelity",
    title="Fidelity",
    sources=(
        Source(
            "redstreet/beancount_reds_importers",
            "032b8be82a66e6dd0b0554b426d14d13a7f9cd53",
            "beancount_reds_importers/importers/fidelity/tests/fidelity_all_accounts_csv/"
            "fidelity_csv_all_accounts_transactions_20251204.csv",
        ),
        Source(
            "redstreet/beancount_reds_importers",
            "f97573f457726f5e8f24de692a417e54b38bfa61",
            "beancount_reds_importers/fidelity_csv/examples/History_for_Account_X99999999.csv",
        ),
    ),
    header=("Run Date", "Action", "Symbol", "Quantity"),
    columns={
        "date": ["Run Date"],
        "kind": ["Action"],
        "ticker": ["Symbol"],
        "quantity": ["Quantity"],
        "price": ["Price ($)", "Price"],
        "currency": ["Currency"],
        "source_account": ["Account Number", "Account"],
    },
    buys="(you bought|reinvestment)( .*)?",
    sells="you sold( .*)?",
    dates=("%m/%d/%Y",),
    zone="America/New_York",
    fees=(Fee(["Commission ($)", "Commission"]), Fee(["Fees ($)", "Fees"])),
    currency="USD",
)
