"""Tables: reading CSV files as brokers, exchanges and spreadsheets export them.

The header may follow a preamble, cells may use any common delimiter and quoting, and numbers may have thousands
separators, currency signs and a decimal comma. Nothing that would change a value is guessed.
"""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

HEADER_LINES = 20  # the header must begin within these
DELIMITERS = (",", ";", "\t", "|")

_SEEN = 120  # characters quoted from a file that is not recognized


def _number_pattern(decimal_mark: str, other_mark: str) -> re.Pattern[str]:
    spaces = r" \u00a0\u2009\u202f"  # including no-break and thin spaces
    currency = rf"[{spaces}]*(?:[A-Z]{{0,3}}[$\u00a2-\u00a5\u20a0-\u20cf]|[A-Z]{{3}})?[{spaces}]*"
    sign = r"[+\-\u2212]"
    separator = rf"[{other_mark}'\u2019{spaces}]"
    whole = rf"[0-9]+|[1-9][0-9]{{0,2}}(?P<separator>{separator})[0-9]{{3}}(?:(?P=separator)[0-9]{{3}})*"
    return re.compile(
        rf"(?:(?P<parenthesis>\()|(?P<outer>{sign}))?{currency}(?(parenthesis)|(?(outer)|(?P<inner>{sign})?))"
        rf"(?=[{decimal_mark}0-9])(?P<whole>{whole})?(?:[{decimal_mark}](?P<fraction>[0-9]+))?"
        rf"(?P<exponent>[eE][+-]?[0-9]{{1,3}})?{currency}(?(parenthesis)\))"
    )


_NUMBER = {".": _number_pattern(".", ","), ",": _number_pattern(",", ".")}
_PLAIN_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_MINUS = {"-", "\N{MINUS SIGN}"}


class UnknownTableError(Exception):
    """None of the first rows is a known header; `seen` is the beginning of the file's first row."""

    def __init__(self, seen: str) -> None:
        super().__init__(f"no header was recognized in the first {HEADER_LINES} lines; the first row is {seen!r}")
        self.seen = seen


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: the line at which it begins, counted from 1, and its cells without surrounding spaces.

    A row that is not valid CSV has no cells and a `fault` that says why.
    """

    line: int
    cells: Sequence[str]
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Table[T]:
    """A table whose header was recognized as `layout`, and the non-blank rows below the header."""

    layout: T
    header: Row
    rows: Iterator[Row]


def read[T](data: bytes, recognize: Callable[[Sequence[str]], T | None]) -> Table[T]:
    """Return the table in a file; `recognize` is called with the cells of each row that may be the header.

    Rows end only at a newline, with or without a carriage return before it. Blank rows are skipped.

    Raises:
        UnknownTableError: no header was recognized.
    """
    text = decode(data)
    for delimiter in DELIMITERS:
        rows = _rows(text, delimiter)
        for row in rows:
            if row.line > HEADER_LINES:
                break
            layout = recognize(row.cells)
            if layout is not None:
                return Table(layout, row, rows)
    raise UnknownTableError(text.strip().partition("\n")[0].strip()[:_SEEN])


def decode(data: bytes) -> str:
    """Decode UTF-8, UTF-16 with a byte order mark, or otherwise Windows-1252.

    Undefined bytes become U+FFFD. Digits and ASCII letters are the same in UTF-8 and Windows-1252.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def number(text: str, decimal_mark: str = ".") -> Decimal:
    """Parse the number in a cell, keeping all digits.

    Thousands may be separated by the other mark, a space or an apostrophe, in groups of three. A currency sign or
    code may come first or last, and parentheses mean a negative number.

    Raises:
        ValueError: it is not such a number.
    """
    if decimal_mark == "." and _PLAIN_NUMBER.fullmatch(text):
        return Decimal(text)  # the common case, and twice as fast
    match = _NUMBER[decimal_mark].fullmatch(text.strip())
    if match is None:
        raise ValueError(f"must be a number, not {text[:40]!r}")
    minus = "-" if match["parenthesis"] or (match["outer"] or match["inner"]) in _MINUS else ""
    whole = (match["whole"] or "0").replace(match["separator"] or " ", "")
    return Decimal(f"{minus}{whole}.{match['fraction'] or ''}{match['exponent'] or ''}")


def find_decimal_mark(texts: Iterable[str]) -> str | None:
    """Return the decimal mark of a column, from the first cell that is a number under one mark only.

    None if there is no such cell: 1,234 could be either. Cells that are not numbers are ignored.
    """
    for text in texts:
        amount = text.strip().rstrip("%KMB")  # suffixes of volumes and changes, which also show the mark
        marks = [mark for mark in _NUMBER if _NUMBER[mark].fullmatch(amount)]
        if len(marks) == 1:
            return marks[0]
    return None


def _rows(text: str, delimiter: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, skipinitialspace=True, strict=True)
    while True:
        line = reader.line_num + 1
        cells: list[str] = []
        fault = None
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            fault = f"is not CSV: {str(error).partition(' - ')[0]}"
        if fault or any(cells):
            yield Row(line, cells, fault)
