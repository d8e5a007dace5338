"""The console: what `local` tells its user while it runs, and what of a stranger's text a terminal is given."""

import logging
import sys
from typing import TextIO


def show_all(stream: TextIO = sys.stdout) -> None:
    """Print what the modules of `local` log, and warnings of anybody else."""
    logging.basicConfig(format="%(message)s", stream=stream)
    logging.getLogger("local").setLevel(logging.INFO)


def printable(text: str) -> str:
    r"""Return a text that a terminal shows and does not obey: an escape character becomes `\x1b`."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
