"""`trading simulate FILE.csv`: what two moving averages would have earned on the prices of a file."""

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import fields, replace
from decimal import Decimal
from functools import partial
from itertools import batched
from os import process_cpu_count
from pathlib import Path
from signal import SIG_DFL, SIGINT, signal

from rich import box
from rich.color import Color
from rich.console import Console
from rich.progress import Progress
from rich.style import Style
from rich.table import Table
from rich.text import Text

from local.cli.console import printable
from trading.core.values import exact_decimal
from trading.simulation import engine, history_files, report, results
from trading.simulation.bars import History, ReadingNotes
from trading.simulation.engine import LookaheadError, Strategy, UnusableHistoryError
from trading.simulation.history_files import HistoryError
from trading.simulation.results import RESULT, SimulationResult
from trading.simulation.sweep import METRICS, Sweep, SweptPair, parse_windows, try_pairs, window_pairs

STDOUT = Path("-")
EXAMPLE = "Example: trading simulate events/history/MSFT.csv --fast 10 --slow 30 --html report.html"
TASKS_OF_A_PROCESSOR = 8  # of a sweep: so many steps its progress has, and so often the history is handed over
# From what is bad to what is good, as three numbers for red, green and blue.
COLD, WARM = (30, 41, 59), (96, 165, 250)


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate what the arguments ask for, print the result, and return the exit code."""
    asked = _parser().parse_args(arguments)
    errors = Console(stderr=True)
    try:
        strategy = _strategy(asked)
        history = history_files.read_csv(asked.file.read_bytes(), adjusted=asked.adjusted)
        sweep = _swept(history, strategy, asked, errors) if asked.sweep else None
        if sweep:
            pair = sweep.simulated()
            strategy = replace(strategy, fast=pair.fast, slow=pair.slow)
        done = engine.simulate(history, strategy)
        cuts = engine.check_lookahead(history, strategy) if asked.check_lookahead else None
        result = results.result_of(done, printable(asked.file.stem), sweep)
    except (OSError, ValueError, HistoryError, UnusableHistoryError, LookaheadError) as error:
        return _fail(f"Cannot simulate {asked.file}: {error}", errors)
    if asked.json == STDOUT:
        print(_json(result), end="")
    else:
        _show(result, cuts)
    for path, written in ((asked.json, _json), (asked.csv, _csv), (asked.html, report.render)):
        if path and path != STDOUT:
            try:
                path.write_text(written(result), encoding="utf-8")
            except OSError as error:
                return _fail(f"Cannot write {path}: {error.strerror}", errors)
    return 0


def _fail(message: str, errors: Console) -> int:
    errors.print(printable(message), markup=False, highlight=False, soft_wrap=True)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trading simulate", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("file", type=Path, help="CSV of prices; a date and a close are enough for --fill close")
    parser.add_argument("--adjusted", action="store_true", help="take the file's adjusted closes, and scale the rest")
    parser.add_argument("--fast", type=int, default=50, metavar="BARS", help="of the fast average (%(default)s)")
    parser.add_argument("--slow", type=int, default=200, metavar="BARS", help="of the slow average (%(default)s)")
    parser.add_argument("--cash", type=_amount(12), default=Decimal(10_000), help="at the start (%(default)s)")
    parser.add_argument("--fill", choices=("open", "close"), default="open", help="at the next open, or the same close")
    parser.add_argument("--fractional", action="store_true", help="buy millionths of shares too, not only whole ones")
    for name, digits in (
        ("commission-per-trade", 9),
        ("commission-per-share", 9),
        ("commission-basis-points", 4),
        ("slippage-basis-points", 4),
    ):
        parser.add_argument(f"--{name}", type=_amount(digits), default=Decimal(0), metavar="NUMBER")
    parser.add_argument("--check-lookahead", action="store_true", help="prove that no signal knows of later bars")
    parser.add_argument(
        "--sweep", nargs=2, type=_windows, metavar=("fast=5:100:5", "slow=50:300:10"), help="try every pair of windows"
    )
    parser.add_argument("--by", choices=METRICS, default="sharpe", help="what makes a pair the best (%(default)s)")
    for name, what in (("csv", "the trades"), ("html", "the report")):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"write {what} there")
    parser.add_argument(
        "--json", nargs="?", type=Path, const=STDOUT, metavar="FILE", help="write the whole result there, or print it"
    )
    return parser


def _windows(text: str) -> tuple[str, range]:
    name, _, windows = text.partition("=")
    try:
        return name, parse_windows(windows)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{name} {error}") from None


def _amount(whole_digits: int) -> Callable[[str], Decimal]:
    def amount(text: str) -> Decimal:
        try:
            return exact_decimal(text, whole_digits)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return amount


def _strategy(asked: argparse.Namespace) -> Strategy:
    return Strategy(**{field.name: getattr(asked, field.name) for field in fields(Strategy)})


def _swept(history: History, strategy: Strategy, asked: argparse.Namespace, errors: Console) -> Sweep:
    """Try every pair on all processors."""
    windows = dict(asked.sweep)
    pairs = list(window_pairs(windows.get("fast", ()), windows.get("slow", ())))
    if not pairs:
        raise ValueError("--sweep has no pair of a fast window and a slow one that is longer")
    processors = process_cpu_count() or 1
    tasks = batched(pairs, math.ceil(len(pairs) / processors / TASKS_OF_A_PROCESSOR), strict=False)
    try_some = partial(try_pairs, history, strategy, asked.by)
    found: list[SweptPair] = []
    # Ctrl-C ends the processes too, without a word of theirs.
    with ProcessPoolExecutor(processors, initializer=signal, initargs=(SIGINT, SIG_DFL)) as processes:
        # Processes are forked here, before the progress bar has a thread.
        tried = [processes.submit(try_some, some) for some in tasks]
        with Progress(console=errors, transient=True) as progress:
            task = progress.add_task(f"Trying {len(pairs):,} pairs", total=len(pairs))
            for done in as_completed(tried):
                found += done.result()
                progress.update(task, completed=len(found))
    return Sweep(asked.by, sorted(found, key=lambda pair: (pair.slow, pair.fast)))


def _json(result: SimulationResult) -> str:
    return RESULT.dump_json(result, indent=2).decode() + "\n"


def _csv(result: SimulationResult) -> str:
    return results.trades_csv(result.trades)


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
    """Return a cell of a heat map, whose value is so far on the way from the lowest to the highest."""
    if share is None:
        return Text("   ")
    mixed = (round(cold + share * (warm - cold)) for cold, warm in zip(COLD, WARM, strict=True))
    return Text(
        " <>" if is_best else f"  {min(9, int(share * 10))}", Style(color="white", bgcolor=Color.from_rgb(*mixed))
    )


if __name__ == "__main__":
    sys.exit(main())
