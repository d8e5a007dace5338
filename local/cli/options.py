"""Options and help shared by several commands."""

import json
from collections.abc import Iterable
from itertools import islice
from typing import Any

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON, for other programs.")

PAGE_LIMIT = 5_000  # of the API


def page_of(limit: int) -> int:
    """Return the page size to show `limit` elements and to know whether there are more."""
    return min(limit + 1, PAGE_LIMIT)


def at_most[T](limit: int, found: Iterable[T]) -> list[T]:
    """Return the first `limit` elements, and report on standard error if there are more."""
    first = list(islice(found, limit + 1))
    if len(first) > limit:
        click.echo(f"There are more than {limit:,}; --limit shows more.", err=True)
    return first[:limit]


def examples(*lines: str) -> str:
    """Return the examples at the end of a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def print_json(value: Any) -> None:
    """Print JSON. Decimals are quantities of at most 15 digits, which are exact as doubles."""
    click.echo(json.dumps(value, indent=2, default=float))
