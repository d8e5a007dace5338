"""Measure and print the tables: `python -m benchmarks [--rows N] [part…]`."""

import argparse
import signal
import sys

from benchmarks import trades
from benchmarks.measure import say, table

PARTS = {"trades": trades.figures}


def main() -> None:
    """Run the parts that the command line names, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed and size.")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all without one")
    parser.add_argument("--rows", type=int, default=10_000_000, help="of a large table (default: %(default)s)")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {' or '.join(sorted(unknown))}")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that everything is stopped
    try:
        for name in arguments.parts or PARTS:
            say(f"{name}:")
            print(f"\n{table(PARTS[name](arguments.rows))}\n", flush=True)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
