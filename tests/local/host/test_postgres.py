import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest

from local.host.postgres import UNSAFE, Postgres, PostgresError
from local.host.system import free_port


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="trading-tests-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def server(folder: Path) -> Iterator[Postgres]:
    """A server that has been started."""
    server = Postgres(folder, free_port(0, ["127.0.0.1"]), settings=UNSAFE)
    server.start()
    yield server
    server.kill()


def pid(server: Postgres) -> int:
    return int((server.folder / "data" / "postmaster.pid").read_text().split()[0])


def answer(server: Postgres) -> Any:
    with closing(psycopg2.connect(server.url("postgres"))) as connection, connection.cursor() as cursor:
        cursor.execute("select 1")
        return cursor.fetchone()


def test_one_that_was_killed_says_how_it_ended_and_starts_again_at_the_same_port(server: Postgres) -> None:
    assert server.ended() is None
    killed, port = pid(server), server.port
    with closing(psycopg2.connect(server.url("postgres"))):  # somebody is connected, whose process outlives the first
        os.kill(killed, signal.SIGKILL)
        while server.ended() is None:
            time.sleep(0.01)
        assert server.ended() == "was ended by signal 9"
        server.start()
    assert (server.ended(), server.port, answer(server)) == (None, port, (1,))


@pytest.mark.parametrize("claim", ["", "no number\n", "{alive}\n/elsewhere\n"])
def test_a_claim_that_is_empty_or_names_another_process_does_not_keep_it_from_starting(
    server: Postgres, claim: str
) -> None:
    server.kill()
    file = server.folder / "data" / "postmaster.pid"
    with subprocess.Popen(["sleep", "5"]) as other:
        file.write_text(claim.format(alive=other.pid))
        server.start()
        assert answer(server) == (1,)
        assert other.poll() is None  # it is none of ours
        other.kill()


def test_one_that_an_earlier_run_left_behind_is_stopped_first(server: Postgres) -> None:
    later = Postgres(server.folder, free_port(0, ["127.0.0.1"]), settings=UNSAFE)
    left = pid(server)
    later.start()
    assert (pid(later) != left, answer(later)) == (True, (1,))
    later.stop()


def test_one_that_cannot_be_ended_is_an_error_in_a_line(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "wait_procs", lambda processes, _: ([], processes))
    monkeypatch.setattr(psutil.Process, "send_signal", lambda *_: None)
    later = Postgres(server.folder, server.port, settings=UNSAFE)
    with pytest.raises(PostgresError, match=r"^process \d+ uses .*/data and cannot be stopped: stop it by hand$"):
        later.start()


def test_one_that_does_not_start_says_why_in_a_line(server: Postgres) -> None:
    server.stop()
    bad = Postgres(server.folder, server.port, settings=["shared_buffers=lots"])
    with pytest.raises(PostgresError, match=r"^PostgreSQL did not start: .*shared_buffers.* - see .*server\.log$"):
        bad.start()
