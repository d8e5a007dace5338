"""Positions against the rows of the ledger: late, voided, corrected and split, and read before."""

import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Rows
from tests.trading.trades.reckoning import Key, Row, reckoned
from trading.core import database
from trading.core.values import format_decimal
from trading.trades import changes, checkpoints, fifo, ledger, positions, profit, snapshots, splits, standings
from trading.trades.changes import NewCorrection
from trading.trades.ledger import NewTrade
from trading.trades.positions import Match, Position, PositionFilter, WantedPosition
from trading.trades.profit import ProfitFilter
from trading.trades.splits import NewSplit
from trading.trades.standings import StillReadingError

NOON = datetime(2025, 6, 3, 12, tzinfo=UTC)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is done in portions, in portions so small that a few trades need many."""
    monkeypatch.setattr(standings, "FIRST_TRADES", 2)
    monkeypatch.setattr(standings, "FIRST_LOTS", 1)
    monkeypatch.setattr(standings, "CHUNK", 3)
    monkeypatch.setattr(standings, "POSITIONS_AT_ONCE", 2)
    monkeypatch.setattr(standings, "WORTH_KEEPING", 1)
    monkeypatch.setattr(checkpoints, "TRADES_OF_A_MARK", 2)
    monkeypatch.setattr(fifo, "LOTS_HELD", 2)


def empty_the_ledger() -> None:
    database.query(
        "truncate trades, trade_changes, splits, position_checkpoints, import_rows, notifications restart identity;"
        " select 1",
        {},
        repeatable=True,
    )


def let_pass(seconds: float) -> None:
    """Let everything have happened so much earlier."""
    database.query(
        """
        update trades set recorded_at = recorded_at - make_interval(secs => %(seconds)s);
        update trade_changes set changed_at = changed_at - make_interval(secs => %(seconds)s);
        update splits set recorded_at = recorded_at - make_interval(secs => %(seconds)s),
            voided_at = voided_at - make_interval(secs => %(seconds)s);
        update position_checkpoints set covered_before = covered_before - make_interval(secs => %(seconds)s);
        select 1
        """,
        {"seconds": seconds},
        repeatable=True,
    )


def new(side: str, quantity: object, price: object, at: datetime = NOON, **more: Any) -> NewTrade:
    values = {
        "ticker": "MSFT",
        "side": side,
        "quantity": str(quantity),
        "price": str(price),
        "timestamp": at.isoformat(),
    }
    return NewTrade.model_validate({**values, **more})


def record(*trades: NewTrade) -> list[int]:
    return [entry.trade.id for entry in ledger.record(trades, "local")]


def all_pages[Item](page: Callable[[str | None], tuple[list[Item], str | None]]) -> list[Item]:
    """Return what all pages have, one after the other."""
    found, cursor = page(None)
    while cursor:
        more, cursor = page(cursor)
        assert more
        found += more
    return found


def found(**wanted: Any) -> list[Position]:
    return all_pages(lambda cursor: positions.find(PositionFilter(**{"limit": 2, **wanted, "cursor": cursor})))


def check(rows: Rows, as_of: datetime | None = None) -> None:
    """Hold every answer about positions against the rows of the ledger."""
    check_sums(rows, as_of)
    for account, ticker, currency in reckoned(rows, as_of):
        check_one(rows, account, ticker, currency, as_of)


def check_sums(rows: Rows, as_of: datetime | None = None) -> None:
    """Hold the list of positions against the rows of the ledger, by both methods."""
    expected = reckoned(rows, as_of)
    for method in ("fifo", "average"):
        answers = found(method=method, as_of=as_of)
        assert [(each.account, each.ticker, each.currency) for each in answers] == sorted(expected)
        for each in answers:
            position = expected[each.account, each.ticker, each.currency]
            is_fifo = method == "fifo"
            cost_basis = position.cost_basis if is_fifo else position.average_cost_basis
            realized_profit = position.realized_profit if is_fifo else position.average_realized_profit
            assert Fraction(each.quantity) == position.quantity
            assert Fraction(each.cost_basis) == cost_basis
            assert Fraction(each.realized_profit) == realized_profit
            assert Fraction(each.fees) == position.fees
            assert each.trade_count == position.trade_count


def check_one(rows: Rows, account: str, ticker: str, currency: str, as_of: datetime | None) -> None:
    expected = reckoned(rows, as_of)[account, ticker, currency]

    def wanted(cursor: str | None) -> WantedPosition:
        return WantedPosition(ticker, account, currency, as_of, limit=2, cursor=cursor)

    def lots(cursor: str | None) -> tuple[list[positions.Lot], str | None]:
        position, following = positions.get(wanted(cursor))
        return position.lots, following

    assert [
        (lot.trade_id, Fraction(lot.quantity), Fraction(lot.fee), Fraction(lot.cost)) for lot in all_pages(lots)
    ] == expected.lots
    matches: list[Match] = all_pages(lambda cursor: positions.find_matches(wanted(cursor)))
    assert [
        (
            each.opening_trade_id,
            each.closing_trade_id,
            each.opened_at,
            each.closed_at,
            Fraction(each.quantity),
            Fraction(each.cost),
            Fraction(each.proceeds),
            Fraction(each.fees),
            Fraction(each.profit),
        )
        for each in reversed(matches)
    ] == [
        (
            each.opening.id,
            each.closing.id,
            each.opening.timestamp,
            each.closing.timestamp,
            each.shares,
            each.cost,
            each.proceeds,
            each.fees,
            each.proceeds - each.cost,
        )
        for each in expected.matches
    ]


def groups(key: Key, closing: Row) -> dict[str, list[str]]:
    """Return the groups of a match by each way of grouping."""
    account, ticker, _ = key
    day = str(closing.timestamp.date())
    return {"day": [day], "month": [day[:7]], "ticker": [ticker], "account": [account], "tag": list(closing.tags)}


def check_profit(rows: Rows) -> None:
    """Hold profit by all groups against the rows of the ledger."""
    for by in ("day", "month", "ticker", "account", "tag"):
        profits: defaultdict[tuple[str, str], Fraction] = defaultdict(Fraction)
        counts: Counter[tuple[str, str]] = Counter()
        for key, position in reckoned(rows).items():
            for match in position.matches:
                for group in groups(key, match.closing)[by]:
                    profits[group, key[2]] += match.proceeds - match.cost
                    counts[group, key[2]] += 1
        answer = profit.find(ProfitFilter(by=by))
        assert {(each.group, each.currency): Fraction(each.profit) for each in answer} == dict(profits)
        assert {(each.group, each.currency): each.matches for each in answer} == dict(counts)


@pytest.mark.usefixtures("small_steps")
def test_profit_counts_once_after_two_late_trades_of_one_day(rows: Rows) -> None:
    def day(number: int, hour: int) -> datetime:
        return datetime(2025, 6, number, hour, tzinfo=UTC)

    late = [
        [new("BUY", 9, 10, day(3, 9)), new("SELL", 1, 8, day(3, 10)), new("SELL", 1, 9, day(4, 9))],
        [new("SELL", 1, 7, day(3, 12))],
        [new("SELL", 1, 6, day(3, 11))],
        [new("SELL", 1, 5, day(3, 13))],
    ]
    for trades_of_a_moment in late:
        record(*trades_of_a_moment)
        let_pass(90)
        check_profit(rows)


INSTANTS = st.integers(0, 5).map(lambda half_days: NOON + timedelta(hours=12 * half_days))
QUANTITIES = st.sampled_from(["0", "1", "2", "3", "7", "0.3333333333"])
PRICES = st.sampled_from(["0", "10", "310.50", "0.000001", "7.123457"])


@st.composite
def trades(draw: st.DrawFn) -> NewTrade:
    quantity = draw(QUANTITIES)
    return new(
        draw(st.sampled_from(["BUY", "SELL"])),
        quantity,
        draw(PRICES),
        draw(INSTANTS),
        fee=draw(st.sampled_from(["0", "1", "0.35"])) if quantity != "0" else "0",
        account=draw(st.sampled_from(["main", "main", "other"])),
        ticker=draw(st.sampled_from(["MSFT", "MSFT", "AAPL"])),
        currency=draw(st.sampled_from(["USD", "USD", "USD", "EUR"])),
        tags=draw(st.sampled_from([[], [], ["a"], ["a", "b"]])),
    )


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.lists(trades(), min_size=1, max_size=3)),
        st.tuples(st.just("void"), st.integers(0, 30)),
        st.tuples(st.just("correct"), st.tuples(st.integers(0, 30), PRICES, INSTANTS)),
        st.tuples(st.just("split"), st.tuples(INSTANTS, st.sampled_from(["2:1", "3:2", "1:10", "1:4"]))),
        st.tuples(st.just("void split"), st.integers(1, 3)),
        st.tuples(st.just("wait"), st.just(90)),
    ),
    min_size=4,
    max_size=8,
)


def apply(rows: Rows, name: str, argument: Any) -> None:
    if name == "record":
        record(*argument)
    elif name == "wait":
        let_pass(argument)
    elif name == "split":
        at, ratio = argument
        if not rows("select from splits where effective_at = %(at)s and voided_at is null", at=at):
            splits.record(NewSplit(ticker="MSFT", effective_at=at.isoformat(), ratio=ratio), "local")
    elif name == "void split":
        if rows("select from splits where id = %(id)s", id=argument):
            splits.void(argument, "mistaken", "local")
    else:
        active = rows("select id from trades where id not in (select trade_id from trade_changes) order by id")
        number, *change = argument if name == "correct" else (argument,)
        if active:
            [trade_id] = active[number % len(active)]
            if name == "void":
                changes.void(trade_id, "mistaken", "local")
            else:
                price, at = change
                correction = {"reason": "mistyped", "price": price, "timestamp": at.isoformat()}
                changes.correct(trade_id, NewCorrection.model_validate(correction), "local")


@given(begun=st.lists(trades(), min_size=3, max_size=8), operations=OPERATIONS)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@pytest.mark.usefixtures("small_steps")
def test_every_answer_is_the_one_of_the_rows(
    rows: Rows, begun: list[NewTrade], operations: list[tuple[str, Any]]
) -> None:
    empty_the_ledger()
    for name, argument in [("record", begun), ("wait", 90), *operations]:
        apply(rows, name, argument)
        check_sums(rows)
    check(rows)
    check_profit(rows)
    moments = {
        *rows("select recorded_at from trades"),
        *rows("select changed_at from trade_changes"),
        *rows("select voided_at from splits where voided_at is not null"),
    }
    for (moment,) in moments:
        check_sums(rows, moment)
    check(rows, moment)


@dataclass(frozen=True)
class Case:
    """Trades of (side, quantity, price, fee), a second apart unless they are fills, and what they come to by hand.

    Trades are numbered from 1. Matches are (opening, closing, quantity, cost, proceeds), lots (trade, quantity, cost).
    """

    trades: list[tuple[str, str, str, str]]
    matches: list[tuple[int, int, str, str, str]]
    lots: list[tuple[int, str, str]]
    realized_profit: str
    split: tuple[int, str] | None = None  # after so many trades, the ratio
    seconds: int = 1


BY_HAND = {
    "partial closes": Case(
        [("BUY", "10", "10", "0"), ("SELL", "4", "12", "0"), ("SELL", "3", "9", "0")],
        [(1, 2, "4", "40", "48"), (1, 3, "3", "30", "27")],
        [(1, "3", "30")],
        "5",
    ),
    "closing in three pieces": Case(
        [("BUY", "3", "10", "1"), *[("SELL", "1", "11", "0")] * 3],
        [
            (1, 2, "1", "10.3333333333333333", "11"),
            (1, 3, "1", "10.3333333333333334", "11"),
            (1, 4, "1", "10.3333333333333333", "11"),
        ],
        [],
        "2",
    ),
    "reopening": Case(
        [("BUY", "5", "10", "0"), ("SELL", "5", "11", "0"), ("BUY", "2", "20", "0")],
        [(1, 2, "5", "50", "55")],
        [(3, "2", "40")],
        "5",
    ),
    "selling short": Case([("SELL", "4", "10", "0.4")], [], [(1, "-4", "-39.6")], "0"),
    "buying through a short": Case(
        [("SELL", "5", "20", "0"), ("BUY", "8", "15", "0.8")],
        [(1, 2, "5", "75.5", "100")],
        [(2, "3", "45.3")],
        "24.5",
    ),
    "fees on both sides": Case(
        [("BUY", "10", "10", "1"), ("SELL", "10", "11", "1.1")], [(1, 2, "10", "101", "108.9")], [], "7.9"
    ),
    "the same second": Case(
        [("SELL", "1", "12", "0"), ("BUY", "1", "10", "0")], [(1, 2, "1", "10", "12")], [], "2", seconds=0
    ),
    "an order that was filled in parts": Case(
        [("BUY", "3", "10", "0"), ("BUY", "3", "10.01", "0"), ("BUY", "4", "10.02", "0"), ("SELL", "10", "11", "0")],
        [(1, 4, "3", "30", "33"), (2, 4, "3", "30.03", "33"), (3, 4, "4", "40.08", "44")],
        [],
        "9.89",
        seconds=0,
    ),
    "a split between": Case(
        [("BUY", "3", "30", "1"), ("SELL", "1.5", "25", "0")],
        [(1, 2, "1.5", "30.3333333333333333", "37.5")],
        [(1, "3", "60.6666666666666667")],
        "7.1666666666666667",
        split=(1, "3:2"),
    ),
    "a split after which shares have no last decimal": Case(
        [("BUY", "10", "3", "0"), ("SELL", "1", "9.30", "0")],
        [(1, 2, "1", "9", "9.3")],
        [(1, "2.3333333333333333", "21")],
        "0.3",
        split=(1, "1:3"),
    ),
    "no shares at all": Case([("BUY", "0", "10", "0"), ("BUY", "1", "10", "0")], [], [(2, "1", "10")], "0"),
}


@pytest.mark.parametrize("case", BY_HAND.values(), ids=BY_HAND)
@pytest.mark.usefixtures("database_url")
def test_matches_lots_and_profit_by_hand(case: Case) -> None:
    record(
        *[
            new(side, quantity, price, NOON + timedelta(seconds=case.seconds * number), fee=fee)
            for number, (side, quantity, price, fee) in enumerate(case.trades)
        ]
    )
    if case.split:
        after, ratio = case.split
        at = NOON + timedelta(seconds=case.seconds * after - 0.5)
        splits.record(NewSplit(ticker="MSFT", effective_at=at.isoformat(), ratio=ratio), "local")
    position, _ = positions.get(WantedPosition("MSFT", "main"))
    matches, _ = positions.find_matches(WantedPosition("MSFT", "main"))
    assert [
        (
            each.opening_trade_id,
            each.closing_trade_id,
            *map(format_decimal, (each.quantity, each.cost, each.proceeds)),
        )
        for each in reversed(matches)
    ] == case.matches
    assert [
        (lot.trade_id, format_decimal(lot.quantity), format_decimal(lot.cost)) for lot in position.lots
    ] == case.lots
    assert format_decimal(position.realized_profit) == case.realized_profit


@pytest.mark.usefixtures("database_url")
def test_average_cost_by_hand() -> None:
    record(
        new("BUY", 10, 10, NOON),
        new("BUY", 10, 20, NOON + timedelta(seconds=1)),
        new("SELL", 5, 30, NOON + timedelta(seconds=2)),
        new("SELL", 18, 30, NOON + timedelta(seconds=3), fee="1.8"),
    )
    [by_average], [by_fifo] = found(method="average"), found(method="fifo")
    # 15 a share: 5 x (30 - 15), then 15 x (30 - 15) less 15/18 of the fee; 3 are sold short for 30 less 3/18 of it.
    assert format_decimal(by_average.realized_profit) == "298.5"
    assert format_decimal(by_average.cost_basis) == format_decimal(by_fifo.cost_basis) == "-89.7"
    assert format_decimal(by_fifo.realized_profit) == "298.5"
    assert (by_average.quantity, by_average.average_cost) == (Decimal(-3), Decimal("29.9"))


def test_a_smaller_id_that_commits_last_is_counted_by_the_rule_of_the_minute(
    rows: Rows, database_url: str, small_steps: None
) -> None:
    del small_steps
    with session_that_began(44, database_url) as commit:  # a second less than the database lets it live
        record(new("SELL", 1, 12, NOON + timedelta(hours=1)))
        let_pass(43)
        [before] = found()
        assert before.quantity == -1
        commit()
    check(rows)
    let_pass(90)
    check(rows)
    assert rows("select count(*) from position_checkpoints") == [(2,)]


def test_a_shorter_rule_would_lose_it(
    rows: Rows, database_url: str, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    del small_steps
    monkeypatch.setattr(snapshots, "SETTLED", timedelta(seconds=40))
    with session_that_began(44, database_url) as commit:
        record(new("SELL", 1, 12, NOON + timedelta(hours=1)))
        let_pass(43)
        found()
        commit()
    assert rows("select count(*) from trades") == [(2,)]
    assert found()[0].trade_count == 1


@contextmanager
def session_that_began(seconds: float, url: str) -> Iterator[Callable[[], None]]:
    """Another session, which recorded a trade so many seconds ago and has not committed yet."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "insert into trades (ticker, price, quantity, side, timestamp, recorded_by, recorded_at)"
            " values ('MSFT', 10, 1, 'BUY', %(at)s, 'slow', now() - make_interval(secs => %(seconds)s))",
            {"at": NOON, "seconds": seconds},
        )
        yield connection.commit


def test_a_trade_of_the_future_is_covered_by_no_checkpoint(rows: Rows, small_steps: None) -> None:
    del small_steps
    tomorrow = datetime.now(UTC) + timedelta(hours=20)
    record(new("BUY", 2, 10), new("BUY", 3, 10, tomorrow))
    let_pass(90)
    check(rows)
    assert rows("select max(last_id) from position_checkpoints") == [(1,)]
    record(new("SELL", 4, 12, NOON + timedelta(hours=1)))
    check(rows)


def test_what_one_request_has_no_time_for_the_next_ones_go_on_with(
    rows: Rows, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    del small_steps
    monkeypatch.setattr(standings, "READING_SECONDS", 0)
    record(*[new("BUY", 1, 10, NOON + timedelta(minutes=number)) for number in range(20)])
    let_pass(90)
    refusals = 0
    while refusals < 20:
        try:
            [position] = found()
            break
        except StillReadingError:
            refusals += 1
    assert position.quantity == 20
    assert refusals > 2
    monkeypatch.setattr(standings, "READING_SECONDS", 20)
    check(rows)


READER = """
from trading.trades import positions, standings
standings.WORTH_KEEPING = 1
for _ in range(20):
    positions.find(positions.PositionFilter())
"""


def test_readers_at_once_leave_one_checkpoint_that_counts(rows: Rows, small_steps: None) -> None:
    del small_steps
    record(*[new("BUY", 1, 10, NOON + timedelta(minutes=number)) for number in range(9)])
    let_pass(90)
    programs = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                READER,
            ],
            env=os.environ | {"PYTHONPATH": str(Path(snapshots.__file__).parents[2])},
        )
        for _ in range(3)
    ]
    assert [program.wait(30) for program in programs] == [0, 0, 0]
    assert rows("select count(*) from position_checkpoints") == [(1,)]
    check(rows)
