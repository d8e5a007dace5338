"""Saxo: Account, Historic reports, Transactions, Export as CSV."""

from trading.trades.imports.format import BUYS, SELLS, Format, Source

FORMAT = Format(
    name="saxo",
    title="Saxo",
    sources=(
        Source(
            "dickwolff/Export-To-Ghostfolio",
            "2dd1fd0d8c71a0c0c1fac06f4062a17f606ffbc2",
            "samples/saxo-export.csv",
        ),
        Source(
            "dickwolff/Export-To-Ghostfolio",
            "19118f1d3984621a91c38e57c5bfcbffadc406d7",
            "samples/saxo-nl-export.csv",
        ),
    ),
    header=("Client ID", "Trade Date", "Instrument ISIN", "Instrument Symbol", "Event"),
    # There is no fee column: costs are part of the booked amount, which may be in another currency.
    columns={
        "date": ["Trade Date"],
        "kind": ["Event"],
        "ticker": ["Instrument Symbol"],
        "isin": ["Instrument ISIN"],
        "source_account": ["Client ID"],
    },
    event=rf"(?P<kind>{BUYS}|{SELLS}) (?P<quantity>\S+) @ (?P<price>\S+) (?P<currency>[A-Z]{{3}})",
    only={"Type": "trade|transactie"},
    symbol="([^:]*)(?::.*)?",
    dates=("%d-%b-%Y",),
    months={"mrt": "mar", "mei": "may", "okt": "oct"},
    zone="Europe/Copenhagen",
)
