import json
import select
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from local.host.aws_services import Aws
from local.host.postgres import UNSAFE, Postgres
from local.host.system import free_port
from trading.core import aws, database


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """A server of this test's own, to be stopped and killed."""
    postgres = Postgres(Path(tempfile.mkdtemp(prefix="trading-tests-")), free_port(0, ["127.0.0.1"]), settings=UNSAFE)
    postgres.start()
    monkeypatch.setenv("DATABASE_URL", postgres.url("postgres"))
    database.release()
    yield postgres
    database.release()
    postgres.stop()
    shutil.rmtree(postgres.folder)


def one(*, repeatable: bool = False) -> list[tuple[Any, ...]]:
    return database.query("select 1", {}, repeatable=repeatable)


def test_one_connection_is_opened_and_kept(server: Postgres) -> None:
    del server
    first = database.query("select pg_backend_pid()", {}, repeatable=False)
    assert database.query("select pg_backend_pid()", {}, repeatable=False) == first


@pytest.mark.parametrize(
    ("characters", "atomic", "is_kept"), [(100, True, True), (20_000, False, False), (20_000, True, False)]
)
def test_behind_a_proxy_a_connection_that_a_long_statement_has_pinned_is_given_back(
    server: Postgres, monkeypatch: pytest.MonkeyPatch, characters: int, *, atomic: bool, is_kept: bool
) -> None:
    def select(cursor: Any) -> Any:
        cursor.execute("select pg_backend_pid(), %s", ("x" * characters,))
        [(process, _)] = cursor.fetchall()
        return process

    del server
    monkeypatch.setattr(database, "behind_proxy", lambda: True)
    first = database.run(select, repeatable=False, atomic=atomic)
    assert (database.query("select pg_backend_pid()", {}, repeatable=False) == [(first,)]) is is_kept


def test_a_server_that_was_restarted_in_between_is_reached_again_without_an_error(server: Postgres) -> None:
    one()
    server.kill()
    server.start()
    assert one() == [(1,)]


def test_a_server_that_goes_away_during_a_statement_is_asked_again_only_if_that_is_safe(server: Postgres) -> None:
    def die_once(cursor: Any) -> str:
        if not deaths:
            deaths.append(True)
            server.kill()
            server.start()
        cursor.execute("select 'done'")
        return str(cursor.fetchone()[0])

    deaths: list[bool] = []
    one()
    assert database.run(die_once, repeatable=True) == "done"
    deaths.clear()
    with pytest.raises(database.DatabaseUnavailableError):
        database.run(die_once, repeatable=False)
    assert one() == [(1,)]


def test_a_server_that_is_down_is_said_to_be_away_and_is_found_when_it_is_back(server: Postgres) -> None:
    server.stop()
    with pytest.raises(database.DatabaseUnavailableError):
        one(repeatable=True)
    server.start()
    assert one() == [(1,)]


def test_a_server_that_accepts_and_says_nothing_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("DATABASE_URL", f"postgresql://u:p@127.0.0.1:{mute.getsockname()[1]}/d")
        database.release()
        started = time.monotonic()
        with pytest.raises(database.DatabaseUnavailableError):
            one()
        assert time.monotonic() - started < 6


def test_a_connection_that_has_rested_is_asked_before_it_is_trusted(
    server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    one()
    # What a frozen sandbox does not hear: the server is gone, and the socket is quiet about it.
    monkeypatch.setattr(select, "select", lambda *_: ([], [], []))
    server.kill()
    server.start()
    monkeypatch.setattr(database, "TRUSTED_IDLE_SECONDS", 0.0)
    assert one() == [(1,)]


def test_work_that_fails_half_way_leaves_nothing_behind_and_nothing_open(server: Postgres) -> None:
    def half(cursor: Any) -> None:
        cursor.execute("create table half_done (x int)")
        raise ValueError("enough")

    del server
    with pytest.raises(ValueError, match="enough"):
        database.run(half, repeatable=False, atomic=True)
    assert database.query("select to_regclass('half_done')", {}, repeatable=False) == [(None,)]
    assert database.query(
        "select count(*) from pg_stat_activity where state like 'idle in%%'", {}, repeatable=False
    ) == [(0,)]


def test_a_wrong_statement_is_its_callers_error_and_the_connection_stays_good(server: Postgres) -> None:
    del server
    with pytest.raises(psycopg2.errors.UndefinedTable):
        database.query("select * from nowhere", {}, repeatable=True)
    assert one() == [(1,)]


def test_without_a_url_functions_sign_in_with_a_token_over_verified_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("DB_HOST", "proxy.example.com")
    monkeypatch.setenv("DB_NAME", "trading")
    monkeypatch.setenv("DB_USER", "trading_app")
    address = database._address()  # noqa: SLF001 - no server here would take the token
    assert address["sslmode"] == "verify-full"
    assert Path(address["sslrootcert"]).is_file()
    assert address["password"].startswith("proxy.example.com:5432/?Action=connect&DBUser=trading_app&X-Amz-")
    assert database.behind_proxy()


def test_with_a_secret_the_administrator_signs_in_by_the_password_of_that_hour(
    aws_services: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = aws_services.client("secretsmanager")
    owner = {"username": "trading_admin", "password": "first"}
    arn = secrets.create_secret(Name=uuid.uuid4().hex, SecretString=json.dumps(owner))["ARN"]
    for name, value in {"DATABASE_URL": "", "DB_HOST": "db.example.com", "DB_NAME": "trading"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_services.endpoint)
    monkeypatch.setenv("DB_SECRET_ARN", arn)
    aws.secrets.cache_clear()
    for password in ("first", "second"):
        secrets.put_secret_value(SecretId=arn, SecretString=json.dumps({**owner, "password": password}))
        address = database._address()  # noqa: SLF001 - no server here has such a secret
        assert (address["host"], address["user"], address["password"]) == ("db.example.com", "trading_admin", password)
        assert (address["sslmode"], address["channel_binding"]) == ("require", "require")
    aws.secrets.cache_clear()
