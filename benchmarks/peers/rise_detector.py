"""The floor of the alert rules: a detector for the default rule only, for ticks in order.

It was the detector before there were other rules: a queue of lows, and the timestamps of the last five seconds.
"""

from collections import deque
from datetime import datetime, timedelta
from decimal import Decimal

from trading.prices.alert_rules import LATENESS, Detection, Outcome
from trading.prices.ticks import Tick

_THRESHOLD = Decimal("1.02")
_WINDOW = timedelta(seconds=60)
_COUNTED, _REPEATED = Detection(Outcome.COUNTED), Detection(Outcome.REPEATED)


class RiseDetector:
    """Evaluates the prices of one ticker, without creating alerts, which are not part of the measurement."""

    def __init__(self) -> None:
        self._newest: datetime | None = None
        self._recent: deque[datetime] = deque()
        self._seen: set[datetime] = set()
        self._lows: deque[tuple[datetime, Decimal]] = deque()

    def update(self, tick: Tick) -> Detection:
        """Process a tick, whose price is above zero."""
        timestamp, price = tick.timestamp, tick.price
        newest = self._newest
        if newest is not None and timestamp <= newest:
            return _REPEATED

        self._newest = timestamp
        self._remember(timestamp, timestamp)
        lows = self._lows
        while lows and lows[-1][1] >= price:
            lows.pop()
        lows.append((timestamp, price))
        while timestamp - lows[0][0] > _WINDOW:
            lows.popleft()
        _, low_price = lows[0]
        if price <= _THRESHOLD * low_price:
            return _COUNTED
        return Detection(Outcome.COUNTED)

    def _remember(self, timestamp: datetime, newest: datetime) -> None:
        self._recent.append(timestamp)
        self._seen.add(timestamp)
        while newest - self._recent[0] > LATENESS:
            self._seen.discard(self._recent.popleft())
