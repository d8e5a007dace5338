"""Positions against the rows of the ledger, whatever was recorded, late, voided, corrected or split, and read before."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Rows
from tests.trading.trades.reckoning import reckoned
from trading.core import database
from trading.trades import changes, checkpoints, fifo, ledger, positions, profit, splits, standings
from trading.trades.changes import NewCorrection
from trading.trades.ledger import NewTrade
from trading.trades.positions import Match, Position, PositionFilter, WantedPosition
from trading.trades.profit import ProfitFilter
from trading.trades.splits import NewSplit

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
        "truncate trades, trade_changes, splits, position_checkpoints, notifications restart identity; select 1",
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
    values = {"ticker": "MSFT", "side": side, "quantity": str(quantity), "price": str(price), "timestamp": at.isoformat()}
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
    wanted = {"account": account, "ticker": ticker, "currency": currency, "as_of": as_of, "limit": 2}

    def lots(cursor: str | None) -> tuple[list[positions.Lot], str | None]:
        position, following = positions.get(WantedPosition(**wanted, cursor=cursor))
        return position.lots, following

    assert [
        (lot.trade_id, Fraction(lot.quantity), Fraction(lot.fee), Fraction(lot.cost)) for lot in all_pages(lots)
    ] == expected.lots
    matches: list[Match] = all_pages(lambda cursor: positions.find_matches(WantedPosition(**wanted, cursor=cursor)))
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


def check_profit(rows: Rows) -> None:
    """Hold profit by all groups against the rows of the ledger."""
    group_of: dict[str, Callable[[Any, Any], list[str]]] = {
        "day": lambda key, closing: [str(closing.timestamp.date())],
        "month": lambda key, closing: [str(closing.timestamp.date())[:7]],
        "ticker": lambda key, closing: [key[1]],
        "account": lambda key, closing: [key[0]],
        "tag": lambda key, closing: list(closing.tags),
    }
    for by, groups_of in group_of.items():
        profits: Counter[tuple[str, str]] = Counter()
        counts: Counter[tuple[str, str]] = Counter()
        for key, position in reckoned(rows).items():
            for match in position.matches:
                for group in groups_of(key, match.closing):
                    profits[group, key[2]] += match.proceeds - match.cost
                    counts[group, key[2]] += 1
        answer = profit.find(ProfitFilter(by=by))
        assert {(each.group, each.currency): Fraction(each.profit) for each in answer} == dict(profits)
        assert {(each.group, each.currency): each.matches for each in answer} == dict(counts)


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
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
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
