"""What clients see of a database that is there and cannot: it has no room, no memory or no connection left."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from local.host.postgres import Postgres
from tests.conftest import TEMPLATE_DATABASE, Call, Rows
from trading.core import database

PATH = "/api/trades"


@pytest.fixture
def small_disk(
    postgres: Postgres, call: Call, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A disk of 32 MB with the tables of the database that `call` uses."""
    del call  # before this: it names another database
    folder, name = tmp_path_factory.mktemp("disk"), f"small_{uuid.uuid4().hex}"
    for parent in folder.parents[:3]:
        parent.chmod(0o755)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m,mode=777", name, folder], check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting a disk is not permitted here: it takes root, and in a container CAP_SYS_ADMIN")
    tables = folder / "tables"
    tables.mkdir()
    os.chown(tables, postgres.folder.stat().st_uid, -1)
    with closing(psycopg2.connect(postgres.url("postgres"))) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"create tablespace {name} location '{tables}'")
        cursor.execute(f"create database {name} template {TEMPLATE_DATABASE} tablespace {name} strategy file_copy")
        monkeypatch.setenv("DATABASE_URL", postgres.url(name))
        database.release()
        yield folder
        database.release()
        cursor.execute(f"drop database {name} with (force)")
        cursor.execute(f"drop tablespace {name}")
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_refuses_writes_and_serves_reads_until_there_is_room(
    small_disk: Path, call: Call, trade: dict[str, Any]
) -> None:
    assert call("POST", PATH, trade).status == 201
    filler = small_disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    batch = {"trades": [trade] * 1_000}
    refused = call("POST", f"{PATH}/batch", batch)
    assert (refused.status, refused.headers["retry-after"]) == (503, "5")
    assert len(call("GET", PATH).body) == 1
    filler.unlink()
    assert call("POST", f"{PATH}/batch", batch).status == 201
    assert len(call("GET", PATH, query={"limit": 5_000}).body) == 1_001


@pytest.mark.parametrize("code", ["53200", "53100", "57P01"])  # out of memory, disk full, ended by an administrator
def test_a_statement_that_the_server_cannot_carry_out_is_a_503_and_leaves_nothing_behind(
    call: Call, trade: dict[str, Any], rows: Rows, code: str
) -> None:
    database.run(
        lambda cursor: cursor.execute(
            f"create function fail() returns trigger language plpgsql as"
            f" $$ begin raise exception 'no more' using errcode = '{code}'; end $$;"
            " create trigger fail before insert on notifications execute function fail()"
        ),
        repeatable=False,
    )
    answer = call("POST", PATH, trade)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert "no more" not in str(answer.body)
    database.run(
        lambda cursor: cursor.execute("drop trigger fail on notifications; drop function fail"), repeatable=False
    )
    assert rows("select count(*) from trades") == [(0,)]
    assert call("POST", PATH, trade).status == 201


def test_a_server_without_a_free_connection_is_a_503_until_one_is_free(
    postgres: Postgres, call: Call, trade: dict[str, Any], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = f"limited_{uuid.uuid4().hex}"
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"create role {role} login password 'limited' connection limit 1 in role trading_app")
        limited = database_url.replace(database_url[13 : database_url.index("@")], f"{role}:limited")
        monkeypatch.setenv("DATABASE_URL", limited)
        database.release()
        with closing(psycopg2.connect(limited)):
            answer = call("POST", PATH, trade)
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert call("POST", PATH, trade).status == 201
        database.release()
        cursor.execute(f"drop role {role}")
    del postgres
