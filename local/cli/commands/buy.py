"""`trading buy TICKER QUANTITY PRICE`: record a purchase."""

from local.cli.recording import command_of

command = command_of(
    "BUY",
    "purchase",
    "trading buy MSFT 50 310.50",
    "trading buy MSFT 50 310.50 --account ira --fee 1 --tag earnings --at 2025-06-03T12:00:00Z",
)
