"""Trade files: the CSV of a day's trades, read as a stream in blocks of whole lines, with each line validated.

A record is one physical line, so an invalid line affects no other line.
"""

import csv
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

import re2

from trading.core.values import parse_instant

COLUMNS = ("ticker", "price", "quantity", "side", "timestamp")
CURRENCY = "currency"  # an optional column
COLUMN_LIMIT = 200  # columns of a file: with more than a few hundred, RE2 exceeds its memory limit and becomes slow

BLOCK_BYTES = 256 * 1024
LINE_BYTES = 64 * 1024  # a longer line is truncated and rejected
HEADER_LINE = 1

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # replaces bytes that are not UTF-8; a line that contains one is rejected
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_GZIP_MAGIC = b"\x1f\x8b"
_NOT_TEXT = re.compile("[\x00\r\x1e\x1f]")

_PATTERNS = {
    "ticker": r"[A-Z]{1,5}(?:[.-][A-Z]{1,4})?",
    "price": r"[0-9]{1,12}(?:\.[0-9]{1,6})?",
    "quantity": r"[0-9]{1,9}(?:\.[0-9]{1,10})?",
    "side": "(?:BUY|SELL)",
    CURRENCY: "[A-Z]{3}",
}
_FIELDS = {name: re.compile(pattern) for name, pattern in _PATTERNS.items()}
# The usual formats of instants from 1900 to 2099, valid dates only. `parse_instant` reads all others.
_DATE = (
    "(?:(?:19|20)[0-9]{2}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))|(?:19(?:0[48]|[2468][048]|[13579][26])|20(?:[02468][048]|[13579][26]))-02-29)"
)
_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_USUAL_INSTANT = rf"{_DATE}[T ]{_TIME}:[0-5][0-9](?:\.[0-9]{{1,6}})?(?:Z|[+-]{_TIME})?"
_BAD_OFFSET = re.compile(r"[+-][0-9]{2}:?[6-9][0-9]$")  # `parse_instant` accepts offset minutes above 59

# A quoted field may contain commas and doubled quotes; any other quote is invalid.
_QUOTED_LINE = re.compile(r'(?:"(?:[^"]|"")*"|[^",]*)(?:,(?:"(?:[^"]|"")*"|[^",]*))*')
_QUOTED_FIELD = re.compile(
    r',("(?:[^"]|"")*"|[^",]*)'
)  # including its comma, because an empty match would skip the text that follows
_CHARACTER = r'[^,"\n\r\x00\x1e\x1f\x{FFFD}\x{D800}-\x{DFFF}]'
_ANY_FIELD = rf'(?:{_CHARACTER}*|"(?:{_CHARACTER}|,|"")*")'


class BadHeaderError(ValueError):
    """The first line is not a valid header of a trade file."""


class CutShortError(Exception):
    """A compressed stream is truncated or damaged."""


class BadLineError(ValueError):
    """A line is not a valid trade; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A rejected line: its number (the header is line 1), the reason, and its text."""

    line: int
    reason: str
    row: str


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive lines of a file: for each of them a normalized trade, or a row of nulls."""

    lines: bytes
    first_line: int  # its number in the file; the header is line 1
    line_count: int
    row_count: int  # lines that are not blank
    rejects: list[Reject]


def read(chunks: Iterable[bytes]) -> tuple[list[str], Iterator[Block]]:
    """Return the columns of a file and its lines in blocks, from chunks of its bytes.

    Unknown columns have an empty name, and an empty file has no columns. Gzip is decompressed, a byte order mark is
    dropped, CRLF is read as a newline, and a missing newline at the end is added. Memory is bounded by the block size.

    Raises:
        BadHeaderError: the first line is not the header of a trade file.
        CutShortError: the gzip stream is truncated or damaged (also raised while reading blocks).
    """
    pieces = _whole_lines(_unpacked(chunks))
    header, _, rest = next(pieces, b"").removeprefix(BYTE_ORDER_MARK).partition(b"\n")
    pieces = chain([rest], pieces)
    if not header.strip() and not any(piece.strip() for piece in pieces):
        return [], iter(())
    columns = _read_header(header)
    return columns, _blocks(_Lines(columns), pieces)


def _read_header(line: bytes) -> list[str]:
    header = line.decode(errors="replace").strip("\r\n")
    try:
        names = [name.strip().lower() for name in next(csv.reader([header]), [])]
    except csv.Error as error:
        raise BadHeaderError(f"the header cannot be read: {error}") from None
    missing = [column for column in COLUMNS if column not in names]
    if missing:
        raise BadHeaderError(f"the header has no column {', '.join(missing)}: it is {header[:200]!r}")
    known = (*COLUMNS, CURRENCY)
    twice = [column for column in known if names.count(column) > 1]
    if twice:
        raise BadHeaderError(f"the header has the column {', '.join(twice)} more than once")
    if len(names) > COLUMN_LIMIT:
        raise BadHeaderError(f"the header has {len(names)} columns: at most {COLUMN_LIMIT} are allowed")
    return [name if name in known else "" for name in names]


def _blocks(lines: "_Lines", pieces: Iterable[bytes]) -> Iterator[Block]:
    number = HEADER_LINE + 1
    for piece in pieces:
        block = lines.checked(piece.replace(b"\r\n", b"\n") if b"\r" in piece else piece, number)
        yield block
        number += block.line_count


class _Lines:
    """Validates the lines of a file with these columns."""

    def __init__(self, columns: Sequence[str]) -> None:
        patterns = {**_PATTERNS, "timestamp": _USUAL_INSTANT}
        fields = [f'(?:{patterns[name]}|"{patterns[name]}")' if name else _ANY_FIELD for name in columns]
        self._trades = re2.compile(f"(?:{','.join(fields)}\n)*".encode())
        self._columns = columns
        self._positions = {name: columns.index(name) for name in (*COLUMNS, CURRENCY) if name in columns}
        self._nulls = b"," * (len(columns) - 1) + b"\n"

    def checked(self, lines: bytes, first_line: int) -> Block:
        """Validate lines and return them as a block.

        One pass finds the end of a run of normalized trades; the line after it is examined individually.
        """
        view = memoryview(lines)
        usual: list[bytes | memoryview] = []
        rejects: list[Reject] = []
        start, number, blank_count = 0, first_line, 0
        while (end := self._trades.match(lines, start).end()) < len(lines):
            number += lines.count(b"\n", start, end)
            newline = lines.index(b"\n", end)
            line = _NOT_TEXT.sub(REPLACEMENT, lines[end:newline].decode(errors="replace"))
            try:
                spelled = self._usual_spelling(line)
            except BadLineError as error:
                spelled = self._nulls
                if line:
                    rejects.append(Reject(number, str(error), line))
                else:
                    blank_count += 1
            usual += view[start:end], spelled
            start, number = newline + 1, number + 1
        usual.append(view[start:])
        line_count = number - first_line + lines.count(b"\n", start)
        return Block(b"".join(usual), first_line, line_count, line_count - blank_count, rejects)

    def _usual_spelling(self, line: str) -> bytes:
        """Return a line as a normalized trade, without unknown fields.

        Raises:
            BadLineError: it is not a valid trade.
        """
        fields = self._fields(line)
        usual = [""] * len(fields)
        for name, position in self._positions.items():
            usual[position] = _usual_field(name, fields[position])
        return f"{','.join(usual)}\n".encode()

    def _fields(self, line: str) -> list[str]:
        if REPLACEMENT in line:
            raise BadLineError("not UTF-8 text, or too long")
        if '"' not in line:
            fields = line.split(",")
        elif _QUOTED_LINE.fullmatch(line):
            found = _QUOTED_FIELD.findall(f",{line}")
            fields = [field[1:-1].replace('""', '"') if field.startswith('"') else field for field in found]
        else:
            raise BadLineError("stray quote")
        if len(fields) != len(self._columns):
            raise BadLineError("missing field" if len(fields) < len(self._columns) else "too many fields")
        return fields


def _usual_field(name: str, field: str) -> str:
    if name != "timestamp":
        if _FIELDS[name].fullmatch(field):
            return field
    elif not _BAD_OFFSET.search(field):
        with suppress(ValueError):
            return parse_instant(field.replace("t", "T").replace("z", "Z")).isoformat()
    raise BadLineError(f"bad {name}")


def _whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield pieces of about the block size, each ending with a newline."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= BLOCK_BYTES:
            piece = b"".join(held)
            end = piece.rfind(b"\n") + 1
            if end:
                yield _without_long_lines(piece[:end])
            # A line longer than a block is truncated: its beginning is enough to reject it.
            held = [piece[end : end + LINE_BYTES + 1]]
            size = len(held[0])
    last = b"".join(held)
    if last:
        yield _without_long_lines(last if last.endswith(b"\n") else last + b"\n")


def _without_long_lines(piece: bytes) -> bytes:
    """Return the piece with each overlong line truncated and marked, so that no reader has to buffer it."""
    start = 0
    while len(piece) - start > LINE_BYTES:
        end = piece.rfind(b"\n", start, start + LINE_BYTES + 1)
        if end == -1:
            newline = piece.index(b"\n", start)
            kept = piece[: start + 1_000] + REPLACEMENT.encode()
            piece, end = kept + piece[newline:], len(kept)
        start = end + 1
    return piece


def _unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a file's decompressed bytes, at most a block at a time."""
    stream = iter(chunks)
    first = next(stream, b"")
    while len(first) < len(_GZIP_MAGIC) and (more := next(stream, b"")):
        first += more
    if not first.startswith(_GZIP_MAGIC):
        for chunk in chain([first], stream):
            yield from (chunk[start : start + BLOCK_BYTES] for start in range(0, len(chunk), BLOCK_BYTES))
        return
    unpacker = _unpacker()
    packed = first
    while packed:
        try:
            yield unpacker.decompress(packed, BLOCK_BYTES)  # bounded, whatever the compression ratio
        except zlib.error as error:
            raise CutShortError(f"the gzip stream is damaged: {error}") from None
        packed = unpacker.unconsumed_tail
        if unpacker.eof and (packed := unpacker.unused_data.lstrip(b"\0") or next(stream, b"")):
            unpacker = _unpacker()  # gzip allows several concatenated members
        elif not packed:
            packed = next(stream, b"")
    if not unpacker.eof:
        raise CutShortError("the gzip stream is incomplete")


def _unpacker() -> "zlib._Decompress":
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
