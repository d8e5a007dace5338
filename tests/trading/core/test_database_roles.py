from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from local.host.postgres import Postgres
from tests.conftest import Bucket
from trading.analysis import exports
from trading.core import database, migrations
from trading.notifications import outbox
from trading.prices import records as prices
from trading.prices.ticks import Tick
from trading.simulation import records
from trading.simulation.records import NewSimulation
from trading.trades import changes, ledger, splits
from trading.trades.changes import NewCorrection
from trading.trades.ledger import Annotation, NewTrade
from trading.trades.splits import NewSplit

ADMINISTRATOR, APPLICATION = "rds_administrator", "trading_app"


def as_superuser(postgres: Postgres, name: str, *statements: str) -> None:
    with closing(psycopg2.connect(postgres.url(name))) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def signed_in(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """A function that signs in to a fresh database as RDS makes one: its owner is no superuser, but has `rds_iam`."""
    name = f"roles_{uuid4().hex}"
    as_superuser(
        postgres,
        "postgres",
        "create role rds_iam",
        f"create role {ADMINISTRATOR} login createrole password 'secret'",
        f"grant rds_iam to {ADMINISTRATOR} with admin option",
        f"create database {name} owner {ADMINISTRATOR}",
    )

    def sign_in(role: str) -> None:
        monkeypatch.setenv("DATABASE_URL", f"postgresql://{role}:secret@127.0.0.1:{postgres.port}/{name}")
        database.release()

    yield sign_in
    database.release()
    as_superuser(
        postgres,
        "postgres",
        f"drop database {name} with (force)",
        f"drop role {ADMINISTRATOR}, rds_iam",
        f"alter role {APPLICATION} password null",
    )


def test_the_owner_migrates_and_the_application_does_its_work_and_no_more(
    signed_in: Callable[[str], None], postgres: Postgres, trade: dict[str, Any], bucket: Bucket
) -> None:
    signed_in(ADMINISTRATOR)
    for expected in (True, False):  # a second deployment finds the role, and grants it all again
        assert bool(database.run(migrations.migrate, repeatable=False)) == expected
    assert database.query("select pg_has_role('trading_app', 'rds_iam', 'usage')", {}, repeatable=True) == [(True,)]

    as_superuser(postgres, "postgres", f"alter role {APPLICATION} password 'secret'")  # for want of IAM here
    signed_in(APPLICATION)
    [recorded] = ledger.record([NewTrade.model_validate(trade)], "desk-7")
    assert ledger.get(recorded.trade.id).notified_at is None
    ledger.annotate(recorded.trade.id, Annotation(note="by phone"))
    correction = NewCorrection(quantity=Decimal(51), reason="Wrong quantity")
    replacement, _ = changes.correct(recorded.trade.id, correction, "desk-7")
    assert changes.void(replacement.id, "Entered twice", "desk-7")
    sent = {"ticker": "MSFT", "effective_at": "2025-06-03T12:00:00Z", "ratio": "2:1"}
    split, _ = splits.record(NewSplit.model_validate(sent), "desk-7")
    assert splits.void(split.id, "Wrong ticker", "desk-7").status == "voided"
    tick = Tick("MSFT", Decimal(300), datetime.now(UTC))
    assert prices.record({"MSFT": [tick]})
    assert outbox.sweep(5) == outbox.Sweep(0, 0, 0)
    bucket.put("history/MSFT.csv", "date,close\n2024-01-02,10\n")
    asked = NewSimulation(ticker="MSFT", fast=2, slow=3, fill="close")
    assert records.record(asked, bucket.name).is_new
    for forbidden in (
        "delete from trades",
        "update trades set price = 1",
        "update trades set recorded_by = 'somebody else'",
        "delete from trade_changes",
        "update trade_changes set reason = ''",
        "update splits set numerator = 3",
        "update notifications set trade_id = 1",
        "drop table trades",
        "create table mine (x int)",
        "update schema_migrations set digest = ''",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            database.query(forbidden, {}, repeatable=False)

    # What as_of counts on: what was recorded a minute ago is committed, or never will be.
    timeouts = "statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"
    limits = [database.query(f"show {name}", {}, repeatable=True)[0][0] for name in timeouts]
    assert limits == ["30s", "10s", "45s"]
    # Every trade of the day was taken back above; what counts is that the application may look.
    assert exports.export_day(bucket.name, recorded.trade.timestamp.date()).records_exported == 0
    assert database.query("show statement_timeout", {}, repeatable=True) == [("30s",)]
