"""`trading import FILE`: imports a broker file into the running system, or compares the two."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from local.cli import tables
from local.cli.client import Answer, Client, ProblemError, url_option
from local.cli.console import printable
from local.cli.options import as_json, examples, print_json

PATH = "/api/imports"
OUTCOMES = ("recorded", "already_recorded", "skipped", "rejected", "adjusted")
AGREEMENTS = ("agrees", "differs", "missing_here", "missing_there")
SHOWN = 10  # rows of each kind
ATTEMPTS = 30  # per file, of 20 seconds each; a repeated request continues
UNAVAILABLE = 503
RETRY_SECONDS = 1.0
OPTIONS = {"format=generic&columns=": "--columns ", "tickers=": "--tickers ", "source_account: ": "--source-account "}


@click.command(
    "import",
    epilog=examples(
        "trading import Transactions.csv --dry-run",
        "trading import Transactions.csv --account ira",
        "trading import Transactions.csv --compare",
        "trading import My.csv --columns ticker:Symbol,price:Price,quantity:Qty,side:Side,timestamp:Date",
        "trading import --void 3",
    ),
)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--dry-run", is_flag=True, help="Show what would be recorded, without recording anything.")
@click.option("--compare", is_flag=True, help="Compare the file with the ledger, without recording anything.")
@click.option("--void", "import_id", type=click.IntRange(min=1), metavar="ID", help="Void an import and its trades.")
@click.option("--reason", default="Voided on the command line", help="Reason, kept with the trades.", show_default=True)
@click.option("--account", help="The account of trades whose rows name none. [default: main]")
@click.option("--source-account", help="The account at the broker to import, if the file has several.")
@click.option("--timezone", help="The zone of dates without an offset, such as Europe/Zurich. [default: the format's]")
@click.option("--currency", help="The currency of trades whose rows name none. [default: USD]")
@click.option("--format", "file_format", help="The file's format. [default: recognized by its header]")
@click.option("--tickers", metavar="ISIN:TICKER,…", help="The tickers of ISINs or other symbols in the file.")
@click.option("--columns", metavar="FIELD:COLUMN,…", help="The columns of a file in another format.")
@click.option("--date-format", help="The date format of such a file, such as %d.%m.%Y. [default: ISO 8601]")
@url_option
@as_json
def command(  # noqa: PLR0913 - the options
    *,
    file: Path | None,
    dry_run: bool,
    compare: bool,
    import_id: int | None,
    reason: str,
    file_format: str | None,
    url: str | None,
    as_json: bool,
    **options: str | None,
) -> None:
    """Import a broker's file of trades.

    FILE is a CSV of up to 4 MB, as exported by the broker. Trades that are already recorded are not recorded again.
    """
    if (file is None) == (import_id is None):
        raise click.UsageError("Name either a FILE to import, or an import to --void.")
    if dry_run and compare:
        raise click.UsageError("--dry-run and --compare exclude each other.")
    api = Client(url, "trades:write")
    if file is None:
        _show_void(api.post(f"{PATH}/{import_id}/void", {"reason": reason}), as_json=as_json)
        return
    query = {**options, "format": file_format, "dry_run": "true" if dry_run else None}
    result = _sent(api, file, {**query, "mode": "compare" if compare else None}).body
    if as_json:
        print_json(result)
    elif compare:
        _show_comparison(result)
    else:
        _show_import(result)


def _sent(api: Client, file: Path, query: dict[str, str | None]) -> Answer:
    """Send a file, repeating the request while the import is unfinished, and return the last response."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise click.ClickException(f"Cannot read {printable(str(file))}: {error.strerror}.") from None
    errors = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task(f"Reading {printable(file.name)}", total=None)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return api.send(PATH, data, "application/octet-stream", **query)
            except ProblemError as problem:
                if problem.status != UNAVAILABLE or attempt == ATTEMPTS:
                    raise ProblemError(_of_file(file, problem.message), problem.status) from None
            progress.update(task, description=f"Continuing {printable(file.name)}, part {attempt + 1}")
            time.sleep(RETRY_SECONDS)
    raise AssertionError


def _of_file(file: Path, message: str) -> str:
    """Return the API's error message, reworded for a file on the command line."""
    return _as_options(message.replace("HTTP 400: body: ", f"{printable(file.name)} "))


def _as_options(text: str) -> str:
    """Return a text with the names of request parameters replaced by the options of this command."""
    for parameter, option in OPTIONS.items():
        text = text.replace(parameter, option)
    return text


def _show_import(result: dict[str, Any]) -> None:
    is_tried = result["import_id"] is None
    title = "Nothing was recorded: a dry run" if is_tried else f"Import {result['import_id']}"
    _show_counts(f"{title}, format {result['format']}", result, OUTCOMES)
    _show_trades("Would be recorded" if is_tried else "Recorded", result["rows"]["recorded"], result["recorded"])
    for outcome in ("rejected", "adjusted"):
        _show_reasons(outcome, result["rows"][outcome], result[outcome])
    _show_skipped(result["rows"]["skipped"], result["skipped"])
    for short in result["turns_short"]:
        since, before = short["since"][:10], short["before"][:10]
        click.echo(
            f"{short['ticker']} in {short['account']} would be short from {since} on: {short['quantity']} shares from"
            f" before {before} are missing. Record an opening trade first."
        )
    for split in result["splits"]:
        click.echo(
            f"line {split['line']}: {split['ticker']} was split on {split['effective_at'][:10]}: record the split."
        )
    if result["isins_without_ticker"]:
        missing = ",".join(f"{printable(isin)}:TICKER" for isin in result["isins_without_ticker"])
        click.echo(f"ISINs without a ticker: add --tickers {missing}")
    if not is_tried and result["recorded"]:
        click.echo(f"To undo: ./trading import --void {result['import_id']}")


def _show_comparison(result: dict[str, Any]) -> None:
    _show_counts(f"Compared, format {result['format']}", result, (*AGREEMENTS, "skipped", "rejected"))
    said = {
        "differs": "Differ",
        "missing_here": "In the file, and not in the ledger",
        "missing_there": "In the ledger, and not in the file",
    }
    for kind, title in said.items():
        _show_trades(title, result["trades"][kind], result[kind])


def _show_void(voided: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(voided)
    else:
        click.echo(
            f"Import {voided['id']} is voided, with the {voided['recorded']:,} trades that it recorded:"
            f" {printable(voided['void_reason'])}"
        )


def _show_counts(title: str, result: dict[str, Any], names: Sequence[str]) -> None:
    click.echo(title)
    shown = ["rows_read", *names]
    labels = tables.texts("rows", [name.replace("_", " ") for name in shown])
    tables.show([labels, tables.numbers("", [str(result[name]) for name in shown])])


def _show_trades(title: str, rows: Sequence[dict[str, Any]], count: int) -> None:
    if not rows:
        return
    click.echo(title)
    some = rows[:SHOWN]
    trades = [row["trade"] for row in some]
    columns = [
        tables.texts("line", [str(row["line"] or "") for row in some]),
        tables.texts("trade", [str(row["trade_id"] or "") for row in some]),
        tables.texts("date", [trade["timestamp"][:16].replace("T", " ") for trade in trades]),
        tables.texts("side", [trade["side"] for trade in trades]),
        tables.numbers("quantity", [str(trade["quantity"]) for trade in trades]),
        tables.texts("ticker", [trade["ticker"] for trade in trades]),
        tables.numbers("price", [trade["price"] for trade in trades]),
        tables.numbers("fee", [trade["fee"] for trade in trades]),
        tables.texts("currency", [trade["currency"] for trade in trades]),
    ]
    if any(row.get("fields") for row in some):
        columns.append(tables.texts("differs", [_differing(row) for row in some]))
    tables.show(columns)
    if count > SHOWN:
        click.echo(f"  … and {count - SHOWN:,} more")


def _differing(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {row['trade'][name]} or {row['recorded'][name]}" for name in row.get("fields", ()))


def _show_reasons(outcome: str, rows: Sequence[dict[str, Any]], count: int) -> None:
    for row in rows[:SHOWN]:
        click.echo(f"  {outcome}, line {row['line']}: {_as_options(printable(row['reason']))}")
    if count > SHOWN:
        click.echo(f"  … and {count - SHOWN:,} more {outcome}")


def _show_skipped(rows: Sequence[dict[str, Any]], count: int) -> None:
    among = f" among the first {len(rows):,}" if count > len(rows) else ""
    for reason, times in Counter(row["reason"] for row in rows).most_common(SHOWN):
        rows_said = "1 row" if times == 1 else f"{times:,} rows"
        click.echo(f"  skipped, {rows_said}{among}: {printable(reason)}")
