import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from local.host.postgres import Postgres
from local.host.template import ROOT
from tests.conftest import context
from trading.core import database, migrations

NEWEST = max(path.name for path in (ROOT / "layers/trading/trading/core/migrations").glob("*.sql"))


class CloudFormation:
    """What waits for a custom resource: an address that takes answers, and fails as often as it is told to."""

    def __init__(self) -> None:
        self.answers: list[tuple[str | None, dict[str, Any]]] = []
        self.failures = 0
        self.refusal = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
        waiting = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if waiting.failures > 0:
                    waiting.failures -= 1
                    self.wfile.write(waiting.refusal)
                    return
                waiting.answers.append((self.headers["Content-Type"], json.loads(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def request(self, kind: str) -> dict[str, Any]:
        """Return the event of a deployment."""
        return {
            "RequestType": kind,
            "ResponseURL": f"http://127.0.0.1:{self.server.server_port}/?Signature=abc",
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "Schema",
            "ResourceProperties": {"NewestMigration": NEWEST},
            **({} if kind == "Create" else {"PhysicalResourceId": "schema"}),
        }


@pytest.fixture
def stack() -> Iterator[CloudFormation]:
    """A stack that is being deployed."""
    waiting = CloudFormation()
    thread = threading.Thread(target=waiting.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield waiting
    waiting.server.shutdown()
    thread.join()
    waiting.server.server_close()


@pytest.fixture
def empty(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a database in which nothing is."""
    name = f"empty_{uuid4().hex}"
    postgres.create_database(name)
    monkeypatch.setenv("DATABASE_URL", postgres.url(name))
    database.release()
    yield postgres.url(name)
    database.release()


def migrate(event: dict[str, Any], seconds: float = 300) -> dict[str, list[str]]:
    from functions.schema_migrator.app import handler  # noqa: PLC0415 - its environment is set by conftest

    answer: dict[str, list[str]] = handler(event, context(seconds))
    return answer


@pytest.mark.usefixtures("empty")
def test_an_empty_database_gets_the_schema() -> None:
    applied = migrate({})["applied"]
    assert (applied[0], applied[-1]) == ("0001_trades.sql", NEWEST)
    assert migrate({}) == {"applied": []}
    assert database.query("select count(*) from trades", {}, repeatable=True) == [(0,)]


@pytest.mark.usefixtures("empty")
def test_a_deployment_gets_the_schema_and_is_told_so(stack: CloudFormation) -> None:
    assert migrate(stack.request("Create"))["applied"][-1] == NEWEST
    answer = {
        "Status": "SUCCESS",
        "Reason": "",
        "PhysicalResourceId": "schema",
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "Schema",
    }
    assert stack.answers == [("", answer)]  # without a type, as the address was signed
    assert database.query("select count(*) from trades", {}, repeatable=True) == [(0,)]


@pytest.mark.usefixtures("empty")
def test_a_later_deployment_gets_what_is_new(stack: CloudFormation, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(stack.request("Create"))
    more = {**migrations._migrations(), "9999.sql": "alter table trades add venue text"}  # noqa: SLF001 - one more file
    monkeypatch.setattr(migrations, "_migrations", lambda: more)
    assert migrate(stack.request("Update")) == {"applied": ["9999.sql"]}
    assert [answer["Status"] for _, answer in stack.answers] == ["SUCCESS", "SUCCESS"]


@pytest.mark.usefixtures("empty")
def test_a_stack_that_is_led_to_an_empty_database_is_not_updated(stack: CloudFormation) -> None:
    with pytest.raises(migrations.NoSchemaError):
        migrate(stack.request("Update"))
    [(_, answer)] = stack.answers
    assert answer["Status"] == "FAILED"
    assert "DatabaseClass" in answer["Reason"]
    assert database.query("select to_regclass('schema_migrations'), to_regclass('trades')", {}, repeatable=True) == [
        (None, None)
    ]


@pytest.mark.usefixtures("empty")
def test_a_first_deployment_that_failed_half_way_can_be_repeated(
    stack: CloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(migrations, "_migrations", lambda: {"0001.sql": "no SQL"})
        with pytest.raises(psycopg2.errors.SyntaxError):
            migrate(stack.request("Create"))
    assert migrate(stack.request("Create"))["applied"][-1] == NEWEST


@pytest.mark.usefixtures("empty")
def test_a_migration_that_fails_stops_the_deployment_at_once_and_is_undone(
    stack: CloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {"0001.sql": "create table a (b int); create table a (b int)"}
    monkeypatch.setattr(migrations, "_migrations", lambda: broken)
    with pytest.raises(psycopg2.errors.DuplicateTable):
        migrate(stack.request("Create"))
    [(_, answer)] = stack.answers
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith('DuplicateTable: relation "a" already exists')
    assert database.query("select to_regclass('a')", {}, repeatable=True) == [(None,)]


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("slow", ["select pg_sleep(60)", "select pg_sleep(0.3); select pg_sleep(0.3)"])
def test_a_migration_that_takes_too_long_is_ended_and_reported_before_the_migrator_is(
    stack: CloudFormation, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    monkeypatch.setattr(migrations, "_migrations", lambda: {"0001.sql": f"create table a (b int); {slow}"})
    with pytest.raises(database.DatabaseUnavailableError):
        migrate(stack.request("Create"), seconds=30.5)  # of which 30 are kept for the answer
    [(_, answer)] = stack.answers
    assert answer["Status"] == "FAILED"
    # On a machine that is busy a single statement may be ended like many: by the end of its connection.
    assert "statement timeout" in answer["Reason"] or "server closed" in answer["Reason"]
    assert database.query("select to_regclass('a')", {}, repeatable=True) == [(None,)]


def test_a_table_that_somebody_holds_fails_the_deployment_and_not_everybody_who_comes_after(
    stack: CloudFormation, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate({})
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 0.2)
    more = {**migrations._migrations(), "9999.sql": "alter table trades add venue text"}  # noqa: SLF001 - one more file
    monkeypatch.setattr(migrations, "_migrations", lambda: more)
    holder = psycopg2.connect(empty)
    with holder.cursor() as cursor:
        cursor.execute("select count(*) from trades")  # and the transaction is left open
    with pytest.raises(database.DatabaseUnavailableError):
        migrate(stack.request("Update"))
    holder.close()
    assert "lock timeout" in stack.answers[0][1]["Reason"]


def test_a_database_that_is_away_fails_the_deployment(stack: CloudFormation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:9/none")
    database.release()
    with pytest.raises(database.DatabaseUnavailableError):
        migrate(stack.request("Create"))
    assert stack.answers[0][1]["Status"] == "FAILED"


def test_the_data_stay_when_the_stack_is_deleted(stack: CloudFormation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:9/none")  # it is not even asked
    database.release()
    assert migrate(stack.request("Delete")) == {"applied": []}
    assert stack.answers[0][1]["Status"] == "SUCCESS"


@pytest.mark.usefixtures("empty")
def test_a_deployment_that_is_taken_back_finds_a_newer_schema_and_leaves_it(
    stack: CloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate({})
    older = {name: text for name, text in migrations._migrations().items() if name != NEWEST}  # noqa: SLF001 - the older code
    monkeypatch.setattr(migrations, "_migrations", lambda: older)
    assert migrate(stack.request("Update")) == {"applied": []}
    assert stack.answers[0][1]["Status"] == "SUCCESS"


HANGS_UP, NO_HTTP = b"", b"Good day\r\n\r\n"


@pytest.mark.parametrize("refusal", [None, HANGS_UP, NO_HTTP], ids=["503", "hangs up", "no HTTP"])
def test_an_answer_that_is_not_taken_is_given_again(
    stack: CloudFormation, monkeypatch: pytest.MonkeyPatch, refusal: bytes | None
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    stack.failures = 2
    stack.refusal = stack.refusal if refusal is None else refusal
    migrate(stack.request("Delete"))
    assert len(stack.answers) == 1


def test_an_answer_that_nobody_takes_is_an_error(stack: CloudFormation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    stack.failures = 3
    with pytest.raises(OSError, match="503"):
        migrate(stack.request("Delete"))
