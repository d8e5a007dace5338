import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from local.host import supervisor
from local.host.supervisor import Supervisor


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor that waits for hundredths of seconds."""
    for name in ("PAUSE_SECONDS", "WATCH_SECONDS", "LOG_SECONDS"):
        monkeypatch.setattr(supervisor, name, 0.01)


class Part:
    """A part that ends, and does not start at once."""

    name = "PostgreSQL"
    log = Path("server.log")

    def __init__(self, *ends: str) -> None:
        self._ends = list(ends)
        self.refusals = 2
        self.starts = 0

    def ended(self) -> str | None:
        return self._ends[0] if self._ends else None

    def start(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise OSError("no room")
        self.starts += 1
        del self._ends[0]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


async def for_a_while(work: Any) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.3):
            await work


def test_what_ends_is_said_and_started_again_until_it_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    part, log = Part("was ended by signal 9", "ended with status 1"), tmp_path / "host.log"
    asyncio.run(for_a_while(Supervisor(log).keep_running(part)))
    assert part.starts == 2
    assert said(caplog) == [
        "PostgreSQL: its process was ended by signal 9 and is restarted - see server.log",
        f"PostgreSQL failed and is retried every second: OSError: no room - see {log}",
        "PostgreSQL: back after 0.0 s",
        "PostgreSQL: its process ended with status 1 and is restarted - see server.log",
        "PostgreSQL: back after 0.0 s",
    ]


def test_an_error_of_a_task_is_said_once_and_the_task_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    errors = [ValueError("junk"), ValueError("junk"), KeyError("other"), ValueError("junk\nin lines")]

    async def work() -> None:
        if errors:
            raise errors.pop(0)

    log = tmp_path / "host.log"
    watch = Supervisor(log)
    with watch.logging():
        asyncio.run(watch.keep_going("The queue", work))
    assert said(caplog) == [
        f"The queue failed and is retried every second: {error} - see {log}"
        for error in ("ValueError: junk", "KeyError: 'other'", "ValueError: junk in lines")
    ]
    assert log.read_text().count("Traceback") == 3


def test_a_task_that_is_cancelled_ends(tmp_path: Path) -> None:
    async def cancel() -> None:
        task = asyncio.create_task(Supervisor(tmp_path / "host.log").keep_going("Waiting", lambda: asyncio.sleep(60)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())


def test_a_log_that_has_grown_is_put_aside_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LOG_LIMIT", 100)
    with (tmp_path / "TradesApi.log").open("a") as log:
        log.write("x" * 200)
        log.flush()
        asyncio.run(for_a_while(supervisor.rotate(tmp_path)))
        log.write("after")
    assert (tmp_path / "TradesApi.old").read_text() == "x" * 200
    assert (tmp_path / "TradesApi.log").read_text() == "after"
