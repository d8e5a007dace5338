import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from pydantic import ValidationError

from tests.conftest import Rows
from trading.core import database
from trading.core.errors import NotFoundError
from trading.trades import ledger
from trading.trades.ledger import DuplicateIdError, NewTrade, RecordedTrade, Trade, TradeFilter

NOON = datetime(2025, 6, 3, 12, tzinfo=UTC)


def new(**changes: Any) -> NewTrade:
    values = {"ticker": "MSFT", "price": "310.50", "quantity": 50, "side": "BUY", "timestamp": NOON.isoformat()}
    return NewTrade.model_validate({**values, **changes})


def record(*entries: NewTrade, by: str = "local") -> list[RecordedTrade]:
    return ledger.record(entries, by)


def tickers(wanted: TradeFilter) -> list[str]:
    return [trade.ticker for trade in ledger.find(wanted)[0]]


def test_a_trade_is_stored_as_it_was_sent_with_one_notification(rows: Rows) -> None:
    [recorded] = record(new())
    assert rows("select id, price::text, quantity, side, timestamp from trades") == [
        (recorded.trade.id, "310.50", Decimal(50), "BUY", NOON)
    ]
    assert rows("select id, trade_id, delivered_at from notifications") == [
        (recorded.notification_id, recorded.trade.id, None)
    ]


def test_two_genuine_identical_trades_are_two_trades(rows: Rows) -> None:
    record(new())
    record(new())
    assert rows("select count(*) from trades") == [(2,)]


def test_the_same_client_trade_id_is_recorded_and_announced_once(rows: Rows) -> None:
    [first] = record(new(client_trade_id="a"))
    [second] = record(new(client_trade_id="a", price=Decimal("310.5000"), timestamp="2025-06-03T14:00:00+02:00"))
    assert second.trade == first.trade
    assert second.notification_id is None
    assert rows("select count(*) from notifications") == [(1,)]


@pytest.mark.parametrize(
    "change",
    [
        {"price": "310.51"},
        {"quantity": 51},
        {"side": "SELL"},
        {"ticker": "AAPL"},
        {"timestamp": "2025-06-04T12:00:00Z"},
        {"account": "Desk 7"},
        {"fee": "1"},
        {"currency": "EUR"},
    ],
)
def test_the_same_client_trade_id_for_another_trade_is_refused(rows: Rows, change: dict[str, Any]) -> None:
    record(new(client_trade_id="a"))
    with pytest.raises(DuplicateIdError):
        record(new(client_trade_id="a", **change))
    assert rows("select count(*) from trades") == [(1,)]


def test_a_client_trade_id_belongs_to_the_one_who_used_it(rows: Rows) -> None:
    record(new(client_trade_id="a"), by="alice")
    record(new(client_trade_id="a", side="SELL"), by="bob")
    assert rows("select recorded_by, side from trades order by id") == [("alice", "BUY"), ("bob", "SELL")]


def test_sixteen_at_once_with_one_client_trade_id_give_one_trade_and_one_notification(
    rows: Rows, database_url: str
) -> None:
    def race(_: int) -> RecordedTrade:
        # A connection each, as functions have in sandboxes of their own.
        with psycopg2.connect(database_url) as connection, connection.cursor() as cursor:
            [recorded] = ledger._record(cursor, [new(client_trade_id="a")], "local")  # noqa: SLF001
        connection.close()
        return recorded

    with ThreadPoolExecutor(16) as threads:
        outcomes = list(threads.map(race, range(16)))
    assert len({outcome.trade.id for outcome in outcomes}) == 1
    assert sum(outcome.notification_id is not None for outcome in outcomes) == 1
    assert rows("select count(*) from notifications") == [(1,)]


def test_a_batch_is_recorded_whole_and_answered_in_its_order(rows: Rows) -> None:
    batch = [new(ticker=ticker, client_trade_id=key) for ticker, key in (("C", "z"), ("A", None), ("B", "a"))]
    recorded = record(*batch)
    assert [entry.trade.ticker for entry in recorded] == ["C", "A", "B"]
    assert [entry.trade.id for entry in recorded] == sorted(entry.trade.id for entry in recorded)
    assert rows("select count(*) from notifications where delivered_at is null") == [(3,)]


def test_a_batch_with_trades_that_are_there_already_records_the_others(rows: Rows) -> None:
    [known] = record(new(client_trade_id="a"))
    batch = [
        new(ticker="A"),
        new(client_trade_id="a"),
        new(ticker="B"),
        new(client_trade_id="b"),
        new(client_trade_id="b"),
    ]
    recorded = record(*batch)
    assert recorded[1] == RecordedTrade(known.trade, None)
    assert [entry.trade.ticker for entry in recorded] == ["A", "MSFT", "B", "MSFT", "MSFT"]
    assert recorded[3] == recorded[4]
    assert rows("select count(*) from trades") == [(4,)]


def test_one_clash_refuses_the_whole_batch_and_names_its_row(rows: Rows) -> None:
    record(new(client_trade_id="a"))
    with pytest.raises(DuplicateIdError) as clash:
        record(new(ticker="A"), new(client_trade_id="a", side="SELL"), new(client_trade_id="b"))
    assert clash.value.positions == [1]
    assert rows("select count(*) from trades") == [(1,)]


def test_two_trades_of_one_batch_under_one_id_refuse_it(rows: Rows) -> None:
    with pytest.raises(DuplicateIdError) as clash:
        record(new(client_trade_id="a"), new(client_trade_id="a", side="SELL"))
    assert clash.value.positions == [1]
    assert rows("select count(*) from trades") == [(0,)]


def test_batches_that_share_ids_in_opposite_orders_do_not_lock_one_another_out(rows: Rows, database_url: str) -> None:
    keys = [str(number) for number in range(300)]

    def race(order: list[str]) -> None:
        with psycopg2.connect(database_url) as connection, connection.cursor() as cursor:
            ledger._record(cursor, [new(client_trade_id=key) for key in order], "local")  # noqa: SLF001
        connection.close()

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(race, [keys, keys[::-1]] * 3))
    assert rows("select count(*) from trades") == [(300,)]


def test_the_database_itself_refuses_what_no_trade_can_be(rows: Rows) -> None:
    del rows
    good = json.loads(new().model_dump_json())
    for field, value in (
        ("price", "NaN"), ("price", "-1"), ("price", "1000000000000"), ("price", "0.0000001"),
        ("quantity", "Infinity"), ("quantity", "1000000000"), ("quantity", "0.00000000001"), ("ticker", "msft"),
        ("ticker", "BTC-EURUS"), ("side", "HOLD"), ("account", ""), ("account", "a\n"), ("fee", "-1"), ("fee", "NaN"),
        ("currency", "usd"), ("note", "x" * 1_001), ("tags", ["tag"] * 11),
    ):  # fmt: skip
        with pytest.raises(psycopg2.errors.CheckViolation):
            database.query(
                ledger._RECORD,  # noqa: SLF001 - past the model, which would refuse it first
                {"trades": json.dumps([{**good, field: value}]), "recorded_by": "local"},
                repeatable=False,
            )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ticker": "BTC-EURUS"}, "ticker"), ({"ticker": "BRK."}, "ticker"), ({"ticker": "BRK-b"}, "ticker"),
        ({"quantity": "1234567.123456789"}, "quantity"), ({"quantity": "0.00000000001"}, "quantity"),
        ({"timestamp": (datetime.now(UTC) + timedelta(days=2)).isoformat()}, "timestamp"),
        ({"account": "x" * 41}, "account"), ({"account": " a"}, "account"), ({"account": "a\n"}, "account"),
        ({"account": "a/b"}, "account"), ({"account": None}, "account"),
        ({"fee": "-1"}, "fee"), ({"fee": "0.0000001"}, "fee"), ({"fee": None}, "fee"),
        ({"currency": "usd"}, "currency"), ({"currency": "EURO"}, "currency"),
        ({"note": "x" * 1_001}, "note"), ({"note": "\x7f"}, "note"), ({"note": 7}, "note"),
        ({"tags": "q2"}, "tags"), ({"tags": [""]}, "tags"), ({"tags": ["two words"]}, "tags"),
        ({"tags": [f"t{number}" for number in range(11)]}, "tags"), ({"tags": None}, "tags"),
    ],
)  # fmt: skip
def test_what_is_no_trade_is_refused(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        new(**change)
    assert [error["loc"][0] for error in refused.value.errors()] == [field]


def test_tickers_may_have_a_class_an_exchange_or_a_quote_currency() -> None:
    assert [new(ticker=ticker).ticker for ticker in ("BRK.B", "SPYL.DE", "BTC-USD", "ABCDE.ABCD")]


def test_trades_are_found_newest_first_by_ticker_side_and_inclusive_dates(rows: Rows) -> None:
    del rows
    for index, ticker in enumerate(["A", "B", "C", "B"]):
        side = "SELL" if index % 2 else "BUY"
        record(new(ticker=ticker, side=side, timestamp=(NOON + timedelta(hours=index)).isoformat()))
    assert tickers(TradeFilter()) == ["B", "C", "B", "A"]
    assert tickers(TradeFilter(ticker="B")) == ["B", "B"]
    assert tickers(TradeFilter(side="BUY")) == ["C", "A"]
    assert tickers(TradeFilter(start_date=NOON + timedelta(hours=1), end_date=NOON + timedelta(hours=2))) == ["C", "B"]
    assert tickers(TradeFilter(ticker="B", side="BUY")) == []


def test_a_prefix_finds_the_tickers_that_begin_with_it(rows: Rows) -> None:
    del rows
    for index, ticker in enumerate(["BR", "BRK.B", "BRZZZ.ZZZZ", "BS", "BQZZZ", "B.RA", "BRK.A", "ABR", "BRK"]):
        record(new(ticker=ticker, timestamp=(NOON + timedelta(hours=index)).isoformat()))
    assert tickers(TradeFilter(ticker_prefix="BR")) == ["BRK", "BRK.A", "BRZZZ.ZZZZ", "BRK.B", "BR"]
    assert tickers(TradeFilter(ticker_prefix="BRK.")) == ["BRK.A", "BRK.B"]
    assert tickers(TradeFilter(ticker_prefix="BRK.B")) == ["BRK.B"]
    assert tickers(TradeFilter(ticker_prefix="BR", ticker="BRK")) == ["BRK"]
    assert tickers(TradeFilter(ticker_prefix="C")) == []


def test_the_pages_of_a_prefix_follow_one_another_across_its_tickers(rows: Rows) -> None:
    del rows
    names = ["BRK.A", "BS", "BR", "BRK.B"] * 5
    record(
        *[
            new(ticker=ticker, timestamp=(NOON + timedelta(seconds=n // 4)).isoformat())
            for n, ticker in enumerate(names)
        ]
    )
    whole, _ = ledger.find(TradeFilter(ticker_prefix="BR"))
    seen: list[Trade] = []
    cursor = None
    while len(seen) < len(whole):
        page, cursor = ledger.find(TradeFilter(ticker_prefix="BR", limit=4, cursor=cursor))
        seen += page
    assert seen == whole
    assert len(whole) == 15
    assert cursor is None


def test_pages_follow_one_another_without_gap_or_repetition_even_where_timestamps_are_equal(rows: Rows) -> None:
    del rows
    record(*[new(timestamp=(NOON + timedelta(seconds=index // 4)).isoformat()) for index in range(23)])
    whole, end = ledger.find(TradeFilter())
    assert end is None
    assert [trade.id for trade in whole] == [
        t.id for t in sorted(whole, key=lambda t: (t.timestamp, t.id), reverse=True)
    ]

    seen: list[Trade] = []
    cursor = None
    for _ in range(5):
        page, cursor = ledger.find(TradeFilter(limit=5, cursor=cursor))
        seen += page
        record(new(timestamp="2025-06-04T00:00:00Z"))  # what comes meanwhile does not move the pages that follow
        if cursor is None:
            break
    assert seen == whole


@pytest.mark.parametrize("ticker", [None, "T7"])
def test_a_page_is_read_from_an_index_in_its_own_order(rows: Rows, ticker: str | None) -> None:
    rows(
        "with t as (insert into trades (ticker, price, quantity, side, timestamp, recorded_by)"
        " select 'T' || chr((65 + n %% 26)::int), 1, 1, 'BUY', now() - n * interval '1 s', 'local'"
        " from generate_series(1, 20000) as n returning id) select count(*) from t"
    )
    database.run(lambda cursor: cursor.execute("analyze trades"), repeatable=True)
    where = "where ticker = %(ticker)s and" if ticker else "where"
    plan = "\n".join(
        line
        for (line,) in rows(
            f"explain select * from trades {where} (timestamp, id) < (now(), 5)"  # noqa: S608 - one of two constants
            " order by timestamp desc, id desc limit 100",
            ticker=ticker,
        )
    )
    assert ("trades_by_ticker" if ticker else "trades_by_time") in plan
    assert "Sort" not in plan


def test_a_rare_prefix_is_found_in_an_index(rows: Rows) -> None:
    rows(
        "with t as (insert into trades (ticker, price, quantity, side, timestamp, recorded_by)"
        " select chr((65 + n %% 26)::int) || chr((65 + n / 26 %% 26)::int), 1, 1, 'BUY', now(), 'local'"
        " from generate_series(1, 20000) as n returning id) select count(*) from t"
    )
    database.run(lambda cursor: cursor.execute("analyze trades"), repeatable=True)
    plan = "\n".join(
        line
        for (line,) in rows(
            f"explain select * from trades where {ledger.BEGINS} order by timestamp desc limit 100",  # noqa: S608
            ticker_prefix="QX",
        )
    )
    assert "Index Cond: ((ticker >= 'QX'::text) AND (ticker <= 'QXZZZZZZZZZ'::text))" in plan


def test_a_trade_shows_when_its_notification_was_delivered(rows: Rows) -> None:
    [recorded] = record(new())
    assert ledger.get(recorded.trade.id).notified_at is None
    rows("update notifications set delivered_at = '2025-06-03T12:00:01Z' returning id")
    assert ledger.get(recorded.trade.id).notified_at == NOON + timedelta(seconds=1)


def test_a_trade_that_does_not_exist_is_not_found(rows: Rows) -> None:
    del rows
    with pytest.raises(NotFoundError):
        ledger.get(1)
