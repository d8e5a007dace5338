"""Announcements: publishing to the topic that a day was analyzed."""

import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Literal

from trading.analysis import keys
from trading.core import storage, topics
from trading.core.errors import NotFoundError
from trading.core.values import adapter

if TYPE_CHECKING:  # it imports DuckDB, which readers of events do not need
    from trading.analysis.results import Analysis

# The namespace of event ids: the same day and version of its trades have the same id.
_IDS = uuid.UUID("5f1f7c0a-6e0b-4d0e-9c62-3a3c0d1b8e57")


@dataclass(frozen=True, slots=True)
class CompletedAnalysis:
    """A completed analysis: its file and the trade file, the number of rows, and the revision."""

    date: date
    input_file: str
    output_file: str
    records_processed: int
    rejected: int
    analysis_summary_count: int
    revision: int


@dataclass(frozen=True, slots=True)
class AnalysisCompleted:
    """A day was analyzed. The id is derived from the day and the version of its trades."""

    id: str
    type: Literal["analysis.completed.v1"]
    time: datetime
    data: CompletedAnalysis

    def headline(self) -> str:
        """Return what happened in one line, such as `ANALYZED 2024-05-15, 3 tickers`."""
        data = self.data
        revised = f", revision {data.revision}" if data.revision > 1 else ""
        return f"ANALYZED {data.date}, {_count(data.analysis_summary_count, 'ticker')}{revised}"

    def details(self) -> str:
        """Return the number of rows and the location of the result in a sentence or two."""
        data = self.data
        return (
            f"Of {_count(data.records_processed, 'row')} of {data.input_file}, {data.rejected:,} were rejected."
            f" The analysis is in {data.output_file}."
        )

    def attributes(self) -> dict[str, str]:
        """Return the attributes that subscription filters can use."""
        return {"date": str(self.data.date)}


def announce(bucket: str, day: date, analysis: "Analysis") -> None:
    """Publish that a day was analyzed.

    Raises:
        NotFoundError: the analysis no longer exists.
        topics.TopicUnavailableError: the event may not have been published.
    """
    stored = storage.describe(bucket, keys.analysis_key(day))
    if stored is None:
        raise NotFoundError(f"There is no analysis for {day}.")
    _, metadata = stored
    event = AnalysisCompleted(
        str(uuid.uuid5(_IDS, f"{day} {metadata['source-etag']}")),
        "analysis.completed.v1",
        datetime.now(UTC),
        CompletedAnalysis(day, **asdict(analysis), revision=int(metadata["revision"])),
    )
    topics.publish(event, adapter(AnalysisCompleted).dump_json(event).decode())


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
