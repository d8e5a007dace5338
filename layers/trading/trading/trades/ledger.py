"""Trades: what one is, recording it with its notification, and finding it again."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from trading.core import database, pagination
from trading.core.errors import NotFoundError
from trading.core.values import CLIENT_ID_PATTERN, PAGE_DEFAULT, Instant, Price, Quantity, Side, Ticker

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small

BATCH_LIMIT = 1_000


class NewTrade(BaseModel):
    """A trade as its client sends it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ticker: Ticker = Field(examples=["MSFT"])
    price: Price
    quantity: Quantity
    side: Side
    timestamp: Instant = Field(examples=["2025-06-03T12:00:00Z"])
    client_trade_id: Annotated[str, StringConstraints(pattern=CLIENT_ID_PATTERN)] | None = Field(
        default=None, description="Makes a repeated request safe: the same id is recorded once."
    )


@dataclass(frozen=True, slots=True)
class Trade:
    """A recorded trade."""

    id: int
    ticker: str
    price: Price
    quantity: Quantity
    side: Side
    timestamp: datetime
    client_trade_id: str | None
    recorded_by: str
    recorded_at: datetime

    def is_same_as(self, new: NewTrade) -> bool:
        """Whether `new` tells of the same trade: numbers and instants are compared, not how they were spelled."""
        return all(getattr(self, name) == getattr(new, name) for name in NewTrade.model_fields)


@dataclass(frozen=True, slots=True)
class TrackedTrade(Trade):
    """A recorded trade, and when its notification was delivered."""

    notified_at: datetime | None


@dataclass(frozen=True, slots=True)
class RecordedTrade:
    """A trade that is in the database, and the id of its notification where this very call wrote both."""

    trade: Trade
    notification_id: str | None


@dataclass(frozen=True, slots=True)
class TradeFilter:
    """Which trades to find, both dates included, and how many after which cursor."""

    ticker: str | None = None
    side: str | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    limit: int = PAGE_DEFAULT
    cursor: str | None = None


TRADE_COLUMNS = tuple(field.name for field in fields(Trade))
_COLUMNS = ", ".join(TRADE_COLUMNS)
_NEW_TRADES = TypeAdapter(list[NewTrade])

# One statement and so one commit: a trade without its notification cannot exist. Ids follow the order of the entries,
# rows are written in the order of their unique key, so that two batches that share keys wait for one another in one
# direction only.
_RECORD = f"""
with entries as materialized (
    select nextval('trades_id_seq') as id, entry.*
    from json_to_recordset(%(trades)s) as entry(
        ticker text, price numeric, quantity numeric, side text, timestamp timestamptz, client_trade_id text
    )
), recorded as (
    insert into trades (id, ticker, price, quantity, side, timestamp, client_trade_id, recorded_by)
    select id, ticker, price, quantity, side, timestamp, client_trade_id, %(recorded_by)s
    from entries
    order by client_trade_id
    on conflict (recorded_by, client_trade_id) do nothing
    returning {_COLUMNS}
), announced as (
    insert into notifications (trade_id) select id from recorded returning id as notification_id, trade_id
)
select {_COLUMNS}, notification_id from recorded join announced on trade_id = recorded.id order by id
"""  # noqa: S608 - the columns are a constant


def record(new: Sequence[NewTrade], recorded_by: str) -> list[RecordedTrade]:
    """Record trades with their notifications, all or none, and return them in the same order.

    A trade whose `client_trade_id` this subject has used before is answered as it is stored, with no notification id,
    if it is the same trade.

    Raises:
        DuplicateIdError: such an id belongs to another trade; nothing was recorded.
        database.DatabaseUnavailableError: nothing is known to be recorded; safe to repeat with `client_trade_id`.
    """
    return database.run(
        lambda cursor: _record(cursor, new, recorded_by),
        repeatable=all(trade.client_trade_id is not None for trade in new),
        atomic=len(new) > 1,
    )


class DuplicateIdError(Exception):
    """A `client_trade_id` names more than one trade: the positions of those that are not what it names."""

    def __init__(self, positions: list[int]) -> None:
        super().__init__(f"client_trade_id of another trade at {positions}")
        self.positions = positions


def _record(cursor: "Cursor", new: Sequence[NewTrade], recorded_by: str) -> list[RecordedTrade]:
    cursor.execute(_RECORD, {"trades": _NEW_TRADES.dump_json(list(new)).decode(), "recorded_by": recorded_by})
    written = [RecordedTrade(Trade(*row[:-1]), row[-1]) for row in cursor.fetchall()]
    if len(written) == len(new):
        return written

    by_key = {entry.trade.client_trade_id: entry for entry in written}
    keyless = iter([entry for entry in written if not entry.trade.client_trade_id])
    repeated = [trade.client_trade_id for trade in new if trade.client_trade_id not in by_key]
    cursor.execute(
        f"select {_COLUMNS} from trades where recorded_by = %(recorded_by)s and client_trade_id = any(%(keys)s)",  # noqa: S608
        {"recorded_by": recorded_by, "keys": [key for key in repeated if key]},
    )
    for row in cursor.fetchall():
        trade = Trade(*row)
        by_key[trade.client_trade_id] = RecordedTrade(trade, None)

    answer = [by_key[trade.client_trade_id] if trade.client_trade_id else next(keyless) for trade in new]
    clashes = [
        position
        for position, (entry, trade) in enumerate(zip(answer, new, strict=True))
        if not entry.trade.is_same_as(trade)
    ]
    if clashes:
        raise DuplicateIdError(clashes)
    return answer


def find(wanted: TradeFilter) -> tuple[list[Trade], str | None]:
    """Return a page of trades, the newest first, and the cursor of the next page if there is one.

    Raises:
        InvalidError: the dates are the wrong way round or the cursor is not one of ours.
        database.DatabaseUnavailableError: the database does not answer.
    """
    rows, next_cursor = pagination.find(
        "trades", TRADE_COLUMNS, asdict(wanted), key=("timestamp", "id"), equal=("ticker", "side")
    )
    return [Trade(*row) for row in rows], next_cursor


def get(trade_id: int) -> TrackedTrade:
    """Return one trade and when its notification was delivered.

    Raises:
        NotFoundError: there is no such trade.
        database.DatabaseUnavailableError: the database does not answer.
    """
    rows = database.query(
        f"select {_COLUMNS}, (select delivered_at from notifications where trade_id = trades.id)"  # noqa: S608
        " from trades where id = %(id)s",
        {"id": trade_id},
        repeatable=True,
    )
    if not rows:
        raise NotFoundError(f"There is no trade {trade_id}.")
    return TrackedTrade(*rows[0])
