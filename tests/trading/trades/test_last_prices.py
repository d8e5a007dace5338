"""What positions are worth: at the newest tick, or the last trade's price, and what that has changed today."""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.trading.trades.test_positions import NOON, found, let_pass, new, record
from trading.core.values import format_decimal
from trading.prices import records
from trading.prices.ticks import Tick
from trading.trades import changes, positions, profit, splits
from trading.trades.positions import Position, PositionFilter
from trading.trades.profit import PortfolioCurrency
from trading.trades.splits import NewSplit

pytestmark = pytest.mark.usefixtures("database_url")

TODAY = datetime.combine(datetime.now(UTC), time.min, UTC)


def tick(price: str, at: datetime, ticker: str = "MSFT") -> None:
    records.record({ticker: [Tick(ticker, Decimal(price), at)]})


def only(**wanted: Any) -> Position:
    [position] = found(**wanted)
    return position


def test_a_position_is_valued_at_the_newest_tick() -> None:
    record(new("BUY", 10, 10, fee="1"))
    tick("12.50", NOON)
    tick("12", NOON + timedelta(minutes=7))
    position = only()
    assert (position.last_price, position.price_source) == (Decimal(12), "tick")
    assert position.last_price_at == NOON + timedelta(minutes=7)
    assert (position.market_value, position.unrealized_profit) == (Decimal(120), Decimal(19))
    assert position.unrealized_percent == Decimal("18.811881")


def test_a_short_position_gains_when_the_price_falls() -> None:
    record(new("SELL", 4, 10, fee="0.4"))
    tick("9", NOON)
    position = only()
    assert (position.quantity, position.cost_basis, position.market_value) == (
        Decimal(-4),
        Decimal("-39.6"),
        Decimal(-36),
    )
    assert (position.average_cost, position.unrealized_profit) == (Decimal("9.9"), Decimal("3.6"))
    assert position.unrealized_percent == Decimal("9.090909")


def test_without_a_tick_it_is_valued_at_the_last_trade_of_any_account() -> None:
    record(new("BUY", 1, 10), new("BUY", 1, 13, NOON + timedelta(days=1), account="other"))
    assert [(each.last_price, each.price_source) for each in found()] == [(Decimal(13), "trade")] * 2


def test_ticks_have_no_currency_so_they_count_where_the_ticker_has_one() -> None:
    record(new("BUY", 1, 10), new("BUY", 1, 9, currency="EUR"))
    tick("12", NOON)
    assert [(each.currency, each.last_price, each.price_source) for each in found()] == [
        ("EUR", Decimal(9), "trade"),
        ("USD", Decimal(10), "trade"),
    ]


def test_a_voided_trade_has_no_currency() -> None:
    _, mistaken = record(new("BUY", 1, 10), new("BUY", 1, 9, currency="EUR"))
    changes.void(mistaken, "mistyped", "local")
    tick("12", NOON)
    assert only().price_source == "tick"


def test_trades_of_no_shares_have_no_price() -> None:
    record(new("BUY", 0, 10))
    position = only()
    assert (position.last_price, position.price_source, position.market_value) == (None, None, None)
    assert position.average_cost is None


def test_a_price_before_a_split_is_of_shares_before_it() -> None:
    record(new("BUY", 3, 30))
    tick("36", NOON)
    splits.record(NewSplit(ticker="MSFT", effective_at=(NOON + timedelta(days=1)).isoformat(), ratio="3:2"), "local")
    position = only()
    assert (position.quantity, position.last_price, position.market_value) == (
        Decimal("4.5"),
        Decimal(24),
        Decimal(108),
    )
    tick("25", NOON + timedelta(days=2))
    assert only().last_price == 25


def test_a_split_of_the_future_changes_nothing_yet() -> None:
    record(new("BUY", 3, 30))
    soon = datetime.now(UTC) + timedelta(hours=1)
    splits.record(NewSplit(ticker="MSFT", effective_at=soon.isoformat(), ratio="3:2"), "local")
    assert only().quantity == 3


def test_as_of_an_instant_prices_are_those_of_then() -> None:
    record(new("BUY", 1, 10))
    let_pass(3 * 86_400)
    now = datetime.now(UTC)
    tick("12", now - timedelta(days=2))
    tick("15", now - timedelta(hours=1))
    assert only(as_of=now - timedelta(days=1)).last_price == 12
    assert only().last_price == 15


def test_only_open_or_closed_positions_fill_their_pages() -> None:
    for number, ticker in enumerate("ABCDEFG"):
        record(new("BUY", 1, 10, ticker=ticker))
        if number % 3:
            record(new("SELL", 1, 10, NOON + timedelta(hours=1), ticker=ticker))
    assert [each.ticker for each in found(is_open=True)] == ["A", "D", "G"]
    assert [each.ticker for each in found(is_open=False)] == ["B", "C", "E", "F"]


def test_positions_are_found_by_account_and_ticker() -> None:
    for account in ("main", "other", "third"):
        for ticker in ("AAPL", "MSFT"):
            record(new("BUY", 1, 10, ticker=ticker, account=account))
    assert [each.ticker for each in found(account="other")] == ["AAPL", "MSFT"]
    assert [each.account for each in found(ticker="MSFT")] == ["main", "other", "third"]
    assert [(each.account, each.ticker) for each in found(ticker="MSFT", account="third")] == [("third", "MSFT")]


@pytest.mark.parametrize(
    ("account", "tickers"), [("main", []), ("other", ["MSFT"]), ("third", ["AAPL", "MSFT"]), ("nobody", [])]
)
def test_a_page_of_one_account_begins_where_the_last_one_ended(account: str, tickers: list[str]) -> None:
    for each in ("main", "other", "third"):
        for ticker in ("AAPL", "MSFT"):
            record(new("BUY", 1, 10, ticker=ticker, account=each))
    _, cursor = positions.find(PositionFilter(limit=3))
    assert cursor is not None  # of other, AAPL
    page, _ = positions.find(PositionFilter(account=account, cursor=cursor))
    assert [position.ticker for position in page] == tickers


def portfolio() -> dict[str, tuple[str, ...]]:
    return {each.currency: in_numbers(each) for each in profit.portfolio(None)}


def in_numbers(each: PortfolioCurrency) -> tuple[str, ...]:
    sums = (each.cost_basis, each.market_value, each.unrealized_profit, each.realized_profit, each.change_today)
    return tuple(map(format_decimal, sums))


def test_the_portfolio_adds_up_each_currency() -> None:
    record(
        new("BUY", 10, 10),
        new("SELL", 4, 12, NOON + timedelta(hours=1)),
        new("BUY", 1, 100, ticker="AAPL"),
        new("BUY", 2, 7, ticker="SAP", currency="EUR"),
    )
    tick("11", NOON)
    assert portfolio() == {"USD": ("160", "166", "6", "8", "0"), "EUR": ("14", "14", "0", "0", "0")}


def test_what_changed_today_is_what_was_earned_since_midnight() -> None:
    record(new("BUY", 10, 10))
    tick("12", TODAY - timedelta(hours=3))
    # 4 of them are sold for 13 less a fee, and 1 is bought back for 14; the price is 15 then.
    now = datetime.now(UTC)
    record(new("SELL", 4, 13, now, fee="0.5"), new("BUY", 1, 14, now))
    tick("15", now)
    assert portfolio()["USD"][-1] == format_decimal(7 * Decimal(15) - 10 * Decimal(12) + 4 * 13 - Decimal("0.5") - 14)


def test_a_split_of_today_changes_no_worth() -> None:
    record(new("BUY", 10, 10))
    tick("12", TODAY - timedelta(hours=3))
    splits.record(NewSplit(ticker="MSFT", effective_at=TODAY.isoformat(), ratio="2:1"), "local")
    now = datetime.now(UTC)
    record(new("SELL", 5, 6, now))
    tick("6", now)
    assert portfolio()["USD"][1:] == ("90", "15", "5", "0")


def test_profit_is_that_of_the_days_that_are_wanted() -> None:
    record(
        new("BUY", 10, 10),
        new("SELL", 1, 12, NOON + timedelta(days=1)),
        new("SELL", 2, 9, NOON + timedelta(days=1)),
        new("SELL", 3, 13, NOON + timedelta(days=31)),
    )
    day = NOON.date()
    groups = profit.find(profit.ProfitFilter("day"))
    assert [(each.group, format_decimal(each.profit), each.wins, each.losses, each.matches) for each in groups] == [
        ("2025-06-04", "0", 1, 1, 2),
        ("2025-07-04", "9", 1, 0, 1),
    ]
    [july] = profit.find(profit.ProfitFilter("month", start_date=day + timedelta(days=2)))
    assert (july.group, july.profit) == ("2025-07", Decimal(9))
    assert profit.find(profit.ProfitFilter("ticker", end_date=day)) == []
