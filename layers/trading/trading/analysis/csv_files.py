"""Trade files: the CSV of a day's trades, read from a stream in segments of whole physical lines.

A record is one physical line, so whatever is wrong with a line costs that line alone.
"""

import csv
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

COLUMNS = ("ticker", "price", "quantity", "side", "timestamp")

SEGMENT_BYTES = 8 * 1024 * 1024
LINE_BYTES = 64 * 1024  # a longer line is cut here and rejected
HEADER_LINE = 1

# Stands for what is not text: it makes the line that holds it a reject.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Bytes that have a meaning where lines are handed over, and so none in them: a lone carriage return would end a line.
SEPARATOR = b"\x1f"
ABSENT = "\x1e"  # a field that is not there, unlike one that is empty
_FORBIDDEN = (b"\x00", b"\r", SEPARATOR, ABSENT.encode())

_GZIP_MAGIC = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class BadHeaderError(ValueError):
    """The first line does not name the columns of trades."""


class CutShortError(Exception):
    """A compressed stream ends before its end, or is damaged."""


@dataclass(frozen=True)
class Header:
    """Where each column stands in a file, counted from one, and how many there are."""

    positions: dict[str, int]
    count: int


@dataclass(frozen=True)
class Segment:
    """Whole lines of a file, each ended by a newline, in valid UTF-8."""

    lines: bytes
    first_line: int  # its number in the file, the header being line 1
    line_count: int
    is_plain: bool  # nothing is in quotes, and all of it is text

    def numbered(self, limit: int) -> Iterator[bytes]:
        """Yield the same lines, each with its number, at most so many at a time."""
        rest, number = self.lines, self.first_line
        while rest:
            *lines, rest = rest.split(b"\n", limit)
            yield numbered(enumerate(lines, number))
            number += len(lines)


def numbered(lines: Iterable[tuple[int, bytes]]) -> bytes:
    """Return lines in which SEPARATOR stands between the number and what the line says."""
    return b"".join(b"%d%b%b\n" % (number, SEPARATOR, line) for number, line in lines)


def read_header(line: bytes) -> Header:
    """Return where the columns of trades are, whatever their order and case, and whatever others there are.

    Raises:
        BadHeaderError: a column is missing, or there twice.
    """
    text = line.decode(errors="replace").strip("\r\n")
    try:
        names = [name.strip().lower() for name in next(csv.reader([text]), [])]
    except csv.Error as error:
        raise BadHeaderError(f"the header cannot be read: {error}") from None
    missing = [column for column in COLUMNS if column not in names]
    if missing:
        raise BadHeaderError(f"the header has no column {', '.join(missing)}: it is {text[:200]!r}")
    twice = [column for column in COLUMNS if names.count(column) > 1]
    if twice:
        raise BadHeaderError(f"the header has the column {', '.join(twice)} more than once")
    return Header({column: names.index(column) + 1 for column in COLUMNS}, len(names))


def read(chunks: Iterable[bytes]) -> tuple[Header | None, Iterator[Segment]]:
    """Return the header of a file, and its lines in segments, from the chunks of its bytes.

    Gzip is unpacked, a byte order mark dropped, CRLF read as a newline, and a last line without newline given one. An
    empty file has no header. Memory is bounded by the size of a segment.

    Raises:
        BadHeaderError: the first line is not the header of a trade file.
        CutShortError: (while segments are read) the stream is gzip and ends early.
    """
    blocks = _whole_lines(_unpacked(chunks))
    first = next(blocks, b"").removeprefix(BYTE_ORDER_MARK)
    head, _, rest = first.partition(b"\n")
    if not head.strip():
        if rest.strip():
            raise BadHeaderError("the header line is empty")
        return None, iter(())
    return read_header(head), _segments(rest, blocks)


def _segments(first: bytes, blocks: Iterator[bytes]) -> Iterator[Segment]:
    number = HEADER_LINE + 1
    block: bytes | None = first or next(blocks, None)
    while block is not None:
        segment = _segment(block, number)
        number += segment.line_count
        yield segment
        block = next(blocks, None)


def _segment(block: bytes, first_line: int) -> Segment:
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    for forbidden in _FORBIDDEN:
        if forbidden in block:
            block = block.replace(forbidden, REPLACEMENT.encode())
    is_text = True
    if not block.isascii():
        block = block.decode(errors="replace").encode()
        is_text = REPLACEMENT.encode() not in block
    return Segment(block, first_line, block.count(b"\n"), is_text and b'"' not in block)


def _whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield blocks of about a segment, each ended by a newline."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= SEGMENT_BYTES:
            block = b"".join(held)
            end = block.rfind(b"\n") + 1
            if end:
                yield _without_long_lines(block[:end])
            # A line that is longer than a segment is cut: its beginning is enough to reject it.
            held = [block[end : end + LINE_BYTES + 1]]
            size = len(held[0])
    last = b"".join(held)
    if last:
        yield _without_long_lines(last if last.endswith(b"\n") else last + b"\n")


def _without_long_lines(block: bytes) -> bytes:
    """Return the block with each line that is too long cut and marked, so that no reader has to hold it."""
    start = 0
    while len(block) - start > LINE_BYTES:
        end = block.rfind(b"\n", start, start + LINE_BYTES + 1)
        if end == -1:
            newline = block.index(b"\n", start)
            kept = block[: start + 1_000] + REPLACEMENT.encode()
            block, end = kept + block[newline:], len(kept)
        start = end + 1
    return block


def _unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    stream = iter(chunks)
    first = next(stream, b"")
    while len(first) < len(_GZIP_MAGIC) and (more := next(stream, b"")):
        first += more
    if not first.startswith(_GZIP_MAGIC):
        yield first
        yield from stream
        return
    unpacker = _unpacker()
    packed = first
    while packed:
        try:
            yield unpacker.decompress(packed, SEGMENT_BYTES)  # so much at a time, however well it was packed
        except zlib.error as error:
            raise CutShortError(f"the gzip stream is damaged: {error}") from None
        packed = unpacker.unconsumed_tail
        if unpacker.eof and (packed := unpacker.unused_data.lstrip(b"\0") or next(stream, b"")):
            unpacker = _unpacker()  # gzip allows several members, one after another
        elif not packed:
            packed = next(stream, b"")
    if not unpacker.eof:
        raise CutShortError("the gzip stream ends before its end")


def _unpacker() -> "zlib._Decompress":
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
