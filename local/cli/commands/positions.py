"""`trading positions`: shows positions with cost and profit; for one ticker also its lots and matches."""

from collections.abc import Iterator, Sequence
from decimal import Decimal, localcontext
from typing import Any

import click

from local.cli.client import Client, url_option
from local.cli.options import as_json, at_most, examples, page_of, print_json
from local.cli.tables import Column, numbers, show, texts
from local.cli.trade_options import shown_time
from trading.core.values import PAGE_LIMIT, PRECISION, format_decimal

FIGURES = {
    "quantity": "quantity",
    "average cost": "average_cost",
    "cost basis": "cost_basis",
    "last price": "last_price",
    "market value": "market_value",
    "unrealized": "unrealized_profit",
    "%": "unrealized_percent",
    "realized": "realized_profit",
}
TOTALS = {
    "cost basis": "cost_basis",
    "market value": "market_value",
    "unrealized": "unrealized_profit",
    "realized": "realized_profit",
    "today": "change_today",
}


@click.command(epilog=examples("trading positions", "trading positions MSFT", "trading positions --open --json"))
@click.argument("ticker", required=False)
@click.option("--account", metavar="NAME")
@click.option("--open/--closed", "is_open", default=None, help="Only open positions, or only closed ones.")
@click.option("--method", type=click.Choice(["fifo", "average"]), default="fifo", show_default=True)
@click.option("--as-of", metavar="TIMESTAMP", help="The ledger as it stood at this time, at least a minute ago.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="The maximum number of lots and of matches.",
)
@url_option
@as_json
def command(  # noqa: PLR0913 - the options
    *,
    ticker: str | None,
    account: str | None,
    is_open: bool | None,
    method: str,
    as_of: str | None,
    limit: int,
    url: str | None,
    as_json: bool,
) -> None:
    """Show positions, valued at the last prices, and their totals for each currency.

    With a TICKER, also show its open lots, and the matches that explain its realized profit: which trade closed which
    (FIFO).
    """
    api = Client(url, "trades:read")
    wanted = {"account": account, "open": None if is_open is None else str(is_open).lower(), "method": method}
    positions = list(api.pages("/api/positions", ticker=ticker, as_of=as_of, limit=PAGE_LIMIT, **wanted))
    result: Any
    if ticker:
        result = [{**each, **_origins(api, each, as_of, limit)} for each in positions]
    elif as_of is None and is_open is None and method == "fifo":  # the portfolio covers exactly this
        result = {"positions": positions, "portfolio": api.get("/api/portfolio", account=account)}
    else:
        result = {"positions": positions}
    if as_json:
        print_json(result)
    elif not positions:
        click.echo("No positions match.")
    elif ticker:
        for position in result:
            _show_origins(position)
    else:
        _show_positions(positions)
        if totals := result.get("portfolio"):
            show([texts("total", [each["currency"] for each in totals]), *_figures(totals, TOTALS)])


def _origins(api: Client, position: dict[str, Any], as_of: str | None, limit: int) -> dict[str, list[Any]]:
    """Return the first lots and matches of a position."""
    path = f"/api/positions/{position['ticker']}"
    query = {"account": position["account"], "currency": position["currency"], "as_of": as_of, "limit": page_of(limit)}
    return {
        "lots": at_most(limit, (lot for page in api.answers(path, **query) for lot in page.body["lots"])),
        "matches": at_most(limit, api.pages(f"{path}/matches", **query)),
    }


def _show_positions(positions: Sequence[dict[str, Any]]) -> None:
    keys = [texts(name, [each[name] for each in positions]) for name in ("account", "ticker", "currency")]
    show([*keys, *_figures(positions, FIGURES)])


def _figures(rows: Sequence[dict[str, Any]], figures: dict[str, str]) -> Iterator[Column]:
    for header, name in figures.items():
        yield numbers(header, [each[name] or "" for each in rows])


def _show_origins(position: dict[str, Any]) -> None:
    _show_positions([position])
    if lots := position["lots"]:
        click.echo("Open lots, oldest first")
        trade, opened = _column(lots, "trade_id"), [shown_time(each["opened_at"]) for each in lots]
        columns = [numbers("trade", [*trade, ""]), texts("opened (UTC)", [*opened, "total"])]
        columns += [numbers("quantity", _summed(lots, "quantity")), numbers("price", [*_column(lots, "price"), ""])]
        show([*columns, *(numbers(name, _summed(lots, name)) for name in ("fee", "cost"))], has_total=True)
    if matches := position["matches"]:
        click.echo("Matches, last closed first")
        columns = [
            numbers("opened by", [*_column(matches, "opening_trade_id"), ""]),
            numbers("closed by", [*_column(matches, "closing_trade_id"), ""]),
        ]
        closed = [shown_time(each["closed_at"]) for each in matches]
        columns.append(texts("closed (UTC)", [*closed, "total"]))
        sums = ("quantity", "cost", "proceeds", "fees", "profit")
        show([*columns, *(numbers(name, _summed(matches, name)) for name in sums)], has_total=True)


def _column(rows: Sequence[dict[str, Any]], name: str) -> list[str]:
    return [str(each[name]) for each in rows]


def _summed(rows: Sequence[dict[str, Any]], name: str) -> list[str]:
    """Return a column of amounts with their exact sum."""
    with localcontext(prec=PRECISION):
        total = sum((Decimal(each[name]) for each in rows), Decimal(0))
    return [*_column(rows, name), format_decimal(total)]
