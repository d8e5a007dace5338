"""What several commands have in common: options, and the shape of their examples."""

import json
from collections.abc import Iterable
from itertools import islice
from typing import Any

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON, for other programs.")

PAGE_LIMIT = 5_000  # the API's


def page_of(limit: int) -> int:
    """Return how many elements to ask for at a time, to show so many and to know whether there are more."""
    return min(limit + 1, PAGE_LIMIT)


def at_most[T](limit: int, found: Iterable[T]) -> list[T]:
    """Return the first so many elements, and say on standard error if there are more."""
    first = list(islice(found, limit + 1))
    if len(first) > limit:
        click.echo(f"There are more than {limit:,}; --limit shows more.", err=True)
    return first[:limit]


def examples(*lines: str) -> str:
    """Return the end of a command's help: lines that can be typed as they stand."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def print_json(value: Any) -> None:
    """Print JSON. A decimal is a quantity of the API's, of at most 15 digits, which a double carries exactly."""
    click.echo(json.dumps(value, indent=2, default=float))
