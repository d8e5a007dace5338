"""What the database keeps of prices: five-minute averages, alerts, and where the alert rule stands with each ticker."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from trading.core import database, pagination
from trading.core.pagination import PAGE_DEFAULT
from trading.core.values import PRECISION, Price, divided
from trading.notifications.events import PriceAlerted
from trading.prices.alert_rules import ALERT_COLUMNS, Alert, Outcome, RiseWatch
from trading.prices.ticks import Tick

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small

BUCKET = timedelta(minutes=5)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of ticks of one ticker: how many counted, came again or too late, and what there is to tell of them.

    `newest` is the latest price of the ticker, where one of these ticks is that.
    """

    counted: int
    repeated: int
    too_old: int
    alerts: list[PriceAlerted]
    newest: Tick | None = None


@dataclass(slots=True)
class _Bucket:
    """Ticks of one ticker and five minutes, as far as they have come."""

    bucket_start: datetime
    price_sum: Decimal
    count: int
    open: Decimal
    opened_at: datetime
    high: Decimal
    low: Decimal
    close: Decimal
    closed_at: datetime


_BUCKETS = TypeAdapter(list[_Bucket])
_ALERTS = TypeAdapter(list[Alert])


def record(ticker: str, ticks: Sequence[Tick]) -> Recorded:
    """Judge ticks of one ticker in their order, and keep what they come to, in one transaction.

    Ticks that came before change nothing, so the same may be recorded any number of times.

    Raises:
        database.DatabaseUnavailableError: nothing is known to be recorded.
    """
    return database.run(lambda cursor: _record(cursor, ticker, ticks), repeatable=True, atomic=True)


# One statement: the row of the window is locked already, so nobody else writes of this ticker.
_WRITE = f"""
with saved as (
    update price_windows set state = %(state)s where ticker = %(ticker)s
), averaged as (
    insert into price_averages as held
        (ticker, bucket_start, price_sum, count, open, opened_at, high, low, close, closed_at)
    select %(ticker)s, bucket_start, price_sum, count, open, opened_at, high, low, close, closed_at
    from json_to_recordset(%(buckets)s) as bucket(
        bucket_start timestamptz, price_sum numeric, count bigint, open numeric, opened_at timestamptz, high numeric,
        low numeric, close numeric, closed_at timestamptz
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
    insert into alerts ({", ".join(ALERT_COLUMNS)})
    select {", ".join(ALERT_COLUMNS)} from json_to_recordset(%(alerts)s) as alert(
        id uuid, ticker text, price numeric, timestamp timestamptz, low_price numeric, low_timestamp timestamptz,
        rise_percent numeric
    )
    order by timestamp
    on conflict (id) do nothing
    returning id
), announced as (
    insert into notifications (alert_id) select id from alerted returning alert_id, id as notification_id
)
select alert_id, notification_id from announced
"""  # noqa: S608 - the columns are a constant


def _record(cursor: "Cursor", ticker: str, ticks: Sequence[Tick]) -> Recorded:
    watch = RiseWatch(ticker, _locked_state(cursor, ticker))
    judgements = [watch.judge(tick) for tick in ticks]
    outcomes = [judgement.outcome for judgement in judgements]
    counted = [tick for tick, outcome in zip(ticks, outcomes, strict=True) if outcome is Outcome.COUNTED]
    alerts = [judgement.alert for judgement in judgements if judgement.alert]
    written: dict[str, str] = {}
    if counted:
        cursor.execute(
            _WRITE,
            {
                "ticker": ticker,
                "state": watch.save(),
                "buckets": _BUCKETS.dump_json(_buckets(counted)).decode(),
                "alerts": _ALERTS.dump_json(alerts).decode(),
            },
        )
        written = dict(cursor.fetchall())
    return Recorded(
        counted=len(counted),
        repeated=outcomes.count(Outcome.REPEATED),
        too_old=outcomes.count(Outcome.TOO_OLD),
        alerts=[PriceAlerted.of(alert, written[alert.id]) for alert in alerts if alert.id in written],
        newest=next((tick for tick in counted if tick.timestamp == watch.newest), None),
    )


def _locked_state(cursor: "Cursor", ticker: str) -> str | None:
    """Return where the rule stands with a ticker, and keep others off it until the transaction ends."""
    statement = "select state::text from price_windows where ticker = %s for update"
    cursor.execute(statement, (ticker,))
    row = cursor.fetchone()
    if row is None:
        cursor.execute("insert into price_windows (ticker) values (%s) on conflict do nothing", (ticker,))
        cursor.execute(statement, (ticker,))
        row = cursor.fetchone()
    assert row is not None  # noqa: S101 - nothing deletes these rows
    state: str | None = row[0]
    return state


def _buckets(ticks: Iterable[Tick]) -> list[_Bucket]:
    buckets: dict[datetime, _Bucket] = {}
    for tick in ticks:
        start = tick.timestamp - (tick.timestamp - _EPOCH) % BUCKET
        bucket = buckets.get(start)
        if bucket is None:
            price, at = tick.price, tick.timestamp
            buckets[start] = _Bucket(start, price, 1, price, at, price, price, price, at)
        else:
            _add(bucket, tick)
    return list(buckets.values())


def _add(bucket: _Bucket, tick: Tick) -> None:
    with localcontext(prec=PRECISION):
        bucket.price_sum += tick.price
    bucket.count += 1
    bucket.high = max(bucket.high, tick.price)
    bucket.low = min(bucket.low, tick.price)
    if tick.timestamp < bucket.opened_at:
        bucket.open, bucket.opened_at = tick.price, tick.timestamp
    if tick.timestamp > bucket.closed_at:
        bucket.close, bucket.closed_at = tick.price, tick.timestamp


@dataclass(frozen=True, slots=True)
class PriceAverage:
    """The ticks of one ticker in the five minutes from `bucket_start` on: the mean has six decimals, half-even."""

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
    """Which averages or alerts to find, both dates included, and how many after which cursor."""

    ticker: str | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    limit: int = PAGE_DEFAULT
    cursor: str | None = None


def find_averages(wanted: PriceFilter) -> tuple[list[PriceAverage], str | None]:
    """Return a page of a ticker's averages, the newest first, and the cursor of the next page if there is one.

    Raises:
        ProblemError: 400, the dates are the wrong way round or the cursor is not one of ours.
        database.DatabaseUnavailableError: the database does not answer.
    """
    rows, has_more = pagination.find(
        "select ticker, bucket_start, price_sum, count, open, high, low, close from price_averages",
        asdict(wanted),
        {
            "ticker": "ticker = %(ticker)s",
            "start_date": "bucket_start >= %(start_date)s",
            "end_date": "bucket_start <= %(end_date)s",
        },
        order="bucket_start desc",
        after="bucket_start < %(after_timestamp)s",
    )
    found = [
        PriceAverage(ticker, start, divided(price_sum, count), opened, high, low, close, count)
        for ticker, start, price_sum, count, opened, high, low, close in rows
    ]
    return found, pagination.encode_cursor(found[-1].bucket_start, 0) if has_more else None


def find_alerts(wanted: PriceFilter) -> tuple[list[Alert], str | None]:
    """Return a page of alerts, the newest first, and the cursor of the next page if there is one.

    Raises:
        ProblemError: 400, the dates are the wrong way round or the cursor is not one of ours.
        database.DatabaseUnavailableError: the database does not answer.
    """
    rows, has_more = pagination.find(
        f"select {', '.join(ALERT_COLUMNS)}, number from alerts",  # noqa: S608 - the columns are a constant
        asdict(wanted),
        {
            "ticker": "ticker = %(ticker)s",
            "start_date": "timestamp >= %(start_date)s",
            "end_date": "timestamp <= %(end_date)s",
        },
        order="timestamp desc, number desc",
        after="(timestamp, number) < (%(after_timestamp)s, %(after_id)s)",
    )
    found = [Alert(*alert) for *alert, _ in rows]
    return found, pagination.encode_cursor(found[-1].timestamp, rows[-1][-1]) if has_more else None
