"""`trading trades`: lists the trades of the ledger, newest first."""

from collections.abc import Iterator, Sequence
from typing import Any

import click

from local.cli.client import Client, url_option
from local.cli.options import as_json, at_most, examples, page_of, print_json
from local.cli.tables import Column, numbers, show, texts
from local.cli.trade_options import UNSAID, shown_time

NOTE_CHARACTERS = 40


@click.command(
    epilog=examples("trading trades --ticker MSFT --start-date 2025-06-01", "trading trades --status all --json")
)
@click.option("--ticker", metavar="TICKER")
@click.option("--side", type=click.Choice(["BUY", "SELL"], case_sensitive=False))
@click.option("--account", metavar="NAME")
@click.option("--tag", metavar="WORD")
@click.option("--status", type=click.Choice(["active", "voided", "all"]), default="active", show_default=True)
@click.option("--start-date", metavar="DATE", help="Inclusive: a date or a timestamp, UTC.")
@click.option("--end-date", metavar="DATE", help="Inclusive; a date covers the whole day.")
@click.option("--as-of", metavar="TIMESTAMP", help="The ledger as it stood at this time, at least a minute ago.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="The maximum number of trades."
)
@url_option
@as_json
def command(*, limit: int, url: str | None, as_json: bool, **filters: str | None) -> None:
    """List trades, newest first."""
    api = Client(url, "trades:read")
    trades = at_most(limit, api.pages("/api/trades", **filters, limit=page_of(limit)))
    if as_json:
        print_json(trades)
    elif trades:
        show(list(_columns(trades)))
    else:
        click.echo("No trades match.")


def _columns(trades: Sequence[dict[str, Any]]) -> Iterator[Column]:
    """Yield the columns; those that no trade uses are omitted."""
    yield numbers("id", [str(trade["id"]) for trade in trades])
    yield texts("time (UTC)", [shown_time(trade["timestamp"]) for trade in trades])
    yield texts("side", [trade["side"] for trade in trades])
    yield texts("ticker", [trade["ticker"] for trade in trades])
    yield numbers("quantity", [str(trade["quantity"]) for trade in trades])
    yield numbers("price", [trade["price"] for trade in trades])
    yield texts("currency", [trade["currency"] for trade in trades])
    yield texts("account", [trade["account"] for trade in trades])
    used = {name for name, unsaid in UNSAID.items() for trade in trades if trade[name] != unsaid}
    if "fee" in used:
        yield numbers("fee", [trade["fee"] for trade in trades])
    if "tags" in used:
        yield texts("tags", [" ".join(trade["tags"]) for trade in trades])
    if "note" in used:
        yield texts("note", [_short(trade["note"] or "") for trade in trades])
    if "status" in trades[0]:
        yield texts("status", [trade["status"] for trade in trades])


def _short(note: str) -> str:
    return note if len(note) <= NOTE_CHARACTERS else f"{note[: NOTE_CHARACTERS - 1]}…"
