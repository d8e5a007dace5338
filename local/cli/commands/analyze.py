"""`trading analyze FILE`: summarizes a local trade file for each ticker."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from io import BufferedReader
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from local.cli.console import printable
from local.cli.options import as_json, examples, print_json
from local.cli.tables import Column, numbers, show, texts
from trading.analysis.csv_files import BadHeaderError, CutShortError, Reject
from trading.analysis.summary import Summary, TickerSummary, TooManyTickersError, summarize
from trading.core.values import format_decimal

CHUNK_BYTES = 1024 * 1024
SHOWN_REJECTS = 10
SHOWN_CHARACTERS = 80
CHART_SUFFIXES = (".svg", ".png")
FIGURES = ("total_volume", "average_price", "mean_price", "open", "high", "low", "close")


def _chart_file(_: click.Context, __: click.Parameter, file: Path | None) -> Path | None:
    if file is not None and file.suffix not in CHART_SUFFIXES:
        raise click.BadParameter(f"{file} must end in {' or '.join(CHART_SUFFIXES)}")
    return file


@click.command(epilog=examples("trading analyze trades.csv", "trading analyze trades.csv.gz --chart volumes.svg"))
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--chart",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_chart_file,
    help="Draw a chart of volumes and average prices, as .svg or .png.",
)
@as_json
def command(*, file: Path, chart: Path | None, as_json: bool) -> None:
    """Summarize a CSV file of trades for each ticker.

    FILE has the columns ticker, price, quantity, side and timestamp, and may be compressed (.gz). Lines that are not
    trades are rejected and counted.
    """
    rejects: list[Reject] = []

    def keep_the_first(found: Sequence[Reject]) -> None:
        rejects.extend(found[: SHOWN_REJECTS - len(rejects)])

    try:
        with file.open("rb") as stream:
            if not stream.peek(1):
                raise click.ClickException(f"{printable(str(file))} is empty.")
            summary = summarize(_with_progress(stream, file), keep_the_first)
    except OSError as error:
        raise click.ClickException(f"Cannot read {printable(str(file))}: {error.strerror}.") from None
    except (BadHeaderError, CutShortError, TooManyTickersError) as error:
        raise click.ClickException(f"Cannot analyze {printable(str(file))}: {printable(str(error))}.") from None
    if as_json:
        print_json(_as_json(summary, rejects))
    elif not summary.rows_read:
        click.echo(f"{printable(str(file))} has a header, and no trades.")
    else:
        _show(summary, rejects)
    if chart is not None:
        _draw(summary, file, chart)


def _draw(summary: Summary, file: Path, chart: Path) -> None:
    from local.cli import charts  # noqa: PLC0415 - takes half a second, needed only for a chart

    try:
        charts.draw(summary, printable(file.name), chart)
    except OSError as error:
        raise click.ClickException(f"Cannot write {printable(str(chart))}: {error.strerror}.") from None


def _with_progress(stream: BufferedReader, file: Path) -> Iterator[bytes]:
    errors = Console(stderr=True)
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        size = file.stat().st_size  # 0 for a pipe, whose size is unknown
        task = progress.add_task(f"Reading {escape(printable(file.name))}", total=size or None)
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk
            progress.advance(task, len(chunk))


def _as_json(summary: Summary, rejects: Sequence[Reject]) -> dict[str, Any]:
    """Return the result with the API's field names, and amounts as decimal strings."""
    return {
        "rows_read": summary.rows_read,
        "rows_rejected": summary.rows_rejected,
        "tickers": [
            {"ticker": each.ticker, "trade_count": each.trade_count, **_figures(each)} for each in summary.tickers
        ],
        "first_rejects": [asdict(reject) for reject in rejects],
    }


def _figures(ticker: TickerSummary) -> dict[str, str]:
    return {name: format_decimal(getattr(ticker, name)) for name in FIGURES}


def _show(summary: Summary, rejects: Sequence[Reject]) -> None:
    if summary.tickers:
        show(list(_columns(summary.tickers)))
    click.echo(f"{summary.rows_read:,} rows read, {summary.rows_rejected:,} of them rejected.")
    for reject in rejects:
        click.echo(f"  line {reject.line}: {reject.reason}: {printable(reject.row[:SHOWN_CHARACTERS])}")
    if summary.rows_rejected > len(rejects):
        click.echo(f"  … and {summary.rows_rejected - len(rejects):,} more")


def _columns(tickers: Sequence[TickerSummary]) -> Iterator[Column]:
    yield texts("ticker", [each.ticker for each in tickers])
    yield numbers("trades", [str(each.trade_count) for each in tickers])
    for name in FIGURES:
        header = name.removeprefix("total_").replace("_", " ")
        yield numbers(header, [format_decimal(getattr(each, name)) for each in tickers])
