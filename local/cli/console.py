"""The console: what `local` tells its user while it runs."""

import logging
import sys


def show_all() -> None:
    """Print what the modules of `local` log, and warnings of anybody else."""
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("local").setLevel(logging.INFO)
