"""`trading sell TICKER QUANTITY PRICE`: record a sale."""

from local.cli.recording import command_of

command = command_of("SELL", "sale", "trading sell MSFT 20 320", "trading sell MSFT 20 320 --fee 1 --note 'half of it'")
