"""`trading correct ID`: replace a trade with a corrected one."""

import json
from http import HTTPStatus
from typing import Any

import click

from local.cli.client import Client, url_option
from local.cli.options import as_json, examples, print_json
from local.cli.trade_options import body_of, command_line, described, trade_options


@click.command(
    epilog=examples(
        "trading correct 7 --price 301.50 --reason 'digits swapped'",
        "trading correct 7 --account ira --note '' --reason 'wrong account'",
    )
)
@click.argument("trade_id", metavar="ID", type=click.IntRange(min=1))
@click.option("--reason", metavar="TEXT", required=True, help="Reason, kept with the trade.")
@click.option("--ticker", metavar="TICKER")
@click.option("--side", type=click.Choice(["BUY", "SELL"], case_sensitive=False))
@click.option("--quantity", metavar="NUMBER")
@click.option("--price", metavar="AMOUNT")
@trade_options
@click.option("--client-trade-id", metavar="ID", help="The idempotency key of the replacement.")
@url_option
@as_json
def command(*, trade_id: int, reason: str, url: str | None, as_json: bool, **fields: Any) -> None:
    """Correct a trade: it is voided and replaced by a copy with the given fields.

    Other fields are unchanged; --note '' and --tag '' clear the note and the tags. Repeating a correction records
    nothing new.
    """
    api = Client(url, "trades:read", "trades:write")
    correction = _cleared(body_of(fields))
    before = api.get(f"/api/trades/{trade_id}")
    answer = api.call("POST", f"/api/trades/{trade_id}/correct", json.dumps({**correction, "reason": reason}).encode())
    trade, is_new = answer.body, answer.status == HTTPStatus.CREATED
    if as_json:
        print_json(trade)
    elif is_new:
        click.echo(f"Voided trade {trade_id}: {described(before)}.")
        click.echo(f"Recorded trade {trade['id']} in its place: {described(trade)}.")
        undone = {name: before[name] for name in correction if name != "client_trade_id"}
        click.echo(f"To undo: {command_line('correct', trade['id'], '--reason', 'entered by mistake', **undone)}")
    if not is_new:
        already = f"Nothing new: trade {trade['id']} replaces trade {trade_id} already: {described(trade)}."
        click.echo(already, err=as_json)


def _cleared(correction: dict[str, Any]) -> dict[str, Any]:
    """Return a correction with an empty note as null, and without empty tags."""
    if correction.get("note") == "":
        correction["note"] = None
    if "tags" in correction:
        correction["tags"] = [tag for tag in correction["tags"] if tag]
    return correction
