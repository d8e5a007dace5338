"""`python -m local.cli.analyze FILE.csv`: what a file of trades on this machine comes to for each ticker."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.progress import Progress
from rich.table import Table

from trading.analysis.csv_files import BadHeaderError, CutShortError, Reject
from trading.analysis.summary import Summary, TooManyTickersError, summarize
from trading.core.values import plain

CHUNK_BYTES = 1024 * 1024
SHOWN_REJECTS = 10
WIDEST = 1_000
CHART_SUFFIXES = (".svg", ".png")


def main(arguments: Sequence[str] | None = None) -> int:
    """Summarize the file that the arguments name, print the result, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.cli.analyze", description=__doc__)
    parser.add_argument("file", type=Path, help="CSV with the columns ticker, price, quantity, side, timestamp; or .gz")
    parser.add_argument("--chart", type=_chart_file, help="draw volumes and average prices, to an .svg or a .png")
    parsed = parser.parse_args(arguments)
    file: Path = parsed.file
    chart: Path | None = parsed.chart

    first_rejects: list[Reject] = []

    def keep_the_first(rejects: Sequence[Reject]) -> None:
        first_rejects.extend(rejects[: SHOWN_REJECTS - len(first_rejects)])

    errors = Console(stderr=True)
    try:
        with Progress(console=errors, transient=True) as progress:
            summary = summarize(_chunks(file, progress), keep_the_first)
    except (OSError, BadHeaderError, CutShortError, TooManyTickersError) as error:
        errors.print(f"Cannot analyze {file}: {error}", markup=False)
        return 1
    _show(summary, first_rejects)
    return 0 if chart is None else _draw(summary, file, chart, errors)


def _chart_file(name: str) -> Path:
    file = Path(name)
    if file.suffix not in CHART_SUFFIXES:
        raise argparse.ArgumentTypeError(f"{name} must end in {' or '.join(CHART_SUFFIXES)}")
    return file


def _draw(summary: Summary, file: Path, chart: Path, errors: Console) -> int:
    from local.cli import charts  # noqa: PLC0415 - half a second that only a chart is worth

    try:
        charts.draw(summary, file.name, chart)
    except OSError as error:
        errors.print(f"Cannot draw {chart}: {error}", markup=False)
        return 1
    return 0


def _chunks(file: Path, progress: Progress) -> Iterator[bytes]:
    task = progress.add_task(f"Reading {file.name}", total=file.stat().st_size)
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk
            progress.advance(task, len(chunk))


def _show(summary: Summary, first_rejects: Sequence[Reject]) -> None:
    console = Console()
    table = Table("ticker", box=box.SIMPLE, padding=(0, 1))
    for column in ("trades", "volume", "average price", "mean price", "open", "high", "low", "close"):
        table.add_column(column, justify="right")
    for each in summary.tickers:
        values = (each.average_price, each.mean_price, each.open, each.high, each.low, each.close)
        numbers = [f"{each.trade_count:,}", _grouped(each.total_volume), *map(_grouped, values)]
        table.add_row(each.ticker, *numbers)
    # A number is never cut, however narrow the terminal is.
    width = Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum
    console.width = max(console.width, width)
    console.print(table)
    console.print(f"{summary.rows_read:,} rows read, {summary.rows_rejected:,} of them rejected.")
    for reject in first_rejects:
        console.print(f"  line {reject.line}: {reject.reason}: {escape(reject.row[:80])}", highlight=False)
    if summary.rows_rejected > len(first_rejects):
        console.print(f"  … and {summary.rows_rejected - len(first_rejects):,} more")


def _grouped(number: Decimal) -> str:
    return f"{Decimal(plain(number)):,f}"


if __name__ == "__main__":
    sys.exit(main())
