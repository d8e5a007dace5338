"""Alert rules: exact detection by event time, shared by the system and `trading watch`."""

import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import GetPydanticSchema
from pydantic_core import core_schema

from trading.core.values import Percent, Price, adapter, format_decimal
from trading.prices.ticks import Tick

LATENESS = timedelta(seconds=5)
EVERY_TICKER = "*"
# Newer points are kept individually, older ones as the low and high of each second.
EXACT = timedelta(seconds=60)
EPOCH = datetime.min.replace(tzinfo=UTC)

type Kind = Literal["rise", "fall", "above", "below"]

_HUNDREDTHS = Decimal("0.01")
_NEVER = Decimal("Infinity")
_ROOM = 512  # ticks between two compactions
# Alert ids are derived from the alert's content, so that the same tick always raises the same alert.
_NAMESPACE = uuid.UUID("6a5b2e2e-6f0b-4a8e-9a54-2f6d3a1f7c10")


@dataclass(frozen=True, slots=True)
class AlertRule:
    """An alert rule. A rise or fall has `percent` and `window_seconds`; above and below have `price`.

    `id` is null for a rule passed to `trading watch`.
    """

    id: int | None
    ticker: str  # or `*`
    kind: Kind
    percent: Percent | None = None
    window_seconds: int | None = None
    price: Price | None = None
    once: bool = False

    def __str__(self) -> str:
        """Return the rule in words, such as `AAPL rise 3% in 300s` or `AAPL below 180 once`."""
        what = (
            f"{format_decimal(self.percent)}% in {self.window_seconds}s"
            if self.percent is not None
            else format_decimal(self.price or Decimal(0))
        )
        return f"{self.ticker} {self.kind} {what}{' once' if self.once else ''}"

    def alert_id(self, tick: Tick) -> str:
        """Return the id of the alert that a tick raises."""
        about = f"{tick.ticker} {tick.timestamp.isoformat()}"
        if self.id != DEFAULT_RULE.id:
            about += f" {_name(self)}"
        return str(uuid.uuid5(_NAMESPACE, about))


DEFAULT_RULE = AlertRule(1, EVERY_TICKER, "rise", Decimal(2), 60)


@dataclass(frozen=True, slots=True)
class ActiveRule:
    """A rule, and the instant from which it applies to ticks."""

    rule: AlertRule
    active_from: datetime = EPOCH


@dataclass(frozen=True, slots=True)
class Alert:
    """A price that met a rule. A rise has the low at which it began, a fall the high (the latest of equal ones)."""

    id: str
    ticker: str
    price: Price
    timestamp: datetime
    low_price: Price | None = None
    low_timestamp: datetime | None = None
    rise_percent: Price | None = None  # two decimals, half-even, as is fall_percent
    high_price: Price | None = None
    high_timestamp: datetime | None = None
    fall_percent: Price | None = None
    rule: AlertRule = DEFAULT_RULE

    def headline(self) -> str:
        """Return the alert in one line: `ALERT AAPL +2.14 % in 41 s` or `ALERT AAPL 179.5, below 180`."""
        if self.low_timestamp:
            return f"ALERT {self.ticker} +{self.rise_percent:.2f} % in {self._seconds_since(self.low_timestamp)} s"
        if self.high_timestamp:
            return f"ALERT {self.ticker} -{self.fall_percent:.2f} % in {self._seconds_since(self.high_timestamp)} s"
        return f"ALERT {self.ticker} {self.price:f}, {self.rule.kind} {self.rule.price:f}"

    def origin(self) -> tuple[Decimal, datetime] | None:
        """Return the price and time at which a rise or fall began."""
        if self.low_price is not None and self.low_timestamp:
            return self.low_price, self.low_timestamp
        if self.high_price is not None and self.high_timestamp:
            return self.high_price, self.high_timestamp
        return None

    def _seconds_since(self, instant: datetime) -> str:
        return f"{(self.timestamp - instant).total_seconds():.0f}"


ALERT_COLUMNS = tuple(field.name for field in fields(Alert))


def alert_of(row: Sequence[Any]) -> Alert:
    """Return the alert in a database row of `ALERT_COLUMNS`."""
    alert = Alert(*row)
    return replace(alert, rule=adapter(AlertRule).validate_python(alert.rule))


class Outcome(Enum):
    """The outcome of a tick."""

    COUNTED = "counted"
    REPEATED = "repeated"  # its ticker and timestamp were seen before
    TOO_OLD = "too old"  # more than five seconds older than the newest


class Detection(NamedTuple):
    """The outcome of a tick, and the alerts that it raised, in the order of the rules."""

    outcome: Outcome
    alerts: Sequence[Alert] = ()


_COUNTED, _REPEATED, _TOO_OLD = Detection(Outcome.COUNTED), Detection(Outcome.REPEATED), Detection(Outcome.TOO_OLD)


# Pydantic reads each instant with a time zone of its own, and such instants take nine times as long to compare.
type _SavedInstant = Annotated[
    datetime, GetPydanticSchema(lambda *_: core_schema.no_info_plain_validator_function(datetime.fromisoformat))
]
type _Point = tuple[_SavedInstant, Decimal]  # a plain tuple, because one is created for every tick


@dataclass(slots=True)
class _Progress:
    """The saved progress of a rule that has alerted, for one ticker."""

    rule: str
    active_from: _SavedInstant
    alerted_at: _SavedInstant
    is_armed: bool


@dataclass(frozen=True)
class DetectorState:
    """The saved state of a detector. The last fields have defaults for states from before there were rules."""

    newest: _SavedInstant | None = None
    recent: list[_SavedInstant] = field(default_factory=list)
    lows: list[_Point] = field(default_factory=list)
    alerted: _Point | None = None  # by the default rule, in a state from before there were other rules
    highs: list[_Point] = field(default_factory=list)
    progress: list[_Progress] = field(default_factory=list)


@dataclass(slots=True)
class _Watch:
    """A rule and its progress for one ticker."""

    rule: AlertRule
    active_from: datetime
    alerted_at: datetime | None
    is_armed: bool  # for above and below: whether the next tick beyond the price alerts
    limit: Decimal  # the price beyond which the rule alerts, or the factor of the low (high)
    span: timedelta

    @classmethod
    def of(cls, active: ActiveRule, progress: _Progress | None) -> "_Watch":
        """Return a new watch, or one that continues from saved progress."""
        rule = active.rule
        match rule:
            case AlertRule(kind="rise" | "fall", percent=Decimal() as percent, window_seconds=int(seconds)):
                limit, span = 1 + (percent if rule.kind == "rise" else -percent) / 100, timedelta(seconds=seconds)
            case AlertRule(kind="above" | "below", price=Decimal() as price):
                limit, span = price, timedelta()
            case _:
                raise ValueError(f"not a rule: {rule}")
        alerted_at, is_armed = (progress.alerted_at, progress.is_armed) if progress else (None, True)
        return cls(rule, active.active_from, alerted_at, is_armed, limit, span)

    @property
    def begin(self) -> datetime:
        """The first instant whose prices count; an alert consumes all earlier ones."""
        return self.alerted_at or self.active_from

    @property
    def is_over(self) -> bool:
        """Whether the rule alerts once and has done so."""
        return self.rule.once and self.alerted_at is not None

    def origin(self, timestamp: datetime, points: Sequence[_Point]) -> _Point:
        """Return the lowest (highest) of these points in the window that ends at `timestamp`."""
        begin = _before(timestamp, self.span)
        if self.span > EXACT:
            begin = begin.replace(microsecond=0)
        return points[_index(points, max(begin, self.begin))]


class Detector:
    """Evaluates the rules of one ticker, tick by tick in order of arrival.

    `lows` is a monotonic queue for all rises: starting at the lowest price of the longest window, each price that no
    later one has undercut. The low since an instant is its first element from there. `highs` mirrors it for falls.

    A price between `floor` and `ceiling` cannot affect any rule, so most ticks are compared with these two only.
    """

    def __init__(
        self, ticker: str, rules: Sequence[ActiveRule] = (ActiveRule(DEFAULT_RULE),), saved: str | None = None
    ) -> None:
        """Start empty, or with a `saved` state, which may be from other rules."""
        state = adapter(DetectorState).validate_json(saved) if saved else DetectorState()
        self.ticker = ticker
        self._newest = state.newest
        self._seen = set(state.recent)  # the timestamps of the last seconds, and perhaps some older ones
        self._lows, self._highs = state.lows, state.highs
        self._watches = _watches(rules, state)
        self._longest = max([LATENESS, *[watch.span for watch in self._watches]])
        rises = [watch.limit for watch in self._watches if watch.rule.kind == "rise"]
        falls = [watch.limit for watch in self._watches if watch.rule.kind == "fall"]
        self._rise_factor, self._fall_factor = min(rises, default=None), max(falls, default=None)
        self._room = _ROOM
        self._floor, self._ceiling = _NEVER, -_NEVER  # evaluate the rules at the first tick

    @property
    def newest(self) -> datetime | None:
        """The latest timestamp, if there is one."""
        return self._newest

    def save(self) -> str:
        """Return the state as JSON, from which another detector can continue."""
        self._compact()
        progress = [
            _Progress(_name(watch.rule), watch.active_from, watch.alerted_at, watch.is_armed)
            for watch in self._watches
            if watch.alerted_at
        ]
        state = DetectorState(self._newest, sorted(self._seen), self._lows, None, self._highs, progress)
        return adapter(DetectorState).dump_json(state).decode()

    def update(self, tick: Tick) -> Detection:  # noqa: C901 - a call for each part would add a tenth of the time
        """Process a tick, whose price is above zero."""
        timestamp, price = tick.timestamp, tick.price
        newest = self._newest
        if newest is not None and timestamp <= newest:
            return self._take_late(timestamp, price, newest)

        self._newest = timestamp
        self._seen.add(timestamp)
        lows, highs = self._lows, self._highs
        before = lows[-1][1] if lows else price
        if price <= before:
            while lows and lows[-1][1] >= price:
                lows.pop()
            # A new low lowers the limit of a rise. Lows that leave the window only raise it.
            if self._rise_factor is not None:
                ceiling = self._rise_factor * price
                if ceiling < self._ceiling:  # noqa: PLR1730 - twice as fast as min()
                    self._ceiling = ceiling
        if price >= before:
            while highs and highs[-1][1] <= price:
                highs.pop()
            if self._fall_factor is not None:
                floor = self._fall_factor * price
                if floor > self._floor:  # noqa: PLR1730
                    self._floor = floor
        point = timestamp, price
        lows.append(point)
        highs.append(point)
        if len(self._seen) > self._room:
            self._compact()
        if self._floor <= price <= self._ceiling:
            return _COUNTED
        alerts = self._judge(tick)
        return Detection(Outcome.COUNTED, alerts) if alerts else _COUNTED

    def _take_late(self, timestamp: datetime, price: Decimal, newest: datetime) -> Detection:
        """Process an out-of-order tick: it may become the low or high for a later alert, but raises none itself."""
        if newest - timestamp > LATENESS:
            return _TOO_OLD
        if timestamp in self._seen:
            return _REPEATED
        self._seen.add(timestamp)
        _insert(self._lows, timestamp, price, sign=1)
        _insert(self._highs, timestamp, price, sign=-1)
        self._floor, self._ceiling = _NEVER, -_NEVER
        return _COUNTED

    def _judge(self, tick: Tick) -> list[Alert]:
        """Return the alerts of the newest tick, and recompute the floor and ceiling."""
        floor, ceiling = Decimal(0), _NEVER
        alerts = []
        for watch in self._watches:
            if watch.is_over:
                continue
            if tick.timestamp < watch.active_from:
                floor, ceiling = _NEVER, -_NEVER  # evaluate the rules at the next tick
                continue
            judge = self._judge_move if watch.span else _judge_level
            alert, lower, upper = judge(watch, tick)
            floor, ceiling = max(floor, lower), min(ceiling, upper)
            if alert:
                alerts.append(alert)
        self._floor, self._ceiling = floor, ceiling
        return alerts

    def _judge_move(self, watch: _Watch, tick: Tick) -> "_Judgement":
        is_rise = watch.rule.kind == "rise"
        points = self._lows if is_rise else self._highs
        timestamp, price = watch.origin(tick.timestamp, points)
        limit = watch.limit * price
        alert = None
        if tick.price > limit if is_rise else tick.price < limit:
            alert = _move(watch.rule, tick, timestamp, price)
            watch.alerted_at = tick.timestamp
            limit = watch.limit * tick.price
        return (alert, Decimal(0), limit) if is_rise else (alert, limit, _NEVER)

    def _compact(self) -> None:
        """Drop points that no future tick can need, and reduce older seconds to their low and high."""
        if self._newest is not None:
            late = _before(self._newest, LATENESS)
            self._seen = {timestamp for timestamp in self._seen if timestamp >= late}
            oldest = _before(self._newest, self._longest).replace(microsecond=0)
            exact = _before(self._newest, EXACT)
            cuts = sorted([watch.begin for watch in self._watches if watch.span > EXACT])
            self._lows = _compacted(self._lows, oldest, exact, cuts)
            self._highs = _compacted(self._highs, oldest, exact, cuts)
        self._room = 2 * len(self._seen) + _ROOM


type _Judgement = tuple[Alert | None, Decimal, Decimal]  # with the floor and ceiling of the rule


def _judge_level(watch: _Watch, tick: Tick) -> _Judgement:
    is_above = watch.rule.kind == "above"
    limit = watch.limit
    is_beyond, is_back = (tick.price > limit, tick.price < limit)[:: 1 if is_above else -1]
    alert = None
    if is_beyond and watch.is_armed:
        alert = Alert(watch.rule.alert_id(tick), tick.ticker, tick.price, tick.timestamp, rule=watch.rule)
        watch.alerted_at, watch.is_armed = tick.timestamp, False
    elif is_back:
        watch.is_armed = True
    return (alert, Decimal(0), limit) if is_above == watch.is_armed else (alert, limit, _NEVER)


def _move(rule: AlertRule, tick: Tick, timestamp: datetime, price: Decimal) -> Alert:
    """Return the alert for a rise or fall to this tick from the price at `timestamp`."""
    percent = (abs(tick.price / price - 1) * 100).quantize(_HUNDREDTHS, ROUND_HALF_EVEN)
    basics = rule.alert_id(tick), tick.ticker, tick.price, tick.timestamp
    if rule.kind == "rise":
        return Alert(*basics, low_price=price, low_timestamp=timestamp, rise_percent=percent, rule=rule)
    return Alert(*basics, high_price=price, high_timestamp=timestamp, fall_percent=percent, rule=rule)


def _watches(rules: Sequence[ActiveRule], state: DetectorState) -> list[_Watch]:
    """Return a watch for each rule; saved progress is used if the rule has been active since then."""
    saved = {(each.rule, each.active_from): each for each in state.progress}
    if state.alerted:
        name = _name(DEFAULT_RULE)
        saved[name, EPOCH] = _Progress(name, EPOCH, state.alerted[0], is_armed=True)
    return [_Watch.of(active, saved.get((_name(active.rule), active.active_from))) for active in rules]


def _name(rule: AlertRule) -> str:
    return str(rule) if rule.id is None else str(rule.id)


def _before(instant: datetime, span: timedelta) -> datetime:
    try:
        return instant - span
    except OverflowError:
        return EPOCH


def _index(points: Sequence[_Point], instant: datetime) -> int:
    """Return the index of the first point at or after an instant. Prices are above zero."""
    return bisect_left(points, (instant, Decimal(0)))


def _insert(points: list[_Point], timestamp: datetime, price: Decimal, sign: int) -> None:
    """Insert a point into lows (sign 1) or highs (sign -1), unless a later one undercuts it."""
    at = _index(points, timestamp)
    if at < len(points) and sign * points[at][1] <= sign * price:
        return
    start = at
    while start > 0 and sign * points[start - 1][1] >= sign * price:
        start -= 1
    points[start:at] = [(timestamp, price)]


def _compacted(points: list[_Point], oldest: datetime, exact: datetime, cuts: Sequence[datetime]) -> list[_Point]:
    """Return the points from `oldest`; before `exact` only the first of each second and the first after each cut."""
    if not points or points[0][0] >= max(oldest, exact):
        return points
    first, rest = _index(points, oldest), _index(points, exact)
    kept, last = [], None
    for point in points[first:rest]:
        part = point[0].replace(microsecond=0), bisect_right(cuts, point[0])
        if part != last:
            kept.append(point)
        last = part
    return kept + points[max(first, rest) :]
