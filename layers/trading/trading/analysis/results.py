"""Analyses: summarizing a day's trades in S3, and storing the result atomically beside them."""

import csv
import io
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal

from pydantic import TypeAdapter

from trading.analysis import changes, keys, runs
from trading.analysis.changes import Change
from trading.analysis.csv_files import BadHeaderError, Reject
from trading.analysis.keys import EXPORTED
from trading.analysis.runs import Run
from trading.analysis.summary import Summary, TickerSummary, TooManyTickersError, summarize
from trading.core import storage
from trading.core.errors import BAD_CURSOR, ConflictError, FieldError, InvalidError, NotFoundError
from trading.core.storage import StoredObject, Upload
from trading.core.values import format_decimal, parse_date

REJECTS_HEADER = ("line", "reason", "row")
REJECTS_DEFAULT = 1_000  # rows
REJECTS_LIMIT = 5_000
# Fits into a Lambda response of 6 MB: a character escaped in JSON takes up to six bytes.
REJECTS_CHARACTERS = 800_000
ROW_CHARACTERS = 10_000
ATTEMPTS = 3
ROWS_LIMIT = 10_000  # rows of a page: less than half of the response limit
ROW_KEYS = ("ticker", "currency")
CHANGES_HEADER = ("ticker", "figure", "old", "new")
# Characters that start a formula in a spreadsheet, including full-width signs. A program that splits at semicolons,
# tabs or spaces sees the start of a cell after each of them.
_FORMULA = re.compile(r"(^|[;,\t\r\n ])[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")


@dataclass(frozen=True, slots=True)
class AnalysisRow:
    """The summary of one ticker's trades, or of those in one currency if the file has currencies.

    Amounts keep the digits of the file.
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
    """A stored analysis of a day: how many rows were read and rejected, and a summary of each ticker.

    `status`: it covers the present trades (current) or earlier ones (stale), it is in progress (running), or the last
    attempt failed for a `reason`. `is_foreign`: the trades were not exported by this system. `revision` is the number
    of versions of the trades that were analyzed, and `changes` are the differences to the previous one.
    """

    date: date
    records_processed: int
    rejected: int
    rows: list[AnalysisRow]
    status: Literal["current", "stale", "running", "failed"]
    reason: str | None
    is_foreign: bool
    revision: int
    changes: list[Change]


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A line of a day's trades that is not a trade (the header is line 1), the reason, and its text.

    The row is shortened to its first 10,000 characters.
    """

    line: int
    reason: str
    row: str


@dataclass(frozen=True, slots=True)
class Analysis:
    """The outcome of an analysis: the keys of the trades and the result, and the number of rows and tickers."""

    input_file: str
    output_file: str
    records_processed: int
    analysis_summary_count: int
    rejected: int


def analyze_day(bucket: str, day: date) -> Analysis:
    """Analyze a day's trades and write the result and the rejected lines beside them.

    The rejects are written (or deleted) first and the analysis last. A source that is replaced meanwhile is read again,
    so that the final result is of its last version. The same source gives the same bytes.

    Raises:
        NotFoundError: there are no trades of that day.
        InvalidError: the file has no valid header or too many tickers.
        ConflictError: the file was replaced during each of three attempts to read it.
        summary.UnreconciledError, csv_files.CutShortError,
        storage.IncompleteBodyError: no result was written.
    """
    for _ in range(ATTEMPTS):
        source = _open_source(bucket, day)
        if source is None:
            raise NotFoundError(f"There is no trade file for {day}.")
        analysis = _analyze(bucket, day, source)
        if analysis:
            return analysis
    raise ConflictError(f"{keys.trades_key(day)} was replaced {ATTEMPTS} times while it was being read; try again.")


def is_done(bucket: str, day: date) -> bool:
    """Whether a day's analysis is up to date with its trades."""
    analysis = storage.describe(bucket, keys.analysis_key(day))
    source = _describe_source(bucket, day)
    return analysis is not None and source is not None and analysis[1].get("source-etag") == source[0]


def stored_csv(bucket: str, day: date) -> str:
    """Return the CSV of a day's analysis.

    Raises:
        NotFoundError: there is no analysis.
        storage.IncompleteBodyError: it could not be read completely.
    """
    return _text(_open_analysis(bucket, day))


def find_days(bucket: str, limit: int, cursor: str | None) -> tuple[list[date], str | None]:
    """Return a page of the days that have an analysis, newest first, and the cursor of the next page if there is one.

    Raises:
        InvalidError: the cursor is not valid.
    """
    try:
        before = parse_date(cursor) if cursor is not None else date.max
    except ValueError:
        raise InvalidError(BAD_CURSOR) from None
    days = [
        day for key in storage.list_keys(bucket, suffix=".csv") if (day := keys.analyzed_day_of(key)) and day < before
    ]
    page = sorted(days, reverse=True)[:limit]
    return page, str(page[-1]) if len(page) < len(days) else None


def stored(
    bucket: str, day: date, limit: int = ROWS_LIMIT, cursor: str | None = None
) -> tuple[DayAnalysis, str | None]:
    """Return a day's analysis with a page of its rows, and the cursor of the next page if there is one.

    An analysis that is in progress or has failed has no rows.

    Raises:
        NotFoundError: there is none, and none was requested.
        ConflictError: the file was not produced by this system.
        InvalidError: the cursor is not valid.
        storage.IncompleteBodyError: it could not be read completely.
    """
    if cursor is not None and not re.fullmatch(r"[0-9]{1,9}", cursor, re.ASCII):
        raise InvalidError(BAD_CURSOR)
    run, source = runs.last(bucket, "analysis", day), _describe_source(bucket, day)
    is_foreign = source is not None and not storage.has(source, EXPORTED)
    now = datetime.now(UTC)
    analysis = storage.open_object(bucket, keys.analysis_key(day))
    if analysis is None:
        if run is None:
            raise NotFoundError(f"There is no analysis for {day}.")
        reason = run.failure(now)
        status: Literal["running", "failed"] = "failed" if reason else "running"
        return DayAnalysis(day, 0, 0, [], status, reason, is_foreign, 0, []), None
    if "rows" not in analysis.metadata:
        raise ConflictError(
            f"{analysis.key} was not produced by this API. POST the date to /api/analyses to create it again, or read"
            " it as CSV with Accept: text/csv.",
        )
    start = int(cursor or 0)
    rows = list(csv.DictReader(io.StringIO(_text(analysis))))
    found = DayAnalysis(
        day,
        int(analysis.metadata["rows"]),
        int(analysis.metadata["rejected"]),
        _ROWS.validate_python(rows[start : start + limit]),
        _status(run, now, is_current=source is not None and analysis.metadata["source-etag"] == source[0]),
        run.failure(now) if run else None,
        is_foreign,
        int(analysis.metadata.get("revision", 1)),
        [] if start else _stored_changes(bucket, day),
    )
    return found, str(start + limit) if start + limit < len(rows) else None


def _status(run: Run | None, now: datetime, *, is_current: bool) -> Literal["current", "stale", "running", "failed"]:
    if run and run.is_under_way(now):
        return "running"
    if run and run.failure(now):
        return "failed"
    return "current" if is_current else "stale"


def _stored_changes(bucket: str, day: date) -> list[Change]:
    stored = storage.open_object(bucket, keys.changes_key(day))
    if stored is None:
        return []
    rows = csv.DictReader(io.StringIO(_text(stored)))
    return [Change(row["ticker"], row["figure"], row["old"] or None, row["new"] or None) for row in rows]


def stored_rejects(bucket: str, day: date, limit: int, cursor: str | None) -> tuple[list[RejectedRow], str | None]:
    """Return a page of the rejected rows of a day's analysis, in order, and the cursor of the next page if any.

    The file is read from its beginning to the end of the page. A page with long rows ends early, to fit into a Lambda
    response.

    Raises:
        NotFoundError: there is no analysis.
        InvalidError: the cursor is not valid.
        storage.IncompleteBodyError: it could not be read completely.
    """
    if cursor is not None and not re.fullmatch(r"[0-9]{1,18}", cursor, re.ASCII):
        raise InvalidError(BAD_CURSOR)
    if storage.describe(bucket, keys.analysis_key(day)) is None:
        raise NotFoundError(f"There is no analysis for {day}.")
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
    """Return rejected rows as CSV, in the stored format."""
    return _csv([REJECTS_HEADER, *((str(reject.line), reject.reason, reject.row) for reject in rejects)]).decode()


def _read_rejects(chunks: Iterator[bytes]) -> Iterator[RejectedRow]:
    csv.field_size_limit(sys.maxsize)  # a rejected row may have any length
    rows = csv.reader(_lines(chunks))
    next(rows)
    for line, reason, row in rows:
        yield RejectedRow(int(line), reason, row[:ROW_CHARACTERS])


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Yield lines with their newlines; other characters that Python treats as line ends do not split them."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (f"{line.decode()}\n" for line in lines)
    if rest:
        yield rest.decode()


def _open_analysis(bucket: str, day: date) -> StoredObject:
    analysis = storage.open_object(bucket, keys.analysis_key(day))
    if analysis is None:
        raise NotFoundError(f"There is no analysis for {day}.")
    return analysis


def _text(stored: StoredObject) -> str:
    return b"".join(stored.chunks).decode()


def _analyze(bucket: str, day: date, source: StoredObject) -> Analysis | None:
    """Return the analysis that was written, or None if the source was replaced while it was read."""
    with Upload(bucket, keys.rejects_key(day), storage.CSV, {"source-etag": source.etag}) as rejects:
        rejects.write(_csv([REJECTS_HEADER]))
        try:
            summary = summarize(source.chunks, lambda found: _write_rejects(rejects, found))
        except (BadHeaderError, TooManyTickersError) as error:
            raise InvalidError(FieldError(source.key, str(error))) from error
        if not _is_still(bucket, day, source):
            return None
        if summary.rows_rejected:
            rejects.complete()
        elif storage.describe(bucket, keys.rejects_key(day)):
            storage.delete(bucket, keys.rejects_key(day))
    result = to_csv(summary)
    metadata = {
        "source-etag": source.etag,
        "rows": str(summary.rows_read),
        "rejected": str(summary.rows_rejected),
        "revision": str(_next_revision(bucket, day, source, result)),
    }
    storage.put(bucket, keys.analysis_key(day), result, storage.CSV, metadata)
    if not _is_still(bucket, day, source):
        return None  # this result may have replaced that of the newer source
    return Analysis(source.key, keys.analysis_key(day), summary.rows_read, len(summary.tickers), summary.rows_rejected)


def _next_revision(bucket: str, day: date, source: StoredObject, result: bytes) -> int:
    """Return the revision number, after writing its changes; the same trades do not make a new revision."""
    before = storage.open_object(bucket, keys.analysis_key(day))
    if before is None:
        return 1
    revision = int(before.metadata.get("revision", 1))
    if before.metadata.get("source-etag") == source.etag:
        return revision
    old, new = (list(csv.DictReader(io.StringIO(text))) for text in (_text(before), result.decode()))
    rows = [(each.ticker, each.figure, each.old or "", each.new or "") for each in changes.between(old, new, ROW_KEYS)]
    storage.put(bucket, keys.changes_key(day), _csv([CHANGES_HEADER, *rows]), storage.CSV, {})
    return revision + 1


def to_csv(summary: Summary) -> bytes:
    """Return an analysis as CSV: a header and a row for each ticker (and currency if the file has it), in order."""
    columns = COLUMNS if summary.has_currency else COLUMNS[:-1]
    return _csv([columns, *(_row(ticker)[: len(columns)] for ticker in summary.tickers)])


def _row(ticker: TickerSummary) -> Sequence[str]:
    return (
        ticker.ticker,
        format_decimal(ticker.total_volume),
        str(ticker.average_price),
        str(ticker.mean_price),
        str(ticker.trade_count),
        *(_amount(each) for each in (ticker.notional, ticker.open, ticker.high, ticker.low, ticker.close)),
        format_decimal(ticker.buy_volume),
        format_decimal(ticker.sell_volume),
        ticker.currency or "",
    )


def _amount(number: Decimal) -> str:
    """Return an amount with all digits, at least two after the decimal point."""
    whole, _, fraction = format_decimal(number).partition(".")
    return f"{whole}.{fraction.ljust(2, '0')}"


def _write_rejects(upload: Upload, rejects: Sequence[Reject]) -> None:
    upload.write(_csv([(str(reject.line), reject.reason, _harmless(reject.row)) for reject in rejects]))


def _harmless(cell: str) -> str:
    return f"'{cell}" if _FORMULA.search(cell) else cell


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _open_source(bucket: str, day: date) -> StoredObject | None:
    key = keys.trades_key(day)
    return storage.open_object(bucket, key) or storage.open_object(bucket, f"{key}.gz")


def has_source(bucket: str, day: date) -> bool:
    """Whether a day has a trade file."""
    return _describe_source(bucket, day) is not None


def _describe_source(bucket: str, day: date) -> tuple[str, Mapping[str, str]] | None:
    key = keys.trades_key(day)
    return storage.describe(bucket, key) or storage.describe(bucket, f"{key}.gz")


def _is_still(bucket: str, day: date, source: StoredObject) -> bool:
    described = _describe_source(bucket, day)
    return described is not None and described[0] == source.etag
