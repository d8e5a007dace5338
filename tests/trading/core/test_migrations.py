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
    yield opened
    for connection in opened:
        connection.close()


def migrate(connection: Any) -> list[str]:
    with connection, connection.cursor() as cursor:
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


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    connections: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        migrations, "_migrations", lambda: {"1.sql": "create table a (b int)", "2.sql": "create table a (b int)"}
    )
    with pytest.raises(psycopg2.errors.DuplicateTable):
        migrate(connections[0])
    with connections[0].cursor() as cursor:
        cursor.execute("select to_regclass('a'), to_regclass('schema_migrations')")
        assert cursor.fetchall() == [(None, None)]


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
