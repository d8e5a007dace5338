"""Alert rules in text form: `AAPL rise 3% in 5m`, `* fall 2% in 60s`, `AAPL below 180 once`."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import click

WINDOW_EXAMPLE = "5m or 90s"
_WINDOW = re.compile(r"([0-9]{1,6})([sm]?)", re.ASCII)
_RULE = re.compile(
    r"(?P<ticker>\S+)"
    r" ((?P<move>rise|fall) (?P<percent>\S+) in (?P<window>\S+)|(?P<level>above|below) (?P<price>\S+))"
    r"(?P<once> once)?"
)


class Window(click.ParamType[int]):
    """Seconds, written as `90`, `90s` or `5m`."""

    name = "window"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of seconds."""
        try:
            return value if isinstance(value, int) else window_seconds(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def window_seconds(text: str) -> int:
    """Parse a duration such as `5m` or `90s` and return its seconds.

    Raises:
        ValueError: it is not a duration.
    """
    match = _WINDOW.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a time such as {WINDOW_EXAMPLE}")
    return int(match[1]) * (60 if match[2] == "m" else 1)


def settings_of(text: str) -> dict[str, Any]:
    """Parse a rule and return its settings in the API's format; their values are not validated.

    Raises:
        ValueError: it does not have the form of a rule.
    """
    match = _RULE.fullmatch(" ".join(text.split()))
    if not match:
        raise ValueError(f"{text!r} is not a rule such as 'AAPL rise 3% in 5m' or 'AAPL below 180 once'")
    settings = {"ticker": match["ticker"].upper(), "once": match["once"] is not None}
    if match["move"]:
        percent, seconds = match["percent"].removesuffix("%"), window_seconds(match["window"])
        return {**settings, "kind": match["move"], "percent": percent, "window_seconds": seconds}
    return {**settings, "kind": match["level"], "price": match["price"]}


def lines_of(lines: Iterable[str]) -> list[str]:
    """Return the rules of a file, one per line; empty lines and lines that begin with # are skipped."""
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def described(rule: Mapping[str, Any]) -> str:
    """Return a rule from the API in text form."""
    what = f"{rule['percent']}% in {rule['window_seconds']}s" if rule["percent"] else rule["price"]
    return f"{rule['ticker']} {rule['kind']} {what}{' once' if rule['once'] else ''}"
