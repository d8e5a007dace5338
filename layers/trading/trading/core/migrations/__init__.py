"""The schema: numbered SQL files beside this module, applied in order, each once, and who may use it."""

import hashlib
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small

# Any number that nothing else in the database locks.
LOCK = 7_241_653_310
# A migration that waits longer for a table keeps everybody who comes after it waiting too.
LOCK_SECONDS = 5

# The role that functions sign in as: it works with what is there, and changes no table and deletes no row. On RDS,
# `rds_iam` lets it in with a token instead of a password; elsewhere that role is not there.
_APPLICATION_ROLE = """
do $$
begin
    if not exists (select from pg_roles where rolname = 'trading_app') then
        create role trading_app login;
    end if;
    if exists (select from pg_roles where rolname = 'rds_iam') then
        grant rds_iam to trading_app;
    end if;
end
$$;
grant usage on schema public to trading_app;
"""
_APPLICATION_RIGHTS = """
grant select, insert, update on all tables in schema public to trading_app;
grant usage on all sequences in schema public to trading_app;
revoke all on schema_migrations from trading_app;
"""


class ChangedMigrationError(Exception):
    """A migration that a database has already applied was edited, or taken away, afterwards."""


class NoSchemaError(Exception):
    """A database that should have a schema has none: it is not the one that it is taken for."""


def migrate(cursor: "Cursor", seconds: float | None = None, *, may_begin: bool = True) -> list[str]:
    """Apply what the database lacks, in at most so many seconds, and return the names of what was applied, in order.

    The caller's transaction makes it all or nothing, and a lock in it lets one migrator work at a time. A database that
    is ahead of these files is left as it is: a deployment was taken back, and what it added is only not used.

    Raises:
        NoSchemaError: the database has no schema yet, and `may_begin` says that it must.
        ChangedMigrationError: an applied migration is not what it was. Write a new one instead.
        psycopg2.errors.LockNotAvailable: somebody holds a table, or migrates, and does not end.
        psycopg2.OperationalError: the time was up. Only PostgreSQL 17 and later can be given so many seconds.
    """
    cursor.execute("select set_config('lock_timeout', %s, true)", (f"{LOCK_SECONDS}s",))
    if seconds is not None:
        # One statement that takes too long is cancelled and says so; many are ended, which says little.
        cursor.execute("select set_config('statement_timeout', %s, true)", (f"{seconds:.3f}s",))
        cursor.execute("select set_config('transaction_timeout', %s, true)", (f"{1.03 * seconds:.3f}s",))
    cursor.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
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
    pending = [name for name in migrations if name not in applied]
    for name in pending:
        cursor.execute(migrations[name])
        cursor.execute(
            "insert into schema_migrations (name, digest) values (%s, %s)", (name, _digest(migrations[name]))
        )
    cursor.execute(_APPLICATION_RIGHTS)
    return pending


def _migrations() -> dict[str, str]:
    files = (file for file in resources.files(__name__).iterdir() if file.name.endswith(".sql"))
    return {file.name: file.read_text() for file in sorted(files, key=lambda file: file.name)}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
