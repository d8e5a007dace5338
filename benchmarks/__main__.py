"""Measure and print the tables: `python -m benchmarks [--rows N] [part…]`."""

import argparse
import os
import signal
import sys
from collections.abc import Iterable

from benchmarks import (
    alerts,
    analysis,
    http_load,
    imports,
    laptop,
    page,
    positions,
    price_feed,
    prices,
    simulation,
    trades,
)
from benchmarks.measure import Figure, be_brief, say, table

PARTS = {
    "trades": trades.figures,
    "http": http_load.figures,
    "positions": positions.figures,
    "imports": imports.figures,
    "analysis": analysis.figures,
    "simulation": simulation.figures,
    "prices": prices.figures,
    "feed": price_feed.figures,
    "alerts": alerts.figures,
    "laptop": laptop.figures,
    "page": page.figures,
}
BRIEF_ROWS = 1_000_000


def main() -> None:
    """Run the parts that the command line names, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed and size.")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all without one")
    parser.add_argument(
        "--rows",
        type=int,
        default=10_000_000,
        help=f"of a large table, from {trades.SMALL} (default: %(default)s, for which PostgreSQL takes 5 GB of disk);"
        f" with fewer than {BRIEF_ROWS:,}, everything is measured in few rounds, for a look",
    )
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {' or '.join(sorted(unknown))}")

    if arguments.rows < trades.SMALL:
        parser.error(f"a large table has {trades.SMALL} rows at least")

    if arguments.rows < BRIEF_ROWS:
        be_brief()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that everything is stopped
    try:
        for name in arguments.parts or PARTS:
            say(f"{name}:")
            load = _load()
            figures = list(_said(PARTS[name](arguments.rows)))
            heading = f"## `python -m benchmarks {name}`"
            said = (
                f"Load of the machine before {load}, after {_load()} (this work included), {os.cpu_count()} processors."
            )
            print(f"\n{heading}\n\n{said}\n\n{table(figures)}\n", flush=True)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def _said(figures: Iterable[Figure]) -> Iterable[Figure]:
    for figure in figures:
        say(f"    {figure.name}: {figure.value}")
        yield figure


if __name__ == "__main__":
    main()
