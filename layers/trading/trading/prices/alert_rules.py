"""The alert rule: a price more than 2 % above the lowest of the minute before it, by event time, exactly."""

import uuid
from collections import deque
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from enum import Enum
from typing import NamedTuple

from pydantic import TypeAdapter

from trading.core.values import Price
from trading.prices.ticks import Tick

THRESHOLD = Decimal("1.02")
WINDOW = timedelta(seconds=60)
QUIET = timedelta(seconds=60)
LATENESS = timedelta(seconds=5)

_HUNDREDTHS = Decimal("0.01")
# The same tick is the same alert, whoever judges it: an id is made of what the alert is about.
_NAMESPACE = uuid.UUID("6a5b2e2e-6f0b-4a8e-9a54-2f6d3a1f7c10")


@dataclass(frozen=True, slots=True)
class Alert:
    """A rise to `price` from the lowest price of the minute before `timestamp` (the latest, if several are equal)."""

    id: str
    ticker: str
    price: Price
    timestamp: datetime
    low_price: Price
    low_timestamp: datetime
    rise_percent: Decimal  # two decimals, half-even

    def headline(self) -> str:
        """Return what happened in a line, such as `ALERT AAPL +2.14 % in 41 s`."""
        seconds = (self.timestamp - self.low_timestamp).total_seconds()
        return f"ALERT {self.ticker} +{self.rise_percent:.2f} % in {seconds:.0f} s"


ALERT_COLUMNS = tuple(field.name for field in fields(Alert))


class Outcome(Enum):
    """What became of a tick."""

    COUNTED = "counted"
    REPEATED = "repeated"  # its ticker and timestamp were seen before
    TOO_OLD = "too old"  # more than five seconds older than the newest


class Detection(NamedTuple):
    """What became of a tick, and the alert that it raised."""

    outcome: Outcome
    alert: Alert | None = None


_COUNTED, _REPEATED, _TOO_OLD = Detection(Outcome.COUNTED), Detection(Outcome.REPEATED), Detection(Outcome.TOO_OLD)


type _Point = tuple[datetime, Decimal]  # a plain tuple: one is made for every tick


@dataclass(frozen=True)
class WatchState:
    """All that a watch knows, as it can be saved."""

    newest: datetime | None
    recent: list[datetime]
    lows: list[_Point]
    alerted: _Point | None


_STATE = TypeAdapter(WatchState)


class RiseDetector:
    """Watches the prices of one ticker, tick by tick in the order of their arrival, at a constant cost for each.

    `lows` is a monotonic queue: from the lowest price of the window on, each that no later one has undercut.
    """

    def __init__(self, ticker: str, saved: str | None = None) -> None:
        """Start empty, or with the state that was `saved`."""
        state = _STATE.validate_json(saved) if saved else WatchState(None, [], [], None)
        self.ticker = ticker
        self._newest = state.newest
        self._recent = deque(state.recent)  # the timestamps of the last seconds, in the order of their arrival
        self._seen = set(state.recent)
        self._lows = deque(state.lows)
        self._alerted = state.alerted

    @property
    def newest(self) -> datetime | None:
        """The latest timestamp of all, if there is one."""
        return self._newest

    def save(self) -> str:
        """Return the watch's state as JSON text, with which another one goes on."""
        state = WatchState(self._newest, list(self._recent), list(self._lows), self._alerted)
        return _STATE.dump_json(state).decode()

    def update(self, tick: Tick) -> Detection:
        """Take a tick, whose price is above zero, into the window, and say what became of it."""
        timestamp, price = tick.timestamp, tick.price
        newest = self._newest
        if newest is not None and timestamp <= newest:
            return self._take_late(timestamp, price, newest)

        self._newest = timestamp
        self._remember(timestamp, timestamp)
        lows = self._lows
        while lows and lows[-1][1] >= price:
            lows.pop()
        lows.append((timestamp, price))
        while timestamp - lows[0][0] > WINDOW:
            lows.popleft()
        low_timestamp, low_price = lows[0]
        if price <= THRESHOLD * low_price:
            return _COUNTED
        return Detection(Outcome.COUNTED, self._raise(tick, low_timestamp, low_price))

    def _take_late(self, timestamp: datetime, price: Decimal, newest: datetime) -> Detection:
        """Take a tick that others overtook: it may be the low of a later one, and raises nothing itself."""
        if newest - timestamp > LATENESS:
            return _TOO_OLD
        if timestamp in self._seen:
            return _REPEATED
        self._remember(timestamp, newest)
        later = []
        while self._lows and self._lows[-1][0] > timestamp:
            later.append(self._lows.pop())
        if not any(later_price <= price for _, later_price in later):
            while self._lows and self._lows[-1][1] >= price:
                self._lows.pop()
            self._lows.append((timestamp, price))
        self._lows.extend(reversed(later))
        return _COUNTED

    def _remember(self, timestamp: datetime, newest: datetime) -> None:
        self._recent.append(timestamp)
        self._seen.add(timestamp)
        while newest - self._recent[0] > LATENESS:
            self._seen.discard(self._recent.popleft())

    def _raise(self, tick: Tick, low_timestamp: datetime, low_price: Decimal) -> Alert | None:
        """Return the alert of a tick, unless it is part of the rise of which the last one told."""
        if self._alerted:
            alerted_timestamp, alerted_price = self._alerted
            if tick.timestamp - alerted_timestamp < QUIET and tick.price <= THRESHOLD * alerted_price:
                return None
        self._alerted = tick.timestamp, tick.price
        return Alert(
            id=str(uuid.uuid5(_NAMESPACE, f"{tick.ticker} {tick.timestamp.isoformat()}")),
            ticker=tick.ticker,
            price=tick.price,
            timestamp=tick.timestamp,
            low_price=low_price,
            low_timestamp=low_timestamp,
            rise_percent=((tick.price / low_price - 1) * 100).quantize(_HUNDREDTHS, ROUND_HALF_EVEN),
        )
