"""The known formats, and recognizing a format by its header."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from trading.trades.imports.format import Field, Format, Source
from trading.trades.imports.formats import (
    fidelity,
    ibkr_activity,
    ibkr_flex,
    own,
    revolut,
    robinhood,
    saxo,
    schwab,
    swissquote,
    trading212,
)

FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT
    for module in (
        schwab,
        fidelity,
        ibkr_flex,
        ibkr_activity,
        robinhood,
        trading212,
        revolut,
        swissquote,
        saxo,
        own,
    )
}


@dataclass(frozen=True, slots=True)
class KnownFormat:
    """A format: its name, the columns by which it is recognized, its time zone, and its public samples."""

    name: str
    title: str
    columns: Sequence[str]
    timezone: str
    sources: Sequence[Source]


def known() -> list[KnownFormat]:
    """Return the formats that are recognized automatically."""
    return [KnownFormat(each.name, each.title, each.header, each.zone, each.sources) for each in FORMATS.values()]


class RepeatedColumnError(Exception):
    """A header has two columns with the name of a column that is read."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The positions of a format's columns in a file."""

    format: Format
    width: int
    fields: Mapping[Field, int]
    fees: Sequence[tuple[int, int | None]]  # each with the column of its currency
    only: Sequence[tuple[int, re.Pattern[str]]]


def layout_of(format_: Format, cells: Sequence[str]) -> Layout | None:
    """Return the positions of a format's columns if `cells` are its header.

    Raises:
        RepeatedColumnError: a column that is read occurs twice.
    """
    names = [cell.lower() for cell in cells]
    if not {name.lower() for name in format_.header} <= set(names):
        return None

    def find(wanted: Sequence[str]) -> int | None:
        for name in wanted:
            if names.count(name.lower()) > 1:
                raise RepeatedColumnError(f"has the column {name} twice")
            if name.lower() in names:
                return names.index(name.lower())
        return None

    found = {field: position for field, known in format_.columns.items() if (position := find(known)) is not None}
    held = {"quantity", "price"} if format_.event else set()
    if not {"date", "quantity", "price"} - held <= found.keys() or not {"ticker", "isin"} & found.keys():
        return None
    return Layout(
        format_,
        len(cells),
        found,
        [
            (position, find([fee.currency]) if fee.currency else None)
            for fee in format_.fees
            if (position := find(fee.names)) is not None
        ],
        [
            (position, re.compile(wanted, re.IGNORECASE))
            for name, wanted in (format_.only or {}).items()
            if (position := find([name])) is not None
        ],
    )


def recognize(cells: Sequence[str], formats: Iterable[Format]) -> Layout | None:
    """Return the layout of the first format of which these cells are the header.

    A statement in sections begins with the header of a section, so its layout has no fields.

    Raises:
        RepeatedColumnError: a column that is read occurs twice.
    """
    for format_ in formats:
        if format_.is_sectioned:
            if list(cells[:2]) in (["Statement", "Header"], list(format_.header[:2])):
                return Layout(format_, len(cells), {}, (), ())
        elif layout := layout_of(format_, cells):
            return layout
    return None
