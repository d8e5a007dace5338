import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg2
import pytest

from tests.conftest import Rows
from trading.core import database
from trading.core.errors import ConflictError, InvalidError, NotFoundError
from trading.trades import changes, ledger
from trading.trades.changes import NewCorrection
from trading.trades.ledger import Annotation, NewTrade, TradeFilter

NOON = datetime(2025, 6, 3, 12, tzinfo=UTC)


def new(**changed: Any) -> NewTrade:
    values = {"ticker": "MSFT", "price": "310.50", "quantity": 50, "side": "BUY", "timestamp": NOON.isoformat()}
    return NewTrade.model_validate({**values, **changed})


def record(**changed: Any) -> int:
    return ledger.record([new(**changed)], "local")[0].trade.id


def correction(**changed: Any) -> NewCorrection:
    return NewCorrection.model_validate({"reason": "Wrong price", **changed})


def ids(**wanted: Any) -> list[int]:
    return sorted(trade.id for trade in ledger.find(TradeFilter(**wanted))[0])


# Voids


def test_a_voided_trade_says_when_by_whom_and_why_and_is_announced_once(rows: Rows) -> None:
    trade_id = record()
    written = changes.void(trade_id, "Entered twice", "desk-7")
    assert written
    trade = ledger.get(trade_id)
    assert (trade.status, trade.voided_by, trade.void_reason) == ("voided", "desk-7", "Entered twice")
    assert (trade.replaces, trade.replaced_by) == (None, None)
    assert written.change.voided_at == trade.voided_at
    assert written.change.price == Decimal("310.50")
    assert rows("select id from notifications where change_id is not null") == [(written.notification_id,)]


def test_a_second_void_changes_nothing(rows: Rows) -> None:
    trade_id = record()
    changes.void(trade_id, "Entered twice", "desk-7")
    voided = ledger.get(trade_id)
    assert changes.void(trade_id, "Again", "desk-8") is None
    assert ledger.get(trade_id) == voided
    assert rows("select count(*) from trade_changes") == [(1,)]


def test_a_trade_that_does_not_exist_is_neither_voided_nor_corrected(rows: Rows) -> None:
    assert changes.void(77, "Entered twice", "local") is None
    with pytest.raises(NotFoundError):
        changes.correct(77, correction(price="1"), "local")
    assert rows("select (select count(*) from trades), (select count(*) from notifications)") == [(0, 0)]


def test_a_retry_of_a_voided_trade_is_answered_as_it_is_stored(rows: Rows) -> None:
    trade_id = record(client_trade_id="order-1")
    changes.void(trade_id, "Entered twice", "local")
    [again] = ledger.record([new(client_trade_id="order-1")], "local")
    assert (again.trade.id, again.notification_id) == (trade_id, None)
    assert rows("select count(*) from trades") == [(1,)]


# Corrections


def test_a_correction_keeps_what_it_does_not_name_and_voids_the_old_trade_with_one_notification(rows: Rows) -> None:
    trade_id = record(account="Desk 7", fee="1.50", currency="EUR", note="by phone", tags=["earnings"])
    trade, written = changes.correct(trade_id, correction(price="311.500", note=None), "desk-7")
    assert written
    assert (trade.price, trade.quantity, trade.account, trade.fee) == (
        Decimal("311.500"), Decimal(50), "Desk 7", Decimal("1.50"),
    )  # fmt: skip
    assert str(trade.price) == "311.500"
    assert (trade.note, trade.tags, trade.recorded_by, trade.client_trade_id) == (None, ["earnings"], "desk-7", None)
    assert (trade.status, trade.replaces, trade.replaced_by) == ("active", trade_id, None)
    old = ledger.get(trade_id)
    assert (old.status, old.void_reason, old.replaced_by) == ("voided", "Wrong price", trade.id)
    assert old.voided_at == trade.recorded_at
    assert rows("select count(*) from notifications where change_id is not null") == [(1,)]
    assert rows("select count(*) from notifications where trade_id = %(id)s", id=trade.id) == [(0,)]


def test_a_trade_that_replaces_another_was_notified_when_its_correction_was(rows: Rows) -> None:
    trade, _ = changes.correct(record(), correction(quantity=51), "local")
    assert trade.notified_at is None
    rows("update notifications set delivered_at = '2025-06-03T12:00:01Z' where change_id is not null returning id")
    assert ledger.get(trade.id).notified_at == NOON + timedelta(seconds=1)


def test_a_correction_whose_answer_was_lost_is_answered_with_its_trade(rows: Rows) -> None:
    trade_id = record()
    first, _ = changes.correct(trade_id, correction(price="311.50", client_trade_id="fix-1"), "local")
    changes.void(first.id, "Wrong after all", "local")
    again, written = changes.correct(trade_id, correction(price="311.5", client_trade_id="fix-1"), "local")
    assert (again.id, again.status, written) == (first.id, "voided", None)
    assert rows("select count(*) from trades") == [(2,)]


@pytest.mark.parametrize(
    "change", [{"price": "312"}, {"price": "311.50", "client_trade_id": "fix-2"}, {"side": "SELL"}]
)
def test_another_correction_of_a_corrected_trade_is_refused(rows: Rows, change: dict[str, Any]) -> None:
    trade_id = record()
    changes.correct(trade_id, correction(price="311.50"), "local")
    with pytest.raises(ConflictError, match="corrected differently"):
        changes.correct(trade_id, correction(**change), "local")
    assert rows("select count(*) from trades") == [(2,)]


def test_a_correction_of_a_voided_trade_is_refused(rows: Rows) -> None:
    trade_id = record()
    changes.void(trade_id, "Entered twice", "local")
    with pytest.raises(ConflictError, match="voided"):
        changes.correct(trade_id, correction(price="311.50"), "local")
    assert rows("select count(*) from trades") == [(1,)]


def test_a_correction_with_the_client_trade_id_of_another_trade_is_refused_and_changes_nothing(rows: Rows) -> None:
    record(client_trade_id="order-1")
    trade_id = record()
    with pytest.raises(ConflictError) as refused:
        changes.correct(trade_id, correction(price="311.50", client_trade_id="order-1"), "local")
    assert [error.field for error in refused.value.errors] == ["client_trade_id"]
    assert ledger.get(trade_id).status == "active"
    assert rows("select count(*) from trades") == [(2,)]


@pytest.mark.parametrize(
    ("change", "field"), [({}, "body"), ({"client_trade_id": "a"}, "body"), ({"quantity": 0}, "fee")]
)
def test_a_correction_that_makes_no_trade_names_the_field(rows: Rows, change: dict[str, Any], field: str) -> None:
    trade_id = record(fee="1")
    with pytest.raises(InvalidError) as refused:
        changes.correct(trade_id, correction(**change), "local")
    assert [error.field for error in refused.value.errors] == [field]
    assert rows("select count(*) from trade_changes") == [(0,)]


# Annotations


def test_note_and_tags_change_in_place_and_nothing_else_does(rows: Rows) -> None:
    del rows
    trade_id = record(note="by phone", tags=["earnings"])
    ledger.annotate(trade_id, Annotation(tags=["earnings", "q2"]))
    assert (ledger.get(trade_id).note, ledger.get(trade_id).tags) == ("by phone", ["earnings", "q2"])
    changes.void(trade_id, "Entered twice", "local")
    ledger.annotate(trade_id, Annotation.model_validate({"note": None}))
    assert (ledger.get(trade_id).note, ledger.get(trade_id).tags) == (None, ["earnings", "q2"])
    with pytest.raises(InvalidError):
        ledger.annotate(trade_id, Annotation())
    with pytest.raises(NotFoundError):
        ledger.annotate(77, Annotation(note="?"))


def test_a_repeated_client_trade_id_is_the_same_trade_whatever_was_noted_since(rows: Rows) -> None:
    del rows
    trade_id = record(client_trade_id="order-1", note="by phone")
    ledger.annotate(trade_id, Annotation(note="by mail"))
    assert record(client_trade_id="order-1") == trade_id


# Finding


def test_trades_are_found_by_account_tag_and_status(rows: Rows) -> None:
    del rows
    plain, tagged, voided = record(), record(account="Desk 7", tags=["q2"]), record(account="Desk 7", tags=["q2"])
    changes.void(voided, "Entered twice", "local")
    assert ids() == [plain, tagged]
    assert ids(account="Desk 7") == ids(tag="q2") == [tagged]
    assert ids(account="Desk 7", status="all") == [tagged, voided]
    assert ids(status="voided") == [voided]
    assert ids(tag="q3") == []


def test_trades_are_found_as_of_an_instant_as_the_ledger_stood_then(rows: Rows) -> None:
    first, second = record(), record()
    third = changes.correct(first, correction(price="311.50"), "local")[0].id
    changes.void(second, "Entered twice", "local")
    instants = [NOON + timedelta(hours=hour) for hour in range(5)]
    for statement, instant in (
        ("update trades set recorded_at = %(at)s where id in (1, 2) returning id", instants[1]),
        ("update trades set recorded_at = %(at)s where id = 3 returning id", instants[2]),
        ("update trade_changes set changed_at = %(at)s where trade_id = 1 returning id", instants[2]),
        ("update trade_changes set changed_at = %(at)s where trade_id = 2 returning id", instants[3]),
    ):
        rows(statement, at=instant)
    assert [ids(as_of=instant) for instant in instants] == [[], [first, second], [second, third], [third], [third]]
    assert ids(as_of=instants[2], status="voided") == [first]
    statuses = {trade.id: trade.status for trade in ledger.find(TradeFilter(as_of=instants[2], status="all"))[0]}  # type: ignore[attr-defined]
    assert statuses == {first: "voided", second: "active", third: "active"}


PAGES: list[tuple[dict[str, Any], str]] = [
    ({}, "trades_by_time"),
    ({"ticker": "TA"}, "trades_by_ticker"),
    ({"account": "a3"}, "trades_by_account"),
    ({"tag": "rare"}, "trades_by_tag"),
    ({"status": "voided"}, "trades_by_time"),
    ({"status": "all"}, "trades_by_time"),
    ({"as_of": NOON}, "trades_by_time"),
]


def test_a_page_is_read_from_an_index(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    rows(
        "with t as (insert into trades (ticker, price, quantity, side, timestamp, recorded_by, account, tags,"
        " recorded_at) select 'T' || chr((65 + n %% 26)::int), 1, 1, 'BUY', now() - n * interval '1 s', 'local',"
        " 'a' || n %% 20,"
        " case when n %% 2000 = 0 then '{rare}'::text[] else '{}' end, '2025-06-01Z'"
        " from generate_series(1, 20000) as n returning id),"
        " c as (insert into trade_changes (trade_id, reason, changed_by, changed_at)"
        " select id, 'x', 'local', '2025-06-01Z' from t where id %% 10 = 1 returning id)"
        " select (select count(*) from t), (select count(*) from c)"
    )
    database.run(lambda cursor: cursor.execute("analyze trades, trade_changes"), repeatable=True)
    query = database.query

    plans: list[str] = []

    def explain(statement: str, parameters: dict[str, Any], *, repeatable: bool) -> list[tuple[Any, ...]]:
        plans.append("\n".join(line for (line,) in query(f"explain {statement}", parameters, repeatable=repeatable)))
        return query(statement, parameters, repeatable=repeatable)

    monkeypatch.setattr(database, "query", explain)
    for wanted, index in PAGES:
        found, cursor = ledger.find(TradeFilter(**wanted, limit=5))
        assert len(found) == 5, wanted
        assert cursor, wanted
        assert len(ledger.find(TradeFilter(**wanted, limit=5, cursor=cursor))[0]) == 5, wanted
        assert all(index in plan and "Seq Scan" not in plan for plan in plans), (wanted, plans)
        plans.clear()


# Races


@pytest.fixture
def a_session_each(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every thread has a connection of its own, as functions have in sandboxes of their own."""
    own, opened = threading.local(), []

    def run(work: Callable[[Any], Any], *, repeatable: bool, atomic: bool = False) -> Any:
        del repeatable
        if not hasattr(own, "connection"):
            own.connection = psycopg2.connect(database_url)
            opened.append(own.connection)
        own.connection.autocommit = not atomic
        with own.connection, own.connection.cursor() as cursor:
            return work(cursor)

    monkeypatch.setattr(database, "run", run)
    yield
    for connection in opened:
        connection.close()


def outcomes(*works: Callable[[], Any]) -> list[Any]:
    """Return what each work returns or raises, all of them begun at once."""
    with ThreadPoolExecutor(len(works)) as threads:
        futures = [threads.submit(work) for work in works]
        return [future.exception() or future.result() for future in futures]


@pytest.mark.usefixtures("a_session_each")
def test_of_a_void_and_a_correction_at_once_one_wins(rows: Rows) -> None:
    for _ in range(10):
        trade_id = record()
        voided, corrected = outcomes(
            lambda trade_id=trade_id: changes.void(trade_id, "Entered twice", "a"),  # type: ignore[misc]
            lambda trade_id=trade_id: changes.correct(trade_id, correction(price="1"), "b"),  # type: ignore[misc]
        )
        if voided is None:
            assert corrected[0].replaces == trade_id
        else:
            assert isinstance(corrected, ConflictError)
    assert rows("select count(*) from trade_changes") == [(10,)]
    assert rows("select count(*) from notifications where change_id is not null") == [(10,)]
    [(replaced,)] = rows("select count(*) from trade_changes where replaced_by is not null")
    assert rows("select count(*) from trades") == [(10 + replaced,)]


@pytest.mark.usefixtures("a_session_each")
@pytest.mark.parametrize("first", ["void", "correct"])
def test_a_correction_waits_for_a_change_that_is_not_committed_and_leaves_no_trade_behind(
    rows: Rows, database_url: str, first: str
) -> None:
    trade_id = record()
    replacement = record(price="2") if first == "correct" else None
    with closing(psycopg2.connect(database_url)) as uncommitted, uncommitted.cursor() as cursor:
        cursor.execute(
            "insert into trade_changes (trade_id, reason, changed_by, replaced_by) values (%s, 'x', 'a', %s)",
            (trade_id, replacement),
        )
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(changes.correct, trade_id, correction(price="1"), "b")
            while not rows("select 1 from pg_stat_activity where wait_event_type = 'Lock'"):
                time.sleep(0.01)
            uncommitted.commit()
            assert isinstance(waiting.exception(), ConflictError)
    assert rows("select count(*) from trades where price = 1") == [(0,)]


@pytest.mark.usefixtures("a_session_each")
def test_of_sixteen_equal_corrections_at_once_all_are_answered_with_one_trade(rows: Rows) -> None:
    trade_id = record()
    answers = outcomes(*[lambda: changes.correct(trade_id, correction(price="1"), "local")] * 16)
    assert len({trade.id for trade, _ in answers}) == 1
    assert sum(written is not None for _, written in answers) == 1
    assert rows("select count(*) from trades") == [(2,)]
    assert rows("select count(*) from notifications") == [(2,)]


@pytest.mark.usefixtures("a_session_each")
def test_sixteen_clients_at_random_lose_nothing_and_announce_each_write_once(rows: Rows) -> None:
    seen = [record() for _ in range(8)]

    def client(number: int) -> tuple[list[int], list[int]]:
        """Post, void and correct, some of it twice, and return what was recorded and what was taken back."""
        chance, recorded, changed = random.Random(number), [], []  # noqa: S311 - not a secret
        for turn in range(12):
            trade_id = chance.choice(seen)
            action = chance.choice(["post", "void", "correct"])
            again = chance.choice([1, 2])
            if action == "post":
                posted = [record(client_trade_id=f"{number}-{turn}") for _ in range(again)]
                assert len(set(posted)) == 1
                recorded.append(posted[0])
                seen.append(posted[0])
            elif action == "void":
                changed += [trade_id for _ in range(again) if changes.void(trade_id, "Entered twice", f"{number}")]
            else:
                with suppress(ConflictError):
                    for _ in range(again):
                        trade, written = changes.correct(trade_id, correction(price=f"{number}.{turn}"), f"{number}")
                        if written:
                            recorded.append(trade.id)
                            changed.append(trade_id)
                            seen.append(trade.id)
        return recorded, changed

    answers = outcomes(*[lambda number=number: client(number) for number in range(16)])
    recorded = sorted([*seen[:8], *(trade_id for ids_, _ in answers for trade_id in ids_)])
    changed = sorted(trade_id for _, ids_ in answers for trade_id in ids_)
    assert [trade_id for (trade_id,) in rows("select id from trades order by id")] == recorded
    assert [trade_id for (trade_id,) in rows("select trade_id from trade_changes order by trade_id")] == changed
    assert ids(limit=5_000) == sorted(set(recorded) - set(changed))
    replacing = "select replaced_by from trade_changes where replaced_by is not null"
    assert rows(
        "select (select count(*) from notifications where trade_id is not null),"  # noqa: S608 - a constant
        f" (select count(*) from trades where id not in ({replacing})),"
        " (select count(*) from notifications where change_id is not null)"
    ) == [(len(recorded) - len(rows(replacing)), len(recorded) - len(rows(replacing)), len(changed))]
