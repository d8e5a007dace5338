from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice

import pytest

from local.cli.market import CALM, NORMAL, STARTING_PRICES, VOLATILE, Market, Mood
from trading.prices.alert_rules import Detector
from trading.prices.ticks import Tick

INTERVAL = 2.0
OPENING = datetime(2025, 6, 3, 12, tzinfo=UTC)


def path(tickers: list[str], seed: str, mood: Mood = NORMAL, rounds: int = 500) -> list[dict[str, Decimal]]:
    market, prices = Market(tickers, seed, mood), []
    for _ in range(rounds):
        prices.append(market.prices())
        market.move(INTERVAL)
    return prices


def alerts_per_minute(mood: Mood, minutes: int) -> float:
    watches = {ticker: Detector(ticker) for ticker in STARTING_PRICES}
    alerts = 0
    for number, prices in enumerate(path(list(STARTING_PRICES), "a seed", mood, minutes * 30)):
        time = OPENING + timedelta(seconds=number * INTERVAL)
        alerts += sum(len(watches[ticker].update(Tick(ticker, price, time)).alerts) for ticker, price in prices.items())
    return alerts / minutes


def test_the_same_seed_gives_the_same_prices_and_another_one_others() -> None:
    assert path(["AAPL"], "a") == path(["AAPL"], "a")
    assert path(["AAPL"], "a") != path(["AAPL"], "b")


def test_another_ticker_in_the_market_changes_nobodys_prices() -> None:
    alone = [prices["AAPL"] for prices in path(["AAPL"], "a")]
    assert alone == [prices["AAPL"] for prices in path(["MSFT", "AAPL", "NVDA"], "a")]


def test_the_market_opens_at_known_prices_and_gives_others_one_of_their_own() -> None:
    opening = Market(["AAPL", "ZZZ", "BRK.B"], "a", NORMAL).prices()
    assert opening["AAPL"] == Decimal("187.42")
    assert 20 <= opening["ZZZ"] <= 500
    assert opening["ZZZ"] != opening["BRK.B"]


def test_prices_are_in_cents_above_zero_and_stay_where_they_belong() -> None:
    for prices in path(["AAPL", "NVDA"], "a", VOLATILE, 20_000):
        for ticker, price in prices.items():
            assert price.as_tuple().exponent == -2
            assert Decimal("0.5") < price / Decimal(STARTING_PRICES[ticker]) < 2


def test_a_price_never_falls_below_a_cent() -> None:
    ruin = Mood(volatility=1_000.0, quiet_seconds=float("inf"))
    assert min(prices["AAPL"] for prices in path(["AAPL"], "a", ruin, 5_000)) == Decimal("0.01")


@pytest.mark.parametrize(("mood", "least", "most"), [(CALM, 0, 0), (NORMAL, 0.7, 1.4), (VOLATILE, 4, 9)])
def test_alerts_come_about_once_a_minute_unless_asked_otherwise(mood: Mood, least: float, most: float) -> None:
    assert least <= alerts_per_minute(mood, 120) <= most


def test_whoever_opens_a_market_usually_sees_an_alert_within_two_minutes() -> None:
    def has_alert(seed: int) -> bool:
        watches = {ticker: Detector(ticker) for ticker in STARTING_PRICES}
        rounds = path(list(STARTING_PRICES), str(seed), NORMAL, 60)
        ticks = (
            Tick(ticker, price, OPENING + timedelta(seconds=number * INTERVAL))
            for number, prices in enumerate(rounds)
            for ticker, price in prices.items()
        )
        return any(watches[tick.ticker].update(tick).alerts for tick in ticks)

    assert sum(islice(map(has_alert, range(30)), 30)) >= 27
