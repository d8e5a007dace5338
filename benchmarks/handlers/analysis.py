"""The summary of a file on disk, streamed like an S3 body."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trading.analysis.summary import summarize
from trading.core import storage


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Summarize the event's file; 200 if it has the expected rows and rejects."""
    summary = summarize(_chunks(Path(event["file"])), lambda _: None)
    expected = (event["rows"], event["rejected"], event["tickers"])
    return {"statusCode": 200 if (summary.rows_read, summary.rows_rejected, len(summary.tickers)) == expected else 500}


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(storage.CHUNK_BYTES):
            yield chunk
