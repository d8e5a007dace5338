from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from local.postgres import Postgres
from local.template import ROOT
from tests.conftest import Bucket
from trading import database, migrations, notifications, simulations, trades
from trading.simulations import NewSimulation
from trading.trades import NewTrade


@pytest.fixture
def signed_in(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function that signs in to a fresh database, which has the documented roles, as one of them."""
    name = f"roles_{uuid4().hex}"
    postgres.create_database(name)
    as_administrator(
        postgres,
        name,
        "create role rds_iam",  # RDS has it
        (ROOT / "docs" / "database-roles.sql").read_text(),
        "alter role trading_owner password 'owner'; alter role trading_app password 'app'",
    )

    def sign_in(role: str, password: str) -> None:
        address = f"postgresql://{role}:{password}@127.0.0.1:{postgres.port}/{name}"
        monkeypatch.setenv("DATABASE_URL", address)
        database.release()

    yield sign_in
    database.release()
    as_administrator(
        postgres, "postgres", f"drop database {name} with (force)", "drop role trading_owner, trading_app, rds_iam"
    )


def as_administrator(postgres: Postgres, name: str, *statements: str) -> None:
    connection = psycopg2.connect(postgres.url(name))
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()


def test_the_owner_migrates_and_the_application_does_its_work_and_no_more(
    signed_in: Any, trade: dict[str, Any], bucket: Bucket
) -> None:
    signed_in("trading_owner", "owner")
    assert database.run(migrations.migrate, repeatable=False, atomic=True)
    signed_in("trading_app", "app")
    [recorded] = trades.record([NewTrade.model_validate(trade)], "desk-7")
    assert trades.get(recorded.trade.id).notified_at is None
    assert notifications.sweep(5) == notifications.Sweep(0, 0, 0)
    bucket.put("history/MSFT.csv", "date,close\n2024-01-02,10\n")
    asked = NewSimulation(ticker="MSFT", fast=2, slow=3, fill="close")
    assert simulations.record(asked, bucket.name).is_new
    for forbidden in ("delete from trades", "drop table trades", "create table mine (x int)"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            database.query(forbidden, {}, repeatable=False)
