"""PostgreSQL: one connection per process, opened at first use, reused, and replaced when it is lost.

RDS Proxy pins a session to its database connection if it sends SET, opens a named cursor, takes an advisory lock or
sends a statement of more than 16 KB. Nothing here does the first three; after the last, `run` closes the connection.
"""

import json
import os
import select
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2

from trading.core import aws
from trading.core.errors import UnavailableError
from trading.core.settings import setting

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 spells its classes small
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

# A connection that was idle for less than this is trusted if its socket is quiet. After a longer time it may have been
# cut while the sandbox was frozen and could not notice, so it is tested first.
TRUSTED_IDLE_SECONDS = 10.0

CONNECT_SECONDS = 3
RECONNECT_SECONDS = 0.5  # between attempts, while a paused database resumes

# libpq's parameters: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
_OPTIONS: dict[str, Any] = {"tcp_user_timeout": 5_000, "application_name": "trading"}

PORT = 5432
ROOTS = Path(__file__).with_name("roots.pem")
PINNING_BYTES = 16 * 1024  # a statement longer than this

_LOST = (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.errors.ReadOnlySqlTransaction)

_connection: "Connection | None" = None
_last_used = 0.0


class _Cursor(psycopg2.extensions.cursor):
    """A cursor that remembers whether a long statement made RDS Proxy pin the connection."""

    has_pinned = False

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 - the name is the base class's
        super().execute(query, vars)
        self.has_pinned = self.has_pinned or len(self.query or b"") > PINNING_BYTES

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        super().copy_expert(sql, file, size)
        self.has_pinned = self.has_pinned or len(self.query or b"") > PINNING_BYTES


class DatabaseUnavailableError(UnavailableError):
    """PostgreSQL does not respond, or the connection was lost before it was known whether the work was done."""


def run[Result](
    work: "Callable[[Cursor], Result]", *, repeatable: bool, atomic: bool = False, snapshot: bool = False
) -> Result:
    """Call `work` with a cursor of the process's connection and return its result.

    Args:
        work: executes statements; each is committed on its own unless `atomic` or `snapshot` is set.
        repeatable: whether `work` may run a second time if the connection was lost during the first.
        atomic: run `work` in one transaction, which is rolled back if it raises.
        snapshot: like `atomic`, in a transaction whose statements all see the same snapshot (repeatable read).

    Raises:
        DatabaseUnavailableError: the server cannot be reached, or the connection was lost and `work` is not repeatable
            (or it was lost again). Any other error of `work` is passed on, with no transaction left open.
    """
    global _last_used  # noqa: PLW0603 - the connection and its last use belong to the process
    attempts_left = 2 if repeatable else 1
    transaction = "begin isolation level repeatable read" if snapshot else "begin" if atomic else None
    while True:
        attempts_left -= 1
        cursor = _usable_connection().cursor(cursor_factory=_Cursor)
        try:
            result = _in_transaction(cursor, work, transaction) if transaction else work(cursor)
        except _LOST as error:
            release()
            if attempts_left == 0:
                raise DatabaseUnavailableError(str(error)) from error
        except BaseException:
            if transaction:
                release()  # closing the connection is the surest way to end the transaction
            raise
        else:
            cursor.close()
            _last_used = time.time()
            if cursor.has_pinned and behind_proxy():
                release()
            return result


def query(statement: str, parameters: Mapping[str, Any], *, repeatable: bool) -> list[tuple[Any, ...]]:
    """Return the rows of one statement, committed on its own. Raises the same errors as `run`."""

    def work(cursor: "Cursor") -> list[tuple[Any, ...]]:
        cursor.execute(statement, parameters)
        return cursor.fetchall()

    return run(work, repeatable=repeatable)


def release() -> None:
    """Close the connection; the next use opens a new one."""
    global _connection  # noqa: PLW0603
    if _connection is not None:
        with suppress(psycopg2.Error):
            _connection.close()
    _connection = None


def behind_proxy() -> bool:
    """Whether connections may go through RDS Proxy: in AWS. `dev` has none, and loses little."""
    return not os.environ.get("DATABASE_URL")


def _in_transaction[Result](cursor: "Cursor", work: "Callable[[Cursor], Result]", begin: str) -> Result:
    cursor.execute(begin)
    result = work(cursor)
    cursor.execute("commit")
    return result


def _usable_connection() -> "Connection":
    global _connection  # noqa: PLW0603
    if _connection is not None and not _is_alive(_connection):
        release()
    if _connection is None:
        try:
            _connection = _connect()
        except psycopg2.OperationalError as error:
            raise DatabaseUnavailableError(str(error)) from error
    return _connection


def _is_alive(connection: "Connection") -> bool:
    if connection.closed or select.select([connection], [], [], 0)[0]:
        return False  # data without a query means that the server has closed the connection
    if time.time() - _last_used < TRUSTED_IDLE_SECONDS:
        return True
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
    except _LOST:
        return False
    return True


def _connect() -> "Connection":
    url = os.environ.get("DATABASE_URL")
    connection = _open({"dsn": url}) if url else _sign_in()
    connection.autocommit = True
    return connection


def _open(address: Mapping[str, Any], seconds: float = CONNECT_SECONDS) -> "Connection":
    opened: Connection = psycopg2.connect(**address, **_OPTIONS, connect_timeout=int(seconds))
    return opened


def _sign_in() -> "Connection":
    """Sign in to a database of AWS, repeatedly for DB_CONNECT_SECONDS if that is set.

    Aurora that has paused resumes when somebody connects. It establishes the connection once it has, in about 15
    seconds, but it may also refuse it at first.

    Raises:
        psycopg2.OperationalError: the last attempt failed.
    """
    deadline = time.monotonic() + float(os.environ.get("DB_CONNECT_SECONDS") or 0)
    secret = os.environ.get("DB_SECRET_ARN")
    while True:
        seconds = max(CONNECT_SECONDS, deadline - time.monotonic())
        try:
            return _open_as_administrator(secret) if secret else _open(_by_token(setting("DB_USER")), seconds)
        except psycopg2.OperationalError:
            if time.monotonic() + RECONNECT_SECONDS >= deadline:
                raise
            time.sleep(RECONNECT_SECONDS)


def _open_as_administrator(secret: str) -> "Connection":
    """Sign in with the password in RDS's secret or, if that is refused, with an IAM token.

    RDS accepts only tokens from direct and indirect members of `rds_iam`. The administrator may have become one by
    creating `trading_app`.

    Raises:
        psycopg2.OperationalError: both were refused, or the server does not respond.
    """
    known = json.loads(aws.secrets().get_secret_value(SecretId=secret)["SecretString"])
    user = known["username"]
    try:
        # Channel binding replaces verification, in every region: only a server that knows the password's hash can
        # answer, and only at the other end of this TLS connection.
        return _open(
            {**_server(), "user": user, "password": known["password"]}
            | {"sslmode": "require", "channel_binding": "require"}
        )
    except psycopg2.OperationalError as refusal:
        try:
            return _open(_by_token(user))
        except psycopg2.OperationalError as error:
            raise psycopg2.OperationalError(f"with the password: {refusal}; with a token: {error}") from error


def _by_token(user: str) -> dict[str, Any]:
    """Return how to sign in by IAM, at RDS Proxy or at the database itself."""
    return {
        **_server(),
        "user": user,
        "password": _token(user),
        "sslmode": "verify-full",
        "sslrootcert": str(ROOTS),
    }


def _server() -> dict[str, Any]:
    return {"host": setting("DB_HOST"), "port": PORT, "dbname": setting("DB_NAME")}


def _token(user: str) -> str:
    """Return an IAM authentication token; a new one each time, because it expires after 15 minutes."""
    import boto3  # noqa: PLC0415 - a third of a cold start, so loaded only where needed

    client = boto3.client("rds")
    token: str = client.generate_db_auth_token(DBHostname=setting("DB_HOST"), Port=PORT, DBUsername=user)
    return token
