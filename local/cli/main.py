"""The `trading` command: its subcommands and exit codes.

A subcommand is a file in `local/cli/commands` with a Click command named `command`, and a line in `GROUPS`. It is
imported when it runs, so that `trading --help` and completion are fast. A command fails by raising
`click.ClickException`, whose message is one sentence.
"""

from collections.abc import Sequence
from importlib import import_module

import click
from click.shell_completion import CompletionItem

from local.cli.options import examples

# The groups in the help: each command with its module in local/cli/commands and its short help.
GROUPS = {
    "Trades and positions": {
        "buy": ("buy", "Record a purchase."),
        "sell": ("sell", "Record a sale."),
        "void": ("void", "Void a trade."),
        "correct": ("correct", "Replace a trade with a corrected one."),
        "import": ("import_", "Import, compare or void a broker's file of trades."),
        "trades": ("trades", "List trades, newest first."),
        "positions": ("positions", "Show positions with their cost, value and profit."),
    },
    "Prices": {
        "feed": ("feed", "Serve a mock market over WebSocket."),
        "watch": ("watch", "Watch the prices and alerts of a feed."),
        "alerts": ("alerts", "Create, list, pause and delete alert rules."),
    },
    "Notifications": {
        "webhooks": ("webhooks", "Send events to a program, Slack or Telegram."),
    },
    "Analyses and backtests": {
        "analyze": ("analyze", "Summarize a CSV file of trades for each ticker."),
        "simulate": ("simulate", "Backtest a moving-average strategy on a CSV file of prices."),
        "upload": ("upload", "Upload a file of trades to the bucket, as the trades of a day."),
    },
    "This machine": {
        "psql": ("psql", "Query the database of the running system."),
        "token": ("token", "Print a token for the local API."),
        "completion": ("completion", "Print the script that completes commands in your shell."),
    },
}
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}
INTERRUPTED = 130


class Commands(click.Group):
    """The subcommands of the table, each imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a subcommand, or None if there is no such subcommand."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"local.cli.commands.{COMMANDS[cmd_name][0]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table, without importing anything."""
        del ctx
        widest = max(map(len, COMMANDS))
        for title, group in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(widest), text) for name, (_, text) in group.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete from the table, without importing anything."""
        names = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples("trading buy MSFT 50 310.50", "trading positions", "trading watch", "trading COMMAND --help")
    + "\n\n\b\nExit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.",
)
@click.version_option(package_name="trading")
def trading() -> None:
    """Trading from the command line: trades and positions, live prices, analyses and backtests."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command given by the arguments, by default those of this process, and return the exit code."""
    try:
        return trading.main(arguments, "trading", standalone_mode=False) or 0
    except click.Abort:  # Ctrl-C
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except OSError as error:  # for example, a full disk
        click.echo(f"Error: {error}", err=True)
        return 1
