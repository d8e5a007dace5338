from uuid import uuid4

import pytest

from local.postgres import Postgres
from tests.conftest import context
from trading import database


def test_an_empty_database_gets_the_schema(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    from functions.schema_migrator.app import handler  # noqa: PLC0415 - its environment is set by conftest

    name = f"empty_{uuid4().hex}"
    postgres.create_database(name)
    monkeypatch.setenv("DATABASE_URL", postgres.url(name))
    database.release()
    assert "0001_trades.sql" in handler({}, context())["applied"]
    assert handler({}, context()) == {"applied": []}
    assert database.query("select count(*) from trades", {}, repeatable=True) == [(0,)]
    database.release()
