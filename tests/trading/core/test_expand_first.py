"""The statements of the commit before the ledger's changes, which run beside the new code while it is deployed."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from local.host.postgres import Postgres
from tests.conftest import Rows
from trading.core import migrations
from trading.notifications import events, outbox
from trading.notifications.events import TradeRecorded
from trading.prices import records
from trading.prices.alert_rules import Detector
from trading.prices.records import PriceFilter
from trading.prices.ticks import Tick
from trading.trades import changes, ledger
from trading.trades.changes import NewCorrection
from trading.trades.ledger import NewTrade

FIELDS = {"ticker", "price", "quantity", "side", "timestamp", "client_trade_id"}
RECORD = """
with entries as materialized (
    select nextval('trades_id_seq') as id, entry.*
    from json_to_recordset(%(trades)s) as entry(
        ticker text, price numeric, quantity numeric, side text, timestamp timestamptz, client_trade_id text
    )
), recorded as (
    insert into trades (id, ticker, price, quantity, side, timestamp, client_trade_id, recorded_by)
    select id, ticker, price, quantity, side, timestamp, client_trade_id, %(recorded_by)s
    from entries
    order by client_trade_id
    on conflict (recorded_by, client_trade_id) do nothing
    returning id, ticker, price, quantity, side, timestamp, client_trade_id, recorded_by, recorded_at
), announced as (
    insert into notifications (trade_id) select id from recorded returning id as notification_id, trade_id
)
select id, ticker, notification_id from recorded join announced on trade_id = recorded.id order by id
"""
FIND = """
select id, ticker, price, quantity, side, timestamp, client_trade_id, recorded_by, recorded_at, timestamp, id
from trades order by timestamp desc, id desc limit 1000
"""
GET = """
select id, ticker, price, quantity, side, timestamp, client_trade_id, recorded_by, recorded_at,
    (select delivered_at from notifications where trade_id = trades.id)
from trades where id = %(id)s
"""
CLAIM = """
with claimed as (
    update notifications set sending_until = now() + make_interval(secs => 60)
    where id = %(id)s and delivered_at is null and (sending_until is null or sending_until < now())
    returning id
)
select exists (select from claimed), delivered_at is not null from notifications where id = %(id)s
"""
TAKE_DUE = """
with due as materialized (
    select id from notifications
    where delivered_at is null and failed_at is null and next_attempt_at <= now()
    order by next_attempt_at
    limit 10
    for update skip locked
), taken as (
    update notifications as notification set
        attempts = attempts + 1,
        next_attempt_at = now() + interval '1 minute' * power(2, attempts + 1),
        failed_at = case when attempts >= 10 then now() end
    from due
    where notification.id = due.id
    returning notification.id, failed_at, trade_id, alert_id
)
select taken.id, trades.id, trades.ticker, alerts.id
from taken left join trades on trades.id = trade_id left join alerts on alerts.id = alert_id
"""


def new(**changed: Any) -> NewTrade:
    sent = {"ticker": "MSFT", "price": "310.50", "quantity": 50, "side": "BUY", "timestamp": "2025-06-03T12:00:00Z"}
    return NewTrade.model_validate({**sent, **changed})


@pytest.fixture
def written(rows: Rows) -> list[int]:
    """The ids of trades that the new code wrote: an active one, a voided one, a corrected one and its replacement."""
    del rows
    [active, voided, corrected] = [
        entry.trade.id
        for entry in ledger.record([new(account="Desk 7", fee=1, ticker="SPYL.DE", quantity="1.63453043")] * 3, "local")
    ]
    changes.void(voided, "Entered twice", "local")
    correction = NewCorrection.model_validate({"price": "311.50", "reason": "Wrong price"})
    replacement, _ = changes.correct(corrected, correction, "local")
    return [active, voided, corrected, replacement.id]


@pytest.mark.usefixtures("written")
def test_the_old_sweeper_takes_trades_and_no_changes_and_the_new_one_takes_all(rows: Rows) -> None:
    rows("update notifications set next_attempt_at = now() where trade_id is not null returning id")  # a minute passes
    taken = rows(TAKE_DUE)
    assert sorted(trade_id for _, trade_id, *_ in taken) == [1, 2, 3]
    assert rows(TAKE_DUE) == []
    rows("update notifications set due_at = now() returning id")
    due = rows(outbox._TAKE_DUE, limit=10, attempts=10)  # noqa: SLF001 - what the sweeper claims
    types = sorted(outbox._event(id_, columns).type for id_, _, *columns in due)  # noqa: SLF001
    assert types == [
        "trade.corrected.v1",
        "trade.recorded.v1",
        "trade.recorded.v1",
        "trade.recorded.v1",
        "trade.voided.v1",
    ]


def test_the_old_handlers_find_what_the_new_code_wrote(rows: Rows, written: list[int]) -> None:
    assert [row[0] for row in rows(FIND)] == written[::-1]
    assert [rows(GET, id=trade_id)[0][0] for trade_id in written] == written
    [(notification_id,)] = rows("select id from notifications where trade_id = %(id)s", id=written[0])
    assert rows(CLAIM, id=notification_id) == [(True, False)]


def test_the_new_code_finds_announces_and_changes_what_the_old_handlers_wrote(rows: Rows) -> None:
    sent = [{**json.loads(new().model_dump_json(include=FIELDS)), "client_trade_id": "order-1"}]
    [(trade_id, *_)] = rows(RECORD, trades=json.dumps(sent), recorded_by="local")
    trade = ledger.get(trade_id)
    assert (trade.account, trade.fee, trade.currency) == ("main", Decimal(0), "USD")
    assert (trade.note, trade.tags) == (None, [])
    [again] = ledger.record([new(client_trade_id="order-1")], "local")
    assert (again.trade.id, again.notification_id) == (trade_id, None)
    rows("update notifications set due_at = now() returning id")
    [(id_, _, *columns)] = rows(outbox._TAKE_DUE, limit=10, attempts=10)  # noqa: SLF001
    assert outbox._event(id_, columns) == TradeRecorded.of(again.trade, id_)  # noqa: SLF001
    assert changes.void(trade_id, "Entered twice", "local")


def test_the_new_publisher_reads_a_message_of_the_old_code() -> None:
    data = {
        "id": 1, "ticker": "MSFT", "price": "310.50", "quantity": 50, "side": "BUY", "recorded_by": "local",
        "timestamp": "2025-06-03T12:00:00Z", "client_trade_id": None, "recorded_at": "2025-06-03T12:00:01Z",
    }  # fmt: skip
    event = events.read(
        json.dumps({"id": "1", "type": "trade.recorded.v1", "time": "2025-06-03T12:00:01Z", "data": data})
    )
    assert isinstance(event, TradeRecorded)
    assert (event.data.account, event.data.currency) == ("main", "USD")


# Of the processor before there were alert rules.
SAVE_WINDOW = """
insert into price_windows (ticker, state) values ('AAPL', %(state)s)
on conflict (ticker) do update set state = excluded.state returning ticker
"""
ALERT = """
insert into alerts (id, ticker, price, timestamp, low_price, low_timestamp, rise_percent)
values (%(id)s, 'AAPL', 100.1, '2025-06-03T12:00:20Z', 98, '2025-06-03T12:00:10Z', 2.14)
on conflict (id) do nothing returning id
"""
FIND_ALERTS = """
select id, ticker, price, timestamp, low_price, low_timestamp, rise_percent, timestamp, number from alerts
order by timestamp desc, number desc limit 1000
"""
STATE = (
    '{"newest":"2025-06-03T12:00:20Z","recent":["2025-06-03T12:00:20Z"],"lows":[["2025-06-03T12:00:10Z","98"],'
    '["2025-06-03T12:00:20Z","100.1"]],"alerted":["2025-06-03T12:00:20Z","100.1"]}'
)


def at(seconds: int, price: str) -> Tick:
    return Tick("AAPL", Decimal(price), datetime(2025, 6, 3, 12, tzinfo=UTC) + timedelta(seconds=seconds))


def test_the_alert_rules_go_on_from_the_window_and_the_alerts_of_the_old_processor(rows: Rows) -> None:
    rows(SAVE_WINDOW, state=STATE)
    detector = Detector("AAPL")
    [old] = [alert for tick in (at(10, "98"), at(20, "100.1")) for alert in detector.update(tick).alerts]
    rows(ALERT, id=old.id)
    assert records.find_alerts(PriceFilter())[0] == [old]
    recorded = records.record({"AAPL": [at(20, "100.1"), at(30, "102.2")]})["AAPL"]
    assert (recorded.repeated, [each.alert.low_timestamp for each in recorded.alerts]) == (1, [at(20, "1").timestamp])


def test_the_old_processor_works_beside_the_new_one_and_what_it_wrote_last_counts(rows: Rows) -> None:
    records.record({"AAPL": [at(0, "98"), at(1, "100.1")]})
    assert [row[2] for row in rows(FIND_ALERTS)] == [Decimal("100.1")]
    assert rows("select state from price_windows") == [(None,)]
    rows(SAVE_WINDOW, state=STATE)
    assert records.record({"AAPL": [at(20, "100.1")]})["AAPL"].repeated == 1


@pytest.fixture
def before(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A connection to a database as the commit before left it, with a trade, an alert and their notifications."""
    name = f"before_{uuid4().hex}"
    postgres.create_database(name)
    with closing(psycopg2.connect(postgres.url(name))) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        old = {name: text for name, text in migrations._migrations().items() if name < "0004"}  # noqa: SLF001 - the older code
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "_migrations", lambda: old)
            migrations.migrate(cursor)
        cursor.execute(RECORD, {"trades": json.dumps([json.loads(new().model_dump_json())]), "recorded_by": "local"})
        cursor.execute(
            "with a as (insert into alerts (id, ticker, price, timestamp, low_price, low_timestamp, rise_percent)"
            " values (gen_random_uuid(), 'BRK.B', 2, now(), 1, now(), 100) returning id)"
            " insert into notifications (alert_id, next_attempt_at) select id, now() - interval '1 day' from a"
        )
        yield connection


def test_a_database_with_rows_gets_the_schema_with_every_constraint_validated_and_every_index_whole(
    before: Any,
) -> None:
    with before.cursor() as cursor:
        applied = migrations.migrate(cursor)
        assert applied[0] == "0004_ledger.sql"
        cursor.execute("select conname from pg_constraint where not convalidated")
        assert cursor.fetchall() == []
        cursor.execute("select indexrelid::regclass from pg_index where not indisvalid")
        assert cursor.fetchall() == []
        cursor.execute("select account, fee, currency, note, tags from trades")
        assert cursor.fetchall() == [("main", 0, "USD", None, [])]
        # What waited is swept within two minutes; nothing that waited is forgotten.
        cursor.execute("select count(*) from notifications where due_at <= now() + interval '1 minute'")
        assert cursor.fetchall() == [(2,)]
