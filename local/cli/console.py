"""The console: log output for the user, and making untrusted text safe for a terminal."""

import logging
import sys
from typing import TextIO


def show_all(stream: TextIO = sys.stdout) -> None:
    """Print the log messages of `local`, and warnings of all other loggers."""
    logging.basicConfig(format="%(message)s", stream=stream)
    logging.getLogger("local").setLevel(logging.INFO)


def printable(text: str) -> str:
    r"""Return a text without terminal control characters: an escape character becomes `\x1b`."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
