"""`trading simulate FILE`: backtests a moving-average strategy on a file of prices."""

import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import batched
from os import process_cpu_count
from pathlib import Path
from signal import SIG_DFL, SIGINT, signal
from time import sleep
from typing import Any

import click
from rich import box
from rich.color import Color
from rich.console import Console
from rich.progress import Progress
from rich.style import Style
from rich.table import Table
from rich.text import Text

from local.cli.console import printable
from local.cli.options import as_json, examples
from trading.core.values import exact_decimal
from trading.simulation import engine, history_files, report, results
from trading.simulation.bars import History, ReadingNotes
from trading.simulation.engine import LookaheadError, Strategy, UnusableHistoryError
from trading.simulation.history_files import HistoryError
from trading.simulation.results import RESULT, SimulationResult
from trading.simulation.sweep import METRICS, Metric, Sweep, SweptPair, parse_windows, try_pairs, window_pairs

TASKS_OF_A_PROCESSOR = 8  # of a sweep; more give finer progress, but each one copies the history
# The colors of the lowest and the highest value, as red, green and blue.
COLD, WARM = (30, 41, 59), (96, 165, 250)


class _Windows(click.ParamType[tuple[str, range]]):
    """A range of windows, such as fast=5:100:5."""

    name = "windows"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, range]:
        name, _, windows = str(value).partition("=")
        try:
            return name, parse_windows(windows)
        except ValueError as error:
            self.fail(f"{name} {error}", param, ctx)


class _Amount(click.ParamType[Decimal]):
    """A non-negative decimal with a limit on the digits before the decimal point."""

    name = "number"

    def __init__(self, whole_digits: int) -> None:
        self._whole_digits = whole_digits

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            return exact_decimal(value, self._whole_digits)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(
    epilog=examples(
        "trading simulate events/history/MSFT.csv --fast 10 --slow 30 --html report.html",
        "trading simulate events/history/MSFT.csv --sweep fast=5:100:5 slow=50:300:10",
    )
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--fast", default=50, show_default=True, metavar="BARS", help="Window of the fast average.")
@click.option("--slow", default=200, show_default=True, metavar="BARS", help="Window of the slow average.")
@click.option("--cash", type=_Amount(12), default=Decimal(10_000), show_default=True, help="Initial cash.")
@click.option(
    "--fill",
    type=click.Choice(["open", "close"]),
    default="open",
    show_default=True,
    help="Fill orders at the next bar's open, or at the close of the signal's own bar.",
)
@click.option("--fractional", is_flag=True, help="Allow fractions of shares, down to millionths.")
@click.option("--commission-per-trade", type=_Amount(9), default=Decimal(0))
@click.option("--commission-per-share", type=_Amount(9), default=Decimal(0))
@click.option("--commission-basis-points", type=_Amount(4), default=Decimal(0))
@click.option("--slippage-basis-points", type=_Amount(4), default=Decimal(0))
@click.option("--adjusted", is_flag=True, help="Use the file's adjusted closes and scale the other prices.")
@click.option("--check-lookahead", is_flag=True, help="Check that no signal depends on later bars.")
@click.option(
    "--sweep", nargs=2, type=_Windows(), help="Try every pair of windows, such as fast=5:100:5 slow=50:300:10."
)
@click.option(
    "--by",
    type=click.Choice(METRICS),
    default="sharpe",
    show_default=True,
    help="The metric that chooses the best pair.",
)
@click.option("--csv", type=click.Path(path_type=Path), metavar="FILE", help="Write the trades to a CSV file.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write the report to an HTML file.")
@as_json
def command(  # noqa: PLR0913 - the options
    *,
    file: Path,
    adjusted: bool,
    check_lookahead: bool,
    sweep: tuple[tuple[str, range], ...] | None,
    by: Metric,
    csv: Path | None,
    html: Path | None,
    as_json: bool,
    **strategy: Any,
) -> None:
    """Backtest a moving-average strategy on a CSV file of prices.

    FILE has the columns date, open, high, low and close; date and close are enough for `--fill close`. The strategy
    buys when the fast average crosses above the slow one, and sells when it crosses below.
    """
    try:
        tried = Strategy(**strategy)
        history = history_files.read_csv(file.read_bytes(), adjusted=adjusted)
        swept = _swept(history, tried, dict(sweep), by) if sweep else None
        if swept:
            pair = swept.simulated()
            tried = replace(tried, fast=pair.fast, slow=pair.slow)
        done = engine.simulate(history, tried)
        cuts = engine.check_lookahead(history, tried) if check_lookahead else None
        result = results.result_of(done, printable(file.stem), swept)
    except OSError as error:
        raise click.ClickException(f"Cannot read {printable(str(file))}: {error.strerror}.") from None
    except (ValueError, HistoryError, UnusableHistoryError, LookaheadError) as error:
        raise click.ClickException(printable(f"Cannot simulate {file}: {error}")) from None
    if as_json:
        click.echo(RESULT.dump_json(result, indent=2))
    else:
        _show(result, cuts)
    if csv:
        _write(csv, results.trades_csv(result.trades))
    if html:
        _write(html, report.render(result))


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"Cannot write {printable(str(file))}: {error.strerror}.") from None


def _swept(history: History, strategy: Strategy, windows: Mapping[str, range], metric: Metric) -> Sweep:
    """Try every pair on all processors."""
    pairs = list(window_pairs(windows.get("fast", ()), windows.get("slow", ())))
    if not pairs:
        raise ValueError("--sweep has no pair of a fast window and a slow one that is longer")
    processors = process_cpu_count() or 1
    tasks = batched(pairs, math.ceil(len(pairs) / processors / TASKS_OF_A_PROCESSOR), strict=False)
    try_some = partial(try_pairs, history, strategy, metric)
    found: list[SweptPair] = []
    # Ctrl-C also ends the processes, without tracebacks.
    with ProcessPoolExecutor(processors, initializer=signal, initargs=(SIGINT, SIG_DFL)) as processes:
        # Fork the processes here, before the progress bar starts a thread.
        tried = [processes.submit(try_some, some) for some in tasks]
        errors = Console(stderr=True)
        with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
            task = progress.add_task(f"Trying {len(pairs):,} pairs", total=len(pairs))
            try:
                for done in as_completed(tried):
                    found += done.result()
                    progress.update(task, completed=len(found))
            except BrokenProcessPool:
                sleep(1)  # Ctrl-C may end the processes before it interrupts this one
                raise click.ClickException("A process of the sweep was killed. Is there enough memory?") from None
    return Sweep(metric, sorted(found, key=lambda pair: (pair.slow, pair.fast)))


def _show(result: SimulationResult, cuts: int | None) -> None:
    console = Console(highlight=False)
    if result.sweep:
        _show_sweep(console, result.sweep)
    strategy, bars = result.strategy, result.bars
    console.print(
        f"{result.name}, {strategy.fast}/{strategy.slow}: {report.bars_of(result)} from {bars[0].at} to {bars[-1].at}",
        style="bold",
        markup=False,
    )
    for note in _notes(result.notes or ReadingNotes()):
        console.print(note)
    summary = Table(box=box.SIMPLE, show_header=False)
    summary.add_column(style="dim")
    summary.add_column(justify="right", no_wrap=True)
    for name, text in report.figures(result.metrics):
        summary.add_row(name, text)
    console.print(summary)
    if cuts is not None:
        console.print(f"No look-ahead: cut after each of {cuts:,} bars, the signals before the cut stayed the same.")
    if result.no_trades_reason:
        console.print(f"No trades: {result.no_trades_reason}")
    for trade in result.trades:
        if trade.exit_at is None:
            console.print(
                f"Still open: {trade.shares:,} shares since {trade.entry_at}, profit so far {trade.profit:,.2f}."
            )


def _notes(notes: ReadingNotes) -> Iterator[str]:
    if notes.rounded_prices:
        yield f"Prices rounded to six decimals: {notes.rounded_prices:,}."
    if notes.widened_bars:
        yield f"Bars with an open or close beyond their high or low by a rounding: {notes.widened_bars:,}."
    if notes.skipped_rows:
        yield f"Rows without prices, which have been skipped: {notes.skipped_rows:,}."


def _show_sweep(console: Console, sweep: Sweep) -> None:
    fasts, slows = (sorted({getattr(pair, name) for pair in sweep.pairs}) for name in ("fast", "slow"))
    values = {(pair.fast, pair.slow): pair.value for pair in sweep.pairs}
    known = [value for value in values.values() if value is not None and math.isfinite(value)]
    lowest, highest = min(known, default=0), max(known, default=0)
    best = sweep.best()
    title = f"{sweep.metric} of {len(values):,} pairs, slow down and fast across; {report.best_of(sweep)}"
    console.print(title, style="bold")
    for slow in slows:
        line = Text(f"{slow:5} ")
        for fast in fasts:
            value = values.get((fast, slow))
            share = None if value is None else _share(value, lowest, highest)
            line.append_text(_cell(share, is_best=best is not None and (fast, slow) == (best.fast, best.slow)))
        console.print(line)
    across = "".join(f"{fast:<9}" for fast in fasts[::3])
    key = f"      0 is {lowest:,.2f}, 9 is {highest:,.2f}, and <> is the best.\n" if best else ""
    console.print(f"      {across}\n{key}")
    console.print(f"Warning: {sweep.warning}\n", style="yellow")


def _share(value: float, lowest: float, highest: float) -> float:
    return (min(value, highest) - lowest) / (highest - lowest) if highest > lowest else 1


def _cell(share: float | None, *, is_best: bool) -> Text:
    """Return a cell of a heat map; `share` is the relative position between the lowest and the highest value."""
    if share is None:
        return Text("   ")
    mixed = (round(cold + share * (warm - cold)) for cold, warm in zip(COLD, WARM, strict=True))
    return Text(
        " <>" if is_best else f"  {min(9, int(share * 10))}", Style(color="white", bgcolor=Color.from_rgb(*mixed))
    )
