"""Runs: at most one run of each kind of work per day, and the outcome of the last one.

An object beside the day's files is both the lease of the current run and the record of the outcome.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from trading.analysis import keys
from trading.core import storage
from trading.core.errors import RefusalError
from trading.core.storage import ReplacedError
from trading.core.values import adapter

Work = Literal["analysis", "export"]
# Longer than a function can run (15 minutes) plus the wait of its event: a run that has not ended by then has died.
LEASE = timedelta(minutes=20)
DIED = "The run ended without a result: see the function's log."


@dataclass(frozen=True, slots=True)
class Run:
    """A run: who requested it, when it was requested or started, and why it failed if it did."""

    status: Literal["queued", "running", "done", "failed"]
    requested_by: str
    started_at: datetime
    reason: str | None = None

    def is_under_way(self, now: datetime) -> bool:
        """Whether it has not ended and its lease has not expired."""
        return self.status in {"queued", "running"} and now - self.started_at < LEASE

    def failure(self, now: datetime) -> str | None:
        """Return why it failed; None if it succeeded or is still under way."""
        if self.status in {"queued", "running"}:
            return None if self.is_under_way(now) else DIED
        return self.reason


def last(bucket: str, work: Work, day: date) -> Run | None:
    """Return the last run for a day, if there is one."""
    return _read(bucket, work, day)[0]


def request(bucket: str, work: Work, day: date, subject: str) -> bool:
    """Acquire the lease of a day for a run that is about to be requested; return False if one is under way."""
    run, etag = _read(bucket, work, day)
    now = datetime.now(UTC)
    if run and run.is_under_way(now):
        return False
    try:
        _write(bucket, work, day, Run("queued", subject, now), {"IfMatch": etag} if etag else {"IfNoneMatch": "*"})
    except ReplacedError:  # another request at the same moment was faster
        return False
    return True


def fail(bucket: str, work: Work, day: date, subject: str, reason: str) -> None:
    """Record that a run failed, and why; the next run can be requested."""
    _write(bucket, work, day, Run("failed", subject, datetime.now(UTC), reason), {})


@contextmanager
def recorded(bucket: str, work: Work, day: date, subject: str) -> Iterator[None]:
    """Record that a run is under way while the block runs, and then its outcome."""
    run = Run("running", subject, datetime.now(UTC))
    _write(bucket, work, day, run, {})
    try:
        yield
    except RefusalError as error:
        fail(bucket, work, day, subject, error.detail)
        raise
    except BaseException:
        fail(bucket, work, day, subject, DIED)
        raise
    _write(bucket, work, day, replace(run, status="done"), {})


def _read(bucket: str, work: Work, day: date) -> tuple[Run | None, str | None]:
    stored = storage.open_object(bucket, keys.run_key(day, work))
    return (adapter(Run).validate_json(b"".join(stored.chunks)), stored.etag) if stored else (None, None)


def _write(bucket: str, work: Work, day: date, run: Run, condition: dict[str, str]) -> None:
    storage.put(bucket, keys.run_key(day, work), adapter(Run).dump_json(run), "application/json", {}, condition)
