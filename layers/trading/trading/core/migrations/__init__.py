"""The schema: numbered SQL files beside this module, applied once each in order, and the application's role."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import TYPE_CHECKING

import psycopg2

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small

# The key of the advisory lock: any number that nothing else uses.
LOCK = 7_241_653_310
# While a migration waits for a table's lock, all later queries on that table wait behind it.
LOCK_SECONDS = 5

# The role that functions sign in as: it cannot change the schema or delete rows. On RDS, `rds_iam` allows a token
# instead of a password; elsewhere that role does not exist. The timeouts are set on the role because RDS Proxy pins a
# connection that sends SET. `as_of` and position checkpoints depend on them: a row recorded a minute ago is committed
# or never will be.
_APPLICATION_ROLE = """
do $$
begin
    if not exists (select from pg_roles where rolname = 'trading_app') then
        create role trading_app login;
    end if;
    if exists (select from pg_roles where rolname = 'rds_iam') then
        grant rds_iam to trading_app;
    end if;
    if not exists (
        select from pg_roles where rolname = 'trading_app' and rolconfig @> array[
            'statement_timeout=30s', 'idle_in_transaction_session_timeout=10s', 'transaction_timeout=45s'
        ]
    ) then
        alter role trading_app set statement_timeout = '30s';
        alter role trading_app set idle_in_transaction_session_timeout = '10s';
        alter role trading_app set transaction_timeout = '45s';
    end if;
end
$$;
grant usage on schema public to trading_app;
"""
# The migrations grant UPDATE column by column.
_APPLICATION_RIGHTS = """
grant select, insert on all tables in schema public to trading_app;
grant usage on all sequences in schema public to trading_app;
revoke all on schema_migrations from trading_app;
"""


class ChangedMigrationError(Exception):
    """A migration that was already applied to this database has been edited or removed."""


class NoSchemaError(Exception):
    """A database that should have a schema is empty: it is the wrong database."""


def migrate(cursor: "Cursor", seconds: float | None = None, *, may_begin: bool = True) -> list[str]:
    """Apply pending migrations in order, in at most `seconds`, and return their names.

    Each migration runs in its own transaction, so its locks are released before the next one. One that builds indexes
    `concurrently` runs statement by statement instead, because PostgreSQL does not allow that in a transaction. So the
    connection of `cursor` must be in autocommit mode. If a migration fails, the earlier ones stay applied, and the
    next call continues with the failed one. A lock ensures that only one migrator runs at a time. A database that is
    ahead of these files is left unchanged: after a rolled back deployment, the additions are merely unused.

    Raises:
        NoSchemaError: the database has no schema yet, and `may_begin` is false.
        ChangedMigrationError: an applied migration was edited; add a new one instead.
        psycopg2.errors.LockNotAvailable: another session holds a table's lock, or migrates, for too long.
        psycopg2.OperationalError: `seconds` have passed. Needs PostgreSQL 17 or later.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    with _only_migrator(cursor):
        try:
            _limit(cursor, deadline, LOCK_SECONDS)
            pending = _pending(cursor, may_begin=may_begin)
            for name, text in pending.items():
                _apply(cursor, name, text, deadline)
            cursor.execute(_APPLICATION_RIGHTS)
        finally:
            if not cursor.connection.closed:
                cursor.execute("rollback")
                cursor.execute("reset all")
    return list(pending)


def _pending(cursor: "Cursor", *, may_begin: bool) -> dict[str, str]:
    """Return the pending migrations, after creating the table of applied ones if needed."""
    cursor.execute("select to_regclass('schema_migrations') is null")
    if cursor.fetchone() == (True,) and not may_begin:
        raise NoSchemaError(
            "the database is empty, so it is not the one that this stack has worked with: a change of DatabaseClass"
            " between an instance and serverless makes another one and moves no data (docs/runbook.md says how to)"
        )
    cursor.execute(
        "create table if not exists schema_migrations"
        " (name text primary key, digest text not null, applied_at timestamptz not null default now())"
    )
    cursor.execute("select name, digest from schema_migrations")
    applied = dict(cursor.fetchall())
    migrations = _migrations()

    for name, digest in applied.items():
        is_ahead = name not in migrations and name > max(migrations)
        if not is_ahead and (name not in migrations or _digest(migrations[name]) != digest):
            raise ChangedMigrationError(
                f"{name} was applied to this database and is not the same here: undo the edit, add a new file"
            )
    cursor.execute(_APPLICATION_ROLE)
    return {name: text for name, text in migrations.items() if name not in applied}


def _apply(cursor: "Cursor", name: str, text: str, deadline: float | None) -> None:
    concurrent = "index concurrently" in text
    if concurrent:
        # It waits for all earlier transactions without blocking others.
        _limit(cursor, deadline, lock_seconds=0)
        for statement in text.strip().split(";\n"):
            cursor.execute(statement)
        cursor.execute("begin")
    else:
        _limit(cursor, deadline, LOCK_SECONDS)
        cursor.execute("begin")
        cursor.execute(text)
    cursor.execute("insert into schema_migrations (name, digest) values (%s, %s)", (name, _digest(text)))
    cursor.execute("commit")


def _limit(cursor: "Cursor", deadline: float | None, lock_seconds: float) -> None:
    """Limit how long the following statements may take and wait for a lock; 0 means no limit."""
    cursor.execute("select set_config('lock_timeout', %s, false)", (f"{lock_seconds}s",))
    if deadline is not None:
        seconds = max(deadline - time.monotonic(), 0.001)
        # The first cancels one slow statement, with a clear error; the second ends the connection after many of them.
        cursor.execute("select set_config('statement_timeout', %s, false)", (f"{seconds:.3f}s",))
        cursor.execute("select set_config('transaction_timeout', %s, false)", (f"{1.03 * seconds:.3f}s",))


@contextmanager
def _only_migrator(cursor: "Cursor") -> Iterator[None]:
    """Allow one migrator at a time. Others poll, because a waiting statement would block a concurrent index build."""
    give_up_at = time.monotonic() + LOCK_SECONDS
    cursor.execute("select pg_try_advisory_lock(%s)", (LOCK,))
    while cursor.fetchone() != (True,):
        if time.monotonic() > give_up_at:
            raise psycopg2.errors.LockNotAvailable("another migration of this database is still running")
        time.sleep(0.05)
        cursor.execute("select pg_try_advisory_lock(%s)", (LOCK,))
    try:
        yield
    finally:
        if not cursor.connection.closed:
            cursor.execute("select pg_advisory_unlock(%s)", (LOCK,))


def _migrations() -> dict[str, str]:
    files = (file for file in resources.files(__name__).iterdir() if file.name.endswith(".sql"))
    return {file.name: file.read_text() for file in sorted(files, key=lambda file: file.name)}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
