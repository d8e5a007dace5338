"""Tables for a terminal or a pipe: decimal points are aligned, and no digits are truncated."""

from collections.abc import Sequence
from decimal import Decimal

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from local.cli.console import printable

WIDEST = 10_000

type Column = tuple[str, list[str]]


def texts(header: str, values: Sequence[str]) -> Column:
    """Return a column of texts."""
    return header, [escape(printable(value)) for value in values]


def numbers(header: str, values: Sequence[str]) -> Column:
    """Return a column of decimal numbers with thousands separators; empty strings remain empty.

    They are padded here, because Rich drops spaces at the end of a cell.
    """
    parts = [(f"{Decimal(value):,f}" if value else "").partition(".") for value in values]
    decimals = max((len(point + fraction) for _, point, fraction in parts), default=0)
    padded = [whole + (point + fraction).ljust(decimals) for whole, point, fraction in parts]
    width = max(map(len, [header, *padded]))
    return header.rjust(width), [text.rjust(width) for text in padded]


def show(columns: Sequence[Column], *, has_total: bool = False) -> None:
    """Print a table in its full width; with `has_total`, the last row is separated by a line."""
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for header, _ in columns:
        table.add_column(header, no_wrap=True)
    *rows, last = zip(*(values for _, values in columns), strict=True)
    for row in rows:
        table.add_row(*row)
    if has_total:
        table.add_section()
    table.add_row(*last)
    console = Console()
    width = Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum
    console.width = max(console.width, width)
    console.print(table)
