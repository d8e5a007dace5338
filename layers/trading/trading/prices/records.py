"""Prices in the database: five-minute averages, alerts, and the state of the alert rules for each ticker."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from functools import reduce
from operator import attrgetter
from typing import TYPE_CHECKING

from trading.core import database, pagination
from trading.core.values import PAGE_DEFAULT, PRECISION, Price, adapter, divided
from trading.prices import rule_records
from trading.prices.alert_rules import ALERT_COLUMNS, ActiveRule, Alert, Detector, Outcome, alert_of
from trading.prices.ticks import AHEAD, Tick

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small

BUCKET = timedelta(minutes=5)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT = Context(prec=PRECISION)

_timestamp = attrgetter("timestamp")


@dataclass(frozen=True, slots=True)
class RecordedAlert:
    """An alert that this call wrote, and the id of its notification."""

    alert: Alert
    notification_id: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """The result of recording ticks of one ticker: how many counted, were repeated or too old, and their alerts.

    `newest` is the ticker's latest price if it is among these ticks. `is_restarted` means that the clock went back, so
    the ticker's window was reset.
    """

    counted: int
    repeated: int
    too_old: int
    alerts: list[RecordedAlert]
    newest: Tick | None = None
    is_restarted: bool = False


@dataclass(slots=True)
class _Bucket:
    """The ticks of one ticker in one five-minute interval."""

    ticker: str
    bucket_start: datetime
    price_sum: Decimal
    count: int
    open: Decimal
    opened_at: datetime
    high: Decimal
    low: Decimal
    close: Decimal
    closed_at: datetime


@dataclass(frozen=True, slots=True)
class _Ended:
    """A rule that alerts once and has done so."""

    rule_id: int | None
    active_from: datetime


def record(batch: Mapping[str, Sequence[Tick]]) -> dict[str, Recorded]:
    """Evaluate the ticks of each ticker in order, and store averages and alerts in one transaction.

    Repeated ticks change nothing, so the call is idempotent.

    Raises:
        database.DatabaseUnavailableError: the ticks may not be recorded; safe to repeat.
    """
    return database.run(lambda cursor: _record(cursor, batch), repeatable=True, atomic=True)


# One statement. The rows of the windows are already locked, so no other transaction writes for these tickers.
_WRITE = f"""
with saved as (
    update price_windows as held set rules_state = window_.state::json, state = null
    from unnest(%(tickers)s, %(states)s) as window_(ticker, state)
    where held.ticker = window_.ticker
), averaged as (
    insert into price_averages as held
        (ticker, bucket_start, price_sum, count, open, opened_at, high, low, close, closed_at)
    select ticker, bucket_start, price_sum, count, open, opened_at, high, low, close, closed_at
    from json_to_recordset(%(buckets)s) as bucket(
        ticker text, bucket_start timestamptz, price_sum numeric, count bigint, open numeric, opened_at timestamptz,
        high numeric, low numeric, close numeric, closed_at timestamptz
    )
    on conflict (ticker, bucket_start) do update set
        price_sum = held.price_sum + excluded.price_sum,
        count = held.count + excluded.count,
        open = case when excluded.opened_at < held.opened_at then excluded.open else held.open end,
        opened_at = least(held.opened_at, excluded.opened_at),
        high = greatest(held.high, excluded.high),
        low = least(held.low, excluded.low),
        close = case when excluded.closed_at > held.closed_at then excluded.close else held.close end,
        closed_at = greatest(held.closed_at, excluded.closed_at)
), alerted as (
    insert into alerts ({", ".join(ALERT_COLUMNS)}, rule_id)
    select {", ".join(ALERT_COLUMNS)}, (rule->>'id')::bigint from json_to_recordset(%(alerts)s) as alert(
        id uuid, ticker text, price numeric, timestamp timestamptz, low_price numeric, low_timestamp timestamptz,
        rise_percent numeric, high_price numeric, high_timestamp timestamptz, fall_percent numeric, rule jsonb
    )
    order by timestamp
    on conflict (id) do nothing
    returning id
), ended as (
    update alert_rules as rule set ended_at = now()
    from json_to_recordset(%(ended)s) as ended(rule_id bigint, active_from timestamptz)
    where rule.id = ended.rule_id and rule.active_from = ended.active_from and not paused and deleted_at is null
), announced as (
    insert into notifications (alert_id) select id from alerted returning alert_id, id as notification_id
)
select alert_id, notification_id from announced
"""  # noqa: S608 - the columns are a constant


@dataclass(frozen=True, slots=True)
class _Judged:
    """The result of evaluating the ticks of one ticker, and the state of its rules afterwards."""

    state: str
    counted: list[Tick]
    outcomes: list[Outcome]
    alerts: list[Alert]
    newest: datetime | None
    is_restarted: bool


def _record(cursor: "Cursor", batch: Mapping[str, Sequence[Tick]]) -> dict[str, Recorded]:
    states = _locked_states(cursor, list(batch))
    # Read while holding the locks, so that a rule that alerts once has ended for the next transaction.
    rules = rule_records.active(cursor, list(batch))
    now = datetime.now(UTC)
    judged = {
        ticker: _judge(ticker, rule_records.of_ticker(rules, ticker), states[ticker], ticks, now)
        for ticker, ticks in batch.items()
    }
    changed = {ticker: each for ticker, each in judged.items() if each.counted}
    written: dict[str, str] = {}
    if changed:
        buckets = [bucket for ticker, each in changed.items() for bucket in _buckets(ticker, each.counted)]
        alerts = [alert for each in changed.values() for alert in each.alerts]
        once = {alert.rule.id for alert in alerts if alert.rule.once}
        ended = [_Ended(rule.rule.id, rule.active_from) for rule in rules if rule.rule.id in once]
        cursor.execute(
            _WRITE,
            {
                "tickers": list(changed),
                "states": [each.state for each in changed.values()],
                "buckets": adapter(list[_Bucket]).dump_json(buckets).decode(),
                "alerts": adapter(list[Alert]).dump_json(alerts).decode(),
                "ended": adapter(list[_Ended]).dump_json(ended).decode(),
            },
        )
        written = dict(cursor.fetchall())
    return {ticker: _recorded(each, written) for ticker, each in judged.items()}


def _judge(
    ticker: str, rules: Sequence[ActiveRule], state: str | None, ticks: Sequence[Tick], now: datetime
) -> _Judged:
    detector = Detector(ticker, rules, state)
    # Ticks further in the future than this are refused, so the clock must have gone back since the newest tick. With
    # the old state, all new ticks would be too old.
    is_restarted = detector.newest is not None and detector.newest > now + AHEAD
    if is_restarted:
        detector = Detector(ticker, rules)
    detections = [detector.update(tick) for tick in ticks]
    return _Judged(
        state=detector.save(),
        counted=[
            tick for tick, detection in zip(ticks, detections, strict=True) if detection.outcome is Outcome.COUNTED
        ],
        outcomes=[detection.outcome for detection in detections],
        alerts=[alert for detection in detections for alert in detection.alerts],
        newest=detector.newest,
        is_restarted=is_restarted,
    )


def _recorded(judged: _Judged, written: Mapping[str, str]) -> Recorded:
    return Recorded(
        counted=len(judged.counted),
        repeated=judged.outcomes.count(Outcome.REPEATED),
        too_old=judged.outcomes.count(Outcome.TOO_OLD),
        alerts=[RecordedAlert(alert, written[alert.id]) for alert in judged.alerts if alert.id in written],
        newest=next((tick for tick in judged.counted if tick.timestamp == judged.newest), None),
        is_restarted=judged.is_restarted,
    )


def _locked_states(cursor: "Cursor", tickers: list[str]) -> dict[str, str | None]:
    """Return the state of the rules for each ticker, and lock it until the transaction ends."""
    # Always in the same order, so that transactions cannot deadlock.
    statement = (
        "select ticker, coalesce(state, rules_state)::text from price_windows"
        " where ticker = any(%s) order by ticker for update"
    )
    cursor.execute(statement, (tickers,))
    states: dict[str, str | None] = dict(cursor.fetchall())
    missing = sorted(set(tickers) - states.keys())
    if missing:
        cursor.execute("insert into price_windows (ticker) select unnest(%s) on conflict do nothing", (missing,))
        cursor.execute(statement, (missing,))
        states |= dict(cursor.fetchall())
    return states


def _buckets(ticker: str, ticks: Iterable[Tick]) -> list[_Bucket]:
    by_start: dict[datetime, list[Tick]] = {}
    for tick in ticks:
        by_start.setdefault(tick.timestamp - (tick.timestamp - _EPOCH) % BUCKET, []).append(tick)
    return [_bucket(ticker, start, inside) for start, inside in by_start.items()]


def _bucket(ticker: str, start: datetime, ticks: Sequence[Tick]) -> _Bucket:
    prices = [tick.price for tick in ticks]
    first, last = min(ticks, key=_timestamp), max(ticks, key=_timestamp)
    return _Bucket(
        ticker,
        start,
        price_sum=reduce(_EXACT.add, prices),
        count=len(prices),
        open=first.price,
        opened_at=first.timestamp,
        high=max(prices),
        low=min(prices),
        close=last.price,
        closed_at=last.timestamp,
    )


@dataclass(frozen=True, slots=True)
class PriceAverage:
    """The ticks of a ticker in the five minutes from `bucket_start`; the mean is rounded half-even to six decimals."""

    ticker: str
    bucket_start: datetime
    mean: Price
    open: Price
    high: Price
    low: Price
    close: Price
    count: int


@dataclass(frozen=True, slots=True)
class PriceFilter:
    """The parameters of a search for averages or alerts; both dates are inclusive."""

    ticker: str | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    limit: int = PAGE_DEFAULT
    cursor: str | None = None


def find_averages(wanted: PriceFilter) -> tuple[list[PriceAverage], str | None]:
    """Return a page of a ticker's averages, newest first, and the cursor of the next page if there is one.

    Raises:
        InvalidError: start_date is after end_date, or the cursor is not valid.
        database.DatabaseUnavailableError: the database does not answer.
    """
    rows, next_cursor = pagination.find(
        "price_averages",
        ("ticker", "bucket_start", "price_sum", "count", "open", "high", "low", "close"),
        asdict(wanted),
        key=("bucket_start",),
        equal=("ticker",),
    )
    found = [
        PriceAverage(ticker, start, divided(price_sum, count), opened, high, low, close, count)
        for ticker, start, price_sum, count, opened, high, low, close in rows
    ]
    return found, next_cursor


def find_alerts(wanted: PriceFilter) -> tuple[list[Alert], str | None]:
    """Return a page of alerts, newest first, and the cursor of the next page if there is one.

    Raises:
        InvalidError: start_date is after end_date, or the cursor is not valid.
        database.DatabaseUnavailableError: the database does not answer.
    """
    rows, next_cursor = pagination.find(
        "alerts", ALERT_COLUMNS, asdict(wanted), key=("timestamp", "number"), equal=("ticker",)
    )
    return [alert_of(row) for row in rows], next_cursor
