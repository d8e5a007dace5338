"""A mock market: random prices, reproducible for the same seed."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

# Opening prices in dollars; any other ticker gets a random one.
STARTING_PRICES = {
    "AAPL": 187.42,
    "AMZN": 181.05,
    "GOOG": 152.60,
    "JPM": 198.30,
    "META": 487.15,
    "MSFT": 421.80,
    "NFLX": 612.40,
    "NVDA": 118.75,
    "TSLA": 176.90,
    "XOM": 113.25,
}
DRIFT = 0.05  # per year
YEAR_SECONDS = 252 * 6.5 * 3_600  # of trading
# A jump, which is a surge or a slump, moves a price by this much (as a logarithm) in this many seconds. A surge raises
# one alert: it is more than 2% within a minute, and less than twice that.
JUMP_SIZE = (0.025, 0.035)
JUMP_SECONDS = (2.0, 45.0)
# Jumps revert to a mean above the opening price. So the first one is a surge, which soon shows an alert. At the same
# distance above the mean, all jumps are slumps.
HOME = 0.1
RETURN = 5.0
LOWEST = 0.01


@dataclass(frozen=True)
class Mood:
    """The behavior of a market: its annual volatility, and the mean seconds between two jumps of a ticker."""

    volatility: float
    quiet_seconds: float


CALM = Mood(volatility=0.15, quiet_seconds=math.inf)
# Half of the jumps are surges. With the ten tickers above, that is about one alert per minute.
NORMAL = Mood(volatility=0.30, quiet_seconds=280)
VOLATILE = Mood(volatility=0.60, quiet_seconds=30)


class Stock:
    """A price that follows geometric Brownian motion with jumps.

    Its random numbers depend only on the seed and its ticker, not on the other tickers in the market.
    """

    def __init__(self, ticker: str, seed: str, mood: Mood) -> None:
        self.ticker = ticker
        self._random = random.Random(f"{seed}/{ticker}")  # noqa: S311 - must be reproducible
        self._start = STARTING_PRICES.get(ticker) or self._random.uniform(20, 500)
        self._level = 0.0  # the logarithm of price / start
        self._mood = mood
        self._slope = 0.0  # of the current jump, per second
        self._left = 0.0  # seconds of the current jump
        self._quiet = self._random.random() * mood.quiet_seconds  # seconds until the next

    @property
    def price(self) -> Decimal:
        """The price rounded to cents, at least one cent."""
        return Decimal(f"{max(LOWEST, self._start * math.exp(self._level)):.2f}")

    def move(self, seconds: float) -> None:
        """Advance time.

        The exact solution of geometric Brownian motion: the logarithm moves by (drift - volatility² / 2) t +
        volatility √t times a standard normal number.
        """
        years, volatility = seconds / YEAR_SECONDS, self._mood.volatility
        self._level += (DRIFT - volatility**2 / 2) * years
        self._level += volatility * math.sqrt(years) * self._random.gauss()
        if self._left <= 0:
            self._quiet -= seconds
            if self._quiet < 0:
                self._jump()
        on = min(self._left, seconds)
        self._level += self._slope * on
        self._left -= on

    def _jump(self) -> None:
        size = self._random.uniform(*JUMP_SIZE)
        rises = self._random.random() < 1 / 2 - RETURN * (self._level - HOME)
        self._left = self._random.uniform(*JUMP_SECONDS)
        self._slope = (size if rises else -size) / self._left
        self._quiet = self._random.expovariate(1 / self._mood.quiet_seconds)


class Market:
    """Stocks that share a clock and move independently."""

    def __init__(self, tickers: Sequence[str], seed: str, mood: Mood) -> None:
        self._stocks = [Stock(ticker, seed, mood) for ticker in tickers]

    def prices(self) -> dict[str, Decimal]:
        """Return the price of each ticker."""
        return {stock.ticker: stock.price for stock in self._stocks}

    def move(self, seconds: float) -> None:
        """Advance time."""
        for stock in self._stocks:
            stock.move(seconds)
