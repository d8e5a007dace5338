"""Analyses: what a day's trades in S3 come to, written beside them, whole and of one version of the source."""

import csv
import io
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from http import HTTPStatus

from pydantic import TypeAdapter

from trading.analysis import keys
from trading.analysis.csv_files import BadHeaderError, Reject
from trading.analysis.summary import Summary, TickerSummary, TooManyTickersError, summarize
from trading.core import storage
from trading.core.storage import StoredObject, Upload
from trading.core.values import plain
from trading.http.problems import FieldError, ProblemError, invalid

REJECTS_HEADER = ("line", "reason", "row")
REJECTS_DEFAULT = 1_000  # rows of a page
REJECTS_LIMIT = 5_000
# What an answer of Lambda's, 6 MB, has room for: escaped in JSON a character may take six bytes.
REJECTS_CHARACTERS = 800_000
ROW_CHARACTERS = 10_000
ATTEMPTS = 3
# What a spreadsheet takes for a formula when a cell begins with it.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class AnalysisRow:
    """What the trades of one ticker come to; where the file has currencies, those in one of them.

    Amounts have the digits of the file.
    """

    ticker: str
    total_volume: str
    average_price: str
    mean_price: str
    trade_count: int
    notional: str
    open: str
    high: str
    low: str
    close: str
    buy_volume: str
    sell_volume: str
    currency: str | None = None


COLUMNS = tuple(field.name for field in fields(AnalysisRow))

_ROWS = TypeAdapter(list[AnalysisRow])


@dataclass(frozen=True, slots=True)
class DayAnalysis:
    """A day's analysis as it is stored: how many rows its trades had, and a row for each ticker in order."""

    date: date
    records_processed: int
    rejected: int
    rows: list[AnalysisRow]


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A line of a day's trades that is no trade (the header is line 1), why, and what stands there.

    The row is as it is stored, its first 10,000 characters.
    """

    line: int
    reason: str
    row: str


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was done: where the trades were and the result is, and how many rows and tickers there were."""

    input_file: str
    output_file: str
    records_processed: int
    analysis_summary_count: int
    rejected: int


def analyze_day(bucket: str, day: date) -> Analysis:
    """Analyze a day's trades and write the result beside them, and what was rejected.

    The rejects are written first, or removed, and the analysis last. A source that is replaced meanwhile is read again,
    so that what stands there in the end is of its last version. The same source gives the same bytes.

    Raises:
        ProblemError: 404, there are no trades of that day; 400, the file has no readable header or too many tickers;
            409, the file was replaced each of three times while it was read.
        summary.UnreconciledError, csv_files.CutShortError,
        storage.IncompleteBodyError: no result was written.
    """
    for _ in range(ATTEMPTS):
        source = _open_source(bucket, day)
        if source is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"There is no file of trades of {day}.")
        analysis = _analyze(bucket, day, source)
        if analysis:
            return analysis
    raise ProblemError(
        HTTPStatus.CONFLICT, f"{keys.trades_key(day)} was replaced {ATTEMPTS} times while it was read: try again."
    )


def is_done(bucket: str, day: date) -> bool:
    """Whether a day's analysis is of the trades that are there now."""
    analysis = storage.describe(bucket, keys.analysis_key(day))
    source = _describe_source(bucket, day)
    return analysis is not None and source is not None and analysis[1].get("source-etag") == source


def stored_csv(bucket: str, day: date) -> str:
    """Return the CSV of a day's analysis.

    Raises:
        ProblemError: 404, there is none.
        storage.IncompleteBodyError: it could not be read whole.
    """
    return _text(_open_analysis(bucket, day))


def stored(bucket: str, day: date) -> DayAnalysis:
    """Return a day's analysis.

    Raises:
        ProblemError: 404, there is none; 409, it is not one of ours.
        storage.IncompleteBodyError: it could not be read whole.
    """
    analysis = _open_analysis(bucket, day)
    if "rows" not in analysis.metadata:
        raise ProblemError(
            HTTPStatus.CONFLICT,
            f"{analysis.key} was written by somebody else: POST the date to /api/analyses/ to make it anew, or read it"
            " as it is with Accept: text/csv.",
        )
    rows = _ROWS.validate_python(list(csv.DictReader(io.StringIO(_text(analysis)))))
    return DayAnalysis(day, int(analysis.metadata["rows"]), int(analysis.metadata["rejected"]), rows)


def stored_rejects(bucket: str, day: date, limit: int, cursor: str | None) -> tuple[list[RejectedRow], str | None]:
    """Return a page of the rows that a day's analysis left out, in order, and the cursor of the next page if any.

    The file is read from its beginning up to the page's end, and no further. A page ends early where its rows are long,
    so that an answer of Lambda's has room for it.

    Raises:
        ProblemError: 404, there is no analysis; 400, the cursor is not one of ours.
        storage.IncompleteBodyError: it could not be read whole.
    """
    if cursor is not None and not re.fullmatch(r"[0-9]{1,18}", cursor, re.ASCII):
        raise invalid(FieldError("cursor", "is not a cursor that this API gave out; leave it away to start anew"))
    if storage.describe(bucket, keys.analysis_key(day)) is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"There is no analysis of {day}.")
    stored = storage.open_object(bucket, keys.rejects_key(day))
    if stored is None:
        return [], None
    page: list[RejectedRow] = []
    characters = 0
    for row in _read_rejects(stored.chunks):
        if row.line <= int(cursor or 0):
            continue
        characters += len(row.row)
        if page and (len(page) == limit or characters > REJECTS_CHARACTERS):
            return page, str(page[-1].line)
        page.append(row)
    return page, None


def rejects_csv(rejects: Sequence[RejectedRow]) -> str:
    """Return rejected rows as the CSV that they are stored in."""
    return _csv([REJECTS_HEADER, *((str(reject.line), reject.reason, reject.row) for reject in rejects)]).decode()


def _read_rejects(chunks: Iterator[bytes]) -> Iterator[RejectedRow]:
    csv.field_size_limit(sys.maxsize)  # a rejected row may be as long as it likes
    rows = csv.reader(_lines(chunks))
    next(rows)
    for line, reason, row in rows:
        yield RejectedRow(int(line), reason, row[:ROW_CHARACTERS])


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Yield lines with their ends; other characters that Python takes for the end of a line stay within them."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (f"{line.decode()}\n" for line in lines)
    if rest:
        yield rest.decode()


def _open_analysis(bucket: str, day: date) -> StoredObject:
    analysis = storage.open_object(bucket, keys.analysis_key(day))
    if analysis is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"There is no analysis of {day}.")
    return analysis


def _text(stored: StoredObject) -> str:
    return b"".join(stored.chunks).decode()


def _analyze(bucket: str, day: date, source: StoredObject) -> Analysis | None:
    """Return what was written, or nothing where the source was replaced while it was read."""
    with Upload(bucket, keys.rejects_key(day), storage.CSV, {"source-etag": source.etag}) as rejects:
        rejects.write(_csv([REJECTS_HEADER]))
        try:
            summary = summarize(source.chunks, lambda found: _write_rejects(rejects, found))
        except (BadHeaderError, TooManyTickersError) as error:
            raise ProblemError(HTTPStatus.BAD_REQUEST, f"{source.key}: {error}") from error
        if _describe_source(bucket, day) != source.etag:
            return None
        if summary.rows_rejected:
            rejects.complete()
        elif storage.describe(bucket, keys.rejects_key(day)):
            storage.delete(bucket, keys.rejects_key(day))
    metadata = {"source-etag": source.etag, "rows": str(summary.rows_read), "rejected": str(summary.rows_rejected)}
    storage.put(bucket, keys.analysis_key(day), to_csv(summary), storage.CSV, metadata)
    if _describe_source(bucket, day) != source.etag:
        return None  # what was just written may have replaced the analysis of the newer one
    return Analysis(source.key, keys.analysis_key(day), summary.rows_read, len(summary.tickers), summary.rows_rejected)


def to_csv(summary: Summary) -> bytes:
    """Return an analysis as CSV: a header, and a row for each ticker in order, and its currency if the file had it."""
    columns = COLUMNS if summary.has_currency else COLUMNS[:-1]
    return _csv([columns, *(_row(ticker)[: len(columns)] for ticker in summary.tickers)])


def _row(ticker: TickerSummary) -> Sequence[str]:
    return (
        ticker.ticker,
        plain(ticker.total_volume),
        str(ticker.average_price),
        str(ticker.mean_price),
        str(ticker.trade_count),
        *(_amount(each) for each in (ticker.notional, ticker.open, ticker.high, ticker.low, ticker.close)),
        plain(ticker.buy_volume),
        plain(ticker.sell_volume),
        ticker.currency or "",
    )


def _amount(number: Decimal) -> str:
    """Return an amount with all of its digits, at least two after the point."""
    whole, _, fraction = plain(number).partition(".")
    return f"{whole}.{fraction.ljust(2, '0')}"


def _write_rejects(upload: Upload, rejects: Sequence[Reject]) -> None:
    upload.write(_csv([(str(reject.line), reject.reason, _harmless(reject.row)) for reject in rejects]))


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _open_source(bucket: str, day: date) -> StoredObject | None:
    key = keys.trades_key(day)
    return storage.open_object(bucket, key) or storage.open_object(bucket, f"{key}.gz")


def _describe_source(bucket: str, day: date) -> str | None:
    key = keys.trades_key(day)
    described = storage.describe(bucket, key) or storage.describe(bucket, f"{key}.gz")
    return described[0] if described else None
