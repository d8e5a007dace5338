"""`trading void ID`: voids a trade."""

import click

from local.cli.client import Client, url_option
from local.cli.console import printable
from local.cli.options import as_json, examples, print_json
from local.cli.trade_options import described, recording_command, shown_time


@click.command(epilog=examples("trading void 7 --reason 'entered twice'"))
@click.argument("trade_id", metavar="ID", type=click.IntRange(min=1))
@click.option("--reason", metavar="TEXT", required=True, help="Reason, kept with the trade.")
@url_option
@as_json
def command(*, trade_id: int, reason: str, url: str | None, as_json: bool) -> None:
    """Void a trade: it stays in the ledger but no longer counts.

    A void cannot be undone; the command prints how to record the same trade again.
    """
    api, path = Client(url, "trades:read", "trades:write"), f"/api/trades/{trade_id}"
    trade = api.get(path)
    was_active = trade["status"] == "active"
    if was_active:
        trade = api.post(f"{path}/void", {"reason": reason})
    if as_json:
        print_json(trade)
    elif was_active:
        click.echo(f"Voided trade {trade_id}: {described(trade)}.")
        click.echo(f"To record it again: {recording_command({**trade, 'client_trade_id': None})}")
    if not was_active:
        since = f"{shown_time(trade['voided_at'])} UTC by {printable(trade['voided_by'])}"
        click.echo(
            f"Nothing changed: trade {trade_id} was voided before, at {since}: {printable(trade['void_reason'])}",
            err=as_json,
        )
