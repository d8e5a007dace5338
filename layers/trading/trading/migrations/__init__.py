"""The schema: numbered SQL files beside this module, applied in order, each once."""

import hashlib
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small

# Any number that nothing else in the database locks.
LOCK = 7_241_653_310


class ChangedMigrationError(Exception):
    """A migration that a database has already applied was edited, or taken away, afterwards."""


def migrate(cursor: "Cursor") -> list[str]:
    """Apply what the database lacks and return the names of what was applied, in order.

    The caller's transaction makes it all or nothing, and a lock in it lets one migrator work at a time. RDS Proxy
    pins a connection that takes an advisory lock, which does not matter to a process that migrates and ends.

    Raises:
        ChangedMigrationError: an applied migration is not what it was. Write a new one instead.
    """
    cursor.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
    cursor.execute(
        "create table if not exists schema_migrations"
        " (name text primary key, digest text not null, applied_at timestamptz not null default now())"
    )
    cursor.execute("select name, digest from schema_migrations")
    applied = dict(cursor.fetchall())
    migrations = _migrations()

    for name, digest in applied.items():
        if name not in migrations or _digest(migrations[name]) != digest:
            raise ChangedMigrationError(
                f"{name} was applied to this database and is not the same here: undo the edit, add a new file"
            )

    pending = [name for name in migrations if name not in applied]
    for name in pending:
        cursor.execute(migrations[name])
        cursor.execute(
            "insert into schema_migrations (name, digest) values (%s, %s)", (name, _digest(migrations[name]))
        )
    return pending


def _migrations() -> dict[str, str]:
    files = (file for file in resources.files(__name__).iterdir() if file.name.endswith(".sql"))
    return {file.name: file.read_text() for file in sorted(files, key=lambda file: file.name)}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
