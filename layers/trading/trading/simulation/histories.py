"""Histories: the bars of tickers, stored in S3 as the CSV that was uploaded."""

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

from pydantic import TypeAdapter

from trading.core import storage
from trading.core.values import TICKER_PATTERN
from trading.simulation import history_files
from trading.simulation.bars import At, History, ReadingNotes

BARS_LIMIT = 25_000  # fits into a simulation response, with some thousand trades

_FOLDER, _ENDING = "history/", ".csv"
_TICKER = re.compile(TICKER_PATTERN)  # files put there by other means may have other names
_SUMMARY = "history"  # the metadata that holds a StoredHistory
_CONNECTIONS = 10  # concurrent, to S3: the size of the client's pool


@dataclass(frozen=True, slots=True)
class StoredHistory:
    """A stored history; for a file that was not uploaded through this API, only the ticker is known."""

    ticker: str
    bars: int | None = None
    first: At | None = None
    last: At | None = None
    frequency: str | None = None
    notes: ReadingNotes | None = None


_STORED = TypeAdapter(StoredHistory)


def store(bucket: str, ticker: str, data: bytes, *, adjusted: bool) -> tuple[StoredHistory, bool]:
    """Store a CSV as the history of a ticker; return it and whether it is new.

    Raises:
        HistoryError: it cannot be read or has too many bars; nothing was stored.
    """
    history = history_files.read_csv(data, adjusted=adjusted, limit=BARS_LIMIT)
    first, last = history.bars[0].at, history.bars[-1].at
    stored = StoredHistory(ticker, len(history.bars), first, last, history.frequency, history.notes)
    is_new = storage.describe(bucket, _key(ticker)) is None
    storage.put(bucket, _key(ticker), data, "text/csv", {_SUMMARY: _STORED.dump_json(stored).decode()})
    return stored, is_new


def load(bucket: str, ticker: str) -> History | None:
    """Return the stored history of a ticker, or None if there is none.

    Raises:
        HistoryError: the stored file cannot be parsed, or has too many bars.
        storage.IncompleteBodyError: it could not be read completely.
    """
    found = storage.open_object(bucket, _key(ticker))
    if found is None:
        return None
    notes = _STORED.validate_json(found.metadata[_SUMMARY]).notes if _SUMMARY in found.metadata else None
    return history_files.read_csv(
        b"".join(found.chunks), adjusted=notes is not None and notes.adjusted, limit=BARS_LIMIT
    )


def delete(bucket: str, ticker: str) -> StoredHistory | None:
    """Delete the history of a ticker and return it, or None if there is none. Simulations on it are kept."""
    found = storage.describe(bucket, _key(ticker))
    if found is None:
        return None
    storage.delete(bucket, _key(ticker))
    return _stored(ticker, found[1])


def find(bucket: str, limit: int, cursor: str | None) -> tuple[list[StoredHistory], str | None]:
    """Return a page of the stored histories, by ticker, and the cursor of the next page if there is one."""
    after = _key(cursor) if cursor is not None else ""
    keys = storage.list_keys(bucket, _FOLDER, _ENDING, after=after)
    names = (key.removeprefix(_FOLDER).removesuffix(_ENDING) for key in keys)
    tickers = list(islice(filter(_TICKER.match, names), limit + 1))
    with ThreadPoolExecutor(_CONNECTIONS) as threads:
        page = list(threads.map(partial(_describe, bucket), tickers[:limit]))
    return page, tickers[limit - 1] if len(tickers) > limit else None


def _describe(bucket: str, ticker: str) -> StoredHistory:
    found = storage.describe(bucket, _key(ticker))
    return _stored(ticker, found[1] if found else {})


def _stored(ticker: str, metadata: Mapping[str, str]) -> StoredHistory:
    return _STORED.validate_json(metadata[_SUMMARY]) if _SUMMARY in metadata else StoredHistory(ticker)


def _key(ticker: str) -> str:
    return f"{_FOLDER}{ticker}{_ENDING}"
