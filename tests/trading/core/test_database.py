import hashlib
import json
import select
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from local.host.aws_services import Aws
from local.host.postgres import UNSAFE, Postgres
from local.host.system import free_port
from trading.core import aws, database, migrations

ADMINISTRATOR, TOKEN = "trading_admin", "a token"
USER_PASSWORD, ACCEPT, REJECT, SHARED = 2, 2, 3, b"radius"  # RADIUS's numbers, and a secret shared with it


def new_server() -> Postgres:
    return Postgres(Path(tempfile.mkdtemp(prefix="trading-tests-")), free_port(0, ["127.0.0.1"]), settings=UNSAFE)


@pytest.fixture(scope="module")
def stopped() -> Iterator[Path]:
    """The folder of a server that was started and stopped: to copy it takes a fraction of making one."""
    postgres = new_server()
    postgres.start()
    postgres.stop()
    yield postgres.folder
    shutil.rmtree(postgres.folder)


@pytest.fixture
def server(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """A server of this test's own, to be stopped and killed."""
    postgres = new_server()
    subprocess.run(["cp", "-a", f"{stopped}/.", postgres.folder], check=True)
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
    address = database._by_token("trading_app")  # noqa: SLF001 - no server here would take the token
    assert address["sslmode"] == "verify-full"
    assert address["sslrootcert"] == str(database.ROOTS)
    assert address["password"].startswith("proxy.example.com:5432/?Action=connect&DBUser=trading_app&X-Amz-")
    assert database.behind_proxy()


def test_the_roots_are_those_of_rds_and_of_its_proxy_and_none_ends_soon() -> None:
    trusted: Any = ssl.create_default_context(cafile=str(database.ROOTS)).get_ca_certs()
    names = {dict(pair for part in each["subject"] for pair in part)["commonName"] for each in trusted}
    assert len(trusted) == len(names) == 86
    assert {name for name in names if "Amazon RDS eu-west-1 " in name} == {
        f"Amazon RDS eu-west-1 Root CA {kind} G1" for kind in ("RSA2048", "RSA4096", "ECC384")
    }
    assert {f"Amazon Root CA {number}" for number in (1, 2, 3, 4)} <= names
    in_five_years = time.time() + 5 * 365 * 86_400
    assert all(ssl.cert_time_to_seconds(each["notAfter"]) > in_five_years for each in trusted)
    # One that AWS's API reported for ap-southeast-1: see docs/decisions.md.
    thumbprints = {
        hashlib.sha1(der).hexdigest()  # noqa: S324 - as that API does
        for der in ssl.create_default_context(cafile=str(database.ROOTS)).get_ca_certs(binary_form=True)
    }
    assert "aa6b73726c21176cc714815278d6ebc932f293b3" in thumbprints


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A database of AWS that refuses whoever connects; the attempts are collected."""

    def refuse(**address: Any) -> None:
        attempts.append(address)
        raise psycopg2.OperationalError("not yet")

    attempts: list[dict[str, Any]] = []
    for name, value in {"DATABASE_URL": "", "DB_HOST": "h", "DB_NAME": "trading", "DB_USER": "trading_app"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(psycopg2, "connect", refuse)
    monkeypatch.setattr(database, "_token", lambda _: TOKEN)
    monkeypatch.setattr(database, "RECONNECT_SECONDS", 0.01)
    database.release()
    return attempts


def test_a_database_that_resumes_is_waited_for(
    postgres: Postgres, paused: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def resume(**address: Any) -> Any:
        return connect(url) if len(paused) == 3 else refuse(**address)

    refuse, connect, url = psycopg2.connect, psycopg2.extensions.connection, postgres.url("postgres")
    monkeypatch.setenv("DB_CONNECT_SECONDS", "20")
    monkeypatch.setattr(psycopg2, "connect", resume)
    assert one() == [(1,)]
    database.release()
    assert all(attempt["connect_timeout"] > 15 for attempt in paused)


def test_a_database_that_does_not_resume_in_time_is_away(
    paused: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_CONNECT_SECONDS", "0.1")
    with pytest.raises(database.DatabaseUnavailableError, match="not yet"):
        one()
    assert len(paused) > 1
    assert {attempt["connect_timeout"] for attempt in paused} == {database.CONNECT_SECONDS}


def test_where_nothing_pauses_one_attempt_is_made(paused: list[dict[str, Any]]) -> None:
    with pytest.raises(database.DatabaseUnavailableError, match="not yet"):
        one()
    assert len(paused) == 1


def test_a_connection_that_the_server_closed_for_idleness_is_opened_again(server: Postgres) -> None:
    as_superuser(server, "alter system set idle_session_timeout = '50ms'", "select pg_reload_conf()")
    [(first,)] = database.query("select pg_backend_pid()", {}, repeatable=False)
    time.sleep(0.2)
    as_superuser(server, "alter system reset idle_session_timeout", "select pg_reload_conf()")
    [(second,)] = database.query("select pg_backend_pid()", {}, repeatable=False)
    assert second != first


Secret = Callable[[str], None]


@pytest.fixture
def secret(aws_services: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Secret]:
    """A function that changes the password in the administrator's secret, as RDS does."""
    secrets, owner = aws_services.client("secretsmanager"), {"username": ADMINISTRATOR}
    arn = secrets.create_secret(Name=uuid.uuid4().hex, SecretString="{}")["ARN"]
    for name, value in {"DATABASE_URL": "", "DB_HOST": "127.0.0.1", "DB_NAME": "trading"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_services.endpoint)
    monkeypatch.setenv("DB_SECRET_ARN", arn)
    aws.secrets.cache_clear()
    database.release()
    yield lambda password: secrets.put_secret_value(
        SecretId=arn, SecretString=json.dumps({**owner, "password": password})
    )
    database.release()
    aws.secrets.cache_clear()


def test_the_administrator_signs_in_by_the_password_of_that_hour_and_else_by_a_token(
    secret: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**address: Any) -> None:
        tried.append(address)
        raise psycopg2.OperationalError(f"refused {len(tried)}")

    tried: list[dict[str, Any]] = []
    monkeypatch.setattr(psycopg2, "connect", refuse)
    for password in ("first", "second"):
        secret(password)
        tried.clear()
        with pytest.raises(database.DatabaseUnavailableError, match="password: refused 1; with a token: refused 2"):
            one()
        by_password, by_token = tried
        assert by_password["user"] == by_token["user"] == ADMINISTRATOR
        assert by_password["password"] == password
        assert (by_password["sslmode"], by_password["channel_binding"]) == ("require", "require")
        assert by_token["password"].startswith(f"127.0.0.1:5432/?Action=connect&DBUser={ADMINISTRATOR}&X-Amz-")
        assert by_token["sslmode"] == "verify-full"


def take_tokens(radius: socket.socket) -> None:
    """Answer PostgreSQL's questions whether a password is right (RFC 2865): a token is, and nothing else."""
    while True:
        asked, asker = radius.recvfrom(4_096)
        if not asked:
            return
        authenticator, attributes = asked[4:20], asked[20:]
        password = b""
        while attributes:
            kind, length = attributes[:2]
            password = attributes[2:length] if kind == USER_PASSWORD else password
            attributes = attributes[length:]
        pad = hashlib.md5(SHARED + authenticator).digest()  # noqa: S324 - as RADIUS does
        plain = bytes(a ^ b for a, b in zip(password[:16], pad, strict=True)).rstrip(b"\0")
        code = ACCEPT if plain == TOKEN.encode() and len(password) == len(pad) else REJECT
        head = bytes([code, asked[1], 0, 20])
        radius.sendto(head + hashlib.md5(head + authenticator + SHARED).digest(), asker)  # noqa: S324


@pytest.fixture
def server_of_rds(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """A server that takes nothing but tokens from members of `rds_iam`, and passwords from others. It has no TLS."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as radius:
        radius.bind(("127.0.0.1", 0))
        (server.folder / "data" / "pg_hba.conf").write_text(
            f"host all +rds_iam samenet radius radiusservers=127.0.0.1 radiusports={radius.getsockname()[1]}"
            f" radiussecrets={SHARED.decode()}\nhost all all samenet scram-sha-256\n"
        )
        as_superuser(
            server,
            "select pg_reload_conf()",
            f"create role {ADMINISTRATOR} login createrole password 'secret'",
            f"create database trading owner {ADMINISTRATOR}",
        )
        threading.Thread(target=take_tokens, args=[radius], daemon=True).start()
        connect = psycopg2.connect
        monkeypatch.setattr(
            psycopg2,
            "connect",
            lambda *args, **address: connect(*args, **{**address, "sslmode": "disable", "channel_binding": "disable"}),
        )
        monkeypatch.setattr(database, "PORT", server.port)
        monkeypatch.setattr(database, "_token", lambda _: TOKEN)  # RADIUS is too short for a real one
        yield server
        radius.sendto(b"", radius.getsockname())


def as_superuser(server: Postgres, *statements: str) -> None:
    with closing(psycopg2.connect(server.url("postgres"))) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for statement in statements:
            cursor.execute(statement)


def test_the_migrator_of_a_second_deployment_gets_in_though_its_password_is_refused(
    server_of_rds: Postgres, secret: Secret
) -> None:
    secret("secret")
    assert database.run(migrations.migrate, repeatable=False)
    database.release()
    # On RDS the first deployment grants this. Here nobody may who is not a member of it, but a superuser.
    as_superuser(
        server_of_rds,
        "create role rds_iam",
        "grant rds_iam to trading_app",
        f"alter role {ADMINISTRATOR} superuser",
    )
    by_password = f"postgresql://{ADMINISTRATOR}:secret@127.0.0.1:{server_of_rds.port}/trading"
    with pytest.raises(psycopg2.OperationalError, match="RADIUS authentication failed"):
        psycopg2.connect(by_password)
    assert database.run(migrations.migrate, repeatable=False) == []
