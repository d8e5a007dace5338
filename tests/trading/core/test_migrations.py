import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from local.host.postgres import Postgres
from trading.core import migrations


@pytest.fixture
def connections(postgres: Postgres) -> Iterator[list[Any]]:
    """Four connections to one empty database."""
    name = f"empty_{uuid4().hex}"
    postgres.create_database(name)
    opened = [psycopg2.connect(postgres.url(name)) for _ in range(4)]
    for connection in opened:
        connection.autocommit = True
    yield opened
    for connection in opened:
        connection.close()


def migrate(connection: Any) -> list[str]:
    with connection.cursor() as cursor:
        return migrations.migrate(cursor)


def test_an_empty_database_gets_every_migration_in_order_and_only_once(connections: list[Any]) -> None:
    applied = migrate(connections[0])
    assert applied[0] == "0001_trades.sql"
    assert applied == sorted(applied)
    assert migrate(connections[0]) == []


def test_of_four_migrators_at_once_one_does_the_work(connections: list[Any]) -> None:
    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(migrate, connections))
    assert sorted(map(bool, outcomes)) == [False, False, False, True]


def test_a_migration_that_fails_is_undone_and_the_next_call_goes_on_with_it(
    connections: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {"1.sql": "create table a (b int)", "2.sql": "create table c (d int); create table a (b int)"}
    monkeypatch.setattr(migrations, "_migrations", lambda: broken)
    with pytest.raises(psycopg2.errors.DuplicateTable):
        migrate(connections[0])
    with connections[0].cursor() as cursor:
        cursor.execute("select to_regclass('a'), to_regclass('c')")
        assert cursor.fetchall() == [("a", None)]
    monkeypatch.setattr(migrations, "_migrations", lambda: {**broken, "2.sql": "create table c (d int)"})
    assert migrate(connections[0]) == ["2.sql"]


def test_indexes_are_built_while_others_write(connections: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    migrator, writer, onlooker, _ = connections
    table = {"1.sql": "create table a (b int)"}
    monkeypatch.setattr(migrations, "_migrations", lambda: table)
    migrate(migrator)
    build = "drop index concurrently if exists i;\ncreate index concurrently i on a (b);\n"
    monkeypatch.setattr(migrations, "_migrations", lambda: {**table, "2.sql": build})
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 0.1)  # which such a build need not keep: it is in nobody's way
    writer.autocommit = False
    with writer.cursor() as writing, onlooker.cursor() as looking, ThreadPoolExecutor(1) as threads:
        writing.execute("insert into a values (1)")
        building = threads.submit(migrate, migrator)
        while True:  # until the build waits for the writer
            looking.execute("select count(*) from pg_stat_activity where wait_event_type = 'Lock'")
            if looking.fetchone() == (1,):
                break
            time.sleep(0.01)
        time.sleep(0.2)
        writing.execute("insert into a values (2)")
        writer.commit()
        assert building.result() == ["2.sql"]
        looking.execute("select indisvalid from pg_index where indexrelid = 'i'::regclass")
        assert looking.fetchall() == [(True,)]


def test_a_migrator_that_waits_too_long_for_another_gives_up(
    connections: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 0.1)
    with connections[1].cursor() as other:
        other.execute("select pg_advisory_lock(%s)", (migrations.LOCK,))
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            migrate(connections[0])


def test_a_migration_that_was_edited_after_it_was_applied_is_refused(
    connections: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "_migrations", lambda: {"1.sql": "create table a (b int)"})
    migrate(connections[0])
    monkeypatch.setattr(migrations, "_migrations", lambda: {"1.sql": "create table a (b text)"})
    with pytest.raises(migrations.ChangedMigrationError, match=r"1\.sql"):
        migrate(connections[0])


def test_every_session_of_a_migrated_database_answers_in_utc(connections: list[Any]) -> None:
    migrate(connections[0])
    with psycopg2.connect(connections[0].dsn, password=connections[0].info.password) as later, later.cursor() as cursor:
        cursor.execute("show timezone")
        assert cursor.fetchall() == [("UTC",)]
    later.close()
