"""The ledger: recording trades with their notifications, finding them, and annotating them."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationInfo,
    field_validator,
)

from trading.core import database, pagination
from trading.core.errors import FieldError, InvalidError, NotFoundError
from trading.core.values import (
    CLIENT_ID_PATTERN,
    PAGE_DEFAULT,
    Account,
    Currency,
    Note,
    Price,
    Quantity,
    Side,
    Tag,
    Ticker,
    TradeInstant,
)

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small

BATCH_LIMIT = 1_000
TAGS_LIMIT = 10
FEE_OF_NOTHING = "must be 0 if the quantity is 0"


def _distinct(tags: list[str]) -> list[str]:
    if len(set(tags)) < len(tags):
        raise ValueError("must not contain a tag twice")
    return tags


type Status = Literal["active", "voided"]
ClientTradeId = Annotated[str, StringConstraints(pattern=CLIENT_ID_PATTERN)]
Tags = Annotated[
    list[Tag], Field(max_length=TAGS_LIMIT, json_schema_extra={"uniqueItems": True}), AfterValidator(_distinct)
]


class NewTrade(BaseModel):
    """A trade as sent by a client."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ticker: Ticker = Field(examples=["MSFT"])
    price: Price
    quantity: Quantity
    side: Side
    timestamp: TradeInstant = Field(examples=["2025-06-03T12:00:00Z"])
    client_trade_id: ClientTradeId | None = Field(
        default=None,
        description="An idempotency key: requests with the same id record one trade.",
        examples=["order-2025-0042"],
    )
    account: Account = "main"
    fee: Price = Decimal(0)
    currency: Currency = "USD"
    note: Note | None = Field(default=None, examples=["Half of the position"])
    tags: Tags = Field(default=[], examples=[["earnings"]])

    @field_validator("fee")
    @classmethod
    def _is_of_shares(cls, fee: Decimal, info: ValidationInfo) -> Decimal:
        """Refuse a fee without shares: profit allocates a trade's fee to its shares."""
        if fee and info.data.get("quantity") == 0:
            raise ValueError(FEE_OF_NOTHING)
        return fee


class Annotation(BaseModel):
    """The annotations of a trade, which can be changed in place."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"minProperties": 1})

    note: Note | None = Field(default=None, examples=["Half of the position"])
    tags: Tags = Field(default=[], examples=[["earnings"]])


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
    # Defaults, because messages of an earlier release may still be in flight without these fields.
    account: str = "main"
    fee: Price = Decimal(0)
    currency: str = "USD"
    note: str | None = None
    tags: list[str] = field(default_factory=list)

    def is_same_as(self, new: NewTrade) -> bool:
        """Whether `new` is the same trade: numbers and instants are compared by value, not by how they were written."""
        return all(getattr(self, name) == getattr(new, name) for name in _COMPARED)


@dataclass(frozen=True, slots=True)
class ListedTrade(Trade):
    """A recorded trade in a list that may include voided trades."""

    _: KW_ONLY
    status: Status


@dataclass(frozen=True, slots=True)
class TrackedTrade(Trade):
    """A recorded trade, its status, and when its notification was delivered."""

    _: KW_ONLY
    notified_at: datetime | None
    status: Status
    voided_at: datetime | None
    voided_by: str | None
    void_reason: str | None
    replaces: int | None
    replaced_by: int | None


@dataclass(frozen=True, slots=True)
class RecordedTrade:
    """A recorded trade, and the id of its notification if this call wrote both."""

    trade: Trade
    notification_id: str | None


@dataclass(frozen=True, slots=True)
class TradeFilter:
    """The parameters of a search for trades; both dates are inclusive."""

    ticker: str | None = None
    ticker_prefix: str | None = None
    side: str | None = None
    account: str | None = None
    tag: str | None = None
    status: Status | Literal["all"] = "active"
    start_date: datetime | None = None
    end_date: datetime | None = None
    as_of: datetime | None = None
    limit: int = PAGE_DEFAULT
    cursor: str | None = None


# Without the annotations, which may have changed since.
_COMPARED = NewTrade.model_fields.keys() - {"note", "tags"}
TRADE_COLUMNS = tuple(field.name for field in fields(Trade))
_COLUMNS = ", ".join(TRADE_COLUMNS)


def columns_of(relation: str) -> str:
    """Return the columns of a trade, qualified with this relation's name."""
    return ", ".join(f"{relation}.{name}" for name in TRADE_COLUMNS)


_NEW_TRADES = TypeAdapter(list[NewTrade])

# One statement, so one commit: a trade always has its notification. Ids follow the order of the entries. Rows are
# inserted in the order of their unique key, so that two batches with common keys cannot deadlock.
_RECORD = f"""
with entries as materialized (
    select nextval('trades_id_seq') as id, entry.*
    from json_to_recordset(%(trades)s) as entry(
        ticker text, price numeric, quantity numeric, side text, timestamp timestamptz, client_trade_id text,
        account text, fee numeric, currency text, note text, tags text[]
    )
), recorded as (
    insert into trades (
        id, ticker, price, quantity, side, timestamp, client_trade_id, recorded_by, account, fee, currency, note, tags
    )
    select
        id, ticker, price, quantity, side, timestamp, client_trade_id, %(recorded_by)s, account, fee, currency, note,
        tags
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

    If this subject has already recorded the same trade with the same `client_trade_id`, the stored trade is returned,
    without a notification id.

    Raises:
        DuplicateIdError: a `client_trade_id` belongs to another trade; nothing was recorded.
        database.DatabaseUnavailableError: the trades may not be recorded; safe to repeat with `client_trade_id`.
    """
    return database.run(
        lambda cursor: _record(cursor, new, recorded_by),
        repeatable=all(trade.client_trade_id is not None for trade in new),
        atomic=len(new) > 1,
    )


class DuplicateIdError(Exception):
    """A `client_trade_id` is used for different trades; has the positions of the conflicting ones."""

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


_STATUS = "case when trade_id is null then 'active' else 'voided' end"
# In any collation, the tickers that begin with a prefix are within this range, for which an index can be used. Where a
# collation ignores punctuation, B.RA is within BR's range: hence the second condition. It is in a `case`, because the
# planner would otherwise take the two for independent, and expect far too few rows.
BEGINS = """
ticker between %(ticker_prefix)s and %(ticker_prefix)s || 'ZZZZZZZZZ'
and case when starts_with(ticker, %(ticker_prefix)s) then true end
"""
_STATUSES = {"active": "trade_id is null", "voided": "trade_id is not null", "all": "true"}


def find(wanted: TradeFilter) -> tuple[list[Trade], str | None]:
    """Return a page of trades, newest first, and the cursor of the next page if there is one.

    If the result may include voided trades, it has `ListedTrade`s. `as_of` finds the trades recorded by that instant,
    with their status at the time. Notes and tags are always the current ones.

    Raises:
        InvalidError: start_date is after end_date, or the cursor is not valid.
        database.DatabaseUnavailableError: the database does not answer.
    """
    by_then = "where changed_at <= %(as_of)s" if wanted.as_of else ""
    rows, next_cursor = pagination.find(
        f"trades left join (select trade_id from trade_changes {by_then}) as change on trade_id = id",  # noqa: S608
        TRADE_COLUMNS if wanted.status == "active" else (*TRADE_COLUMNS, _STATUS),
        asdict(wanted),
        key=("timestamp", "id"),
        equal=("ticker", "side", "account"),
        further={
            "ticker_prefix": BEGINS,
            # The index is partial: it has only trades with tags.
            "tag": "tags @> array[%(tag)s] and tags <> '{}'",
            "status": _STATUSES[wanted.status],
            "as_of": "recorded_at <= %(as_of)s",
        },
    )
    if wanted.status == "active":
        return [Trade(*row) for row in rows], next_cursor
    return [ListedTrade(*row[:-1], status=row[-1]) for row in rows], next_cursor


_GET = f"""
select {columns_of("trade")},
    -- A trade that replaces another is announced by the notification of the correction.
    (select delivered_at from notifications where trade_id = trade.id or change_id = correction.id) as notified_at,
    case when change.id is null then 'active' else 'voided' end as status,
    change.changed_at as voided_at, change.changed_by as voided_by, change.reason as void_reason,
    correction.trade_id as replaces, change.replaced_by
from trades as trade
left join trade_changes as change on change.trade_id = trade.id
left join trade_changes as correction on correction.replaced_by = trade.id
where trade.id = %(id)s
"""  # noqa: S608 - the columns are a constant
_TRACKED = tuple(field.name for field in fields(TrackedTrade))


def get(trade_id: int) -> TrackedTrade:
    """Return one trade with its status and changes.

    Raises:
        NotFoundError: there is no such trade.
        database.DatabaseUnavailableError: the database does not answer.
    """
    rows = database.query(_GET, {"id": trade_id}, repeatable=True)
    if not rows:
        raise _not_found(trade_id)
    return TrackedTrade(**dict(zip(_TRACKED, rows[0], strict=True)))


def annotate(trade_id: int, annotation: Annotation) -> None:
    """Set a trade's note, tags or both; the trade may be voided.

    Raises:
        InvalidError: `annotation` has neither.
        NotFoundError: there is no such trade.
        database.DatabaseUnavailableError: the database does not answer; safe to repeat.
    """
    named = sorted(annotation.model_fields_set)
    if not named:
        raise InvalidError(FieldError("body", "must contain a note, tags or both"))
    rows = database.query(
        f"update trades set {', '.join(f'{name} = %({name})s' for name in named)}"  # noqa: S608 - constants
        " where id = %(id)s returning id",
        {**annotation.model_dump(), "id": trade_id},
        repeatable=True,
    )
    if not rows:
        raise _not_found(trade_id)


def _not_found(trade_id: int) -> NotFoundError:
    return NotFoundError(f"There is no trade {trade_id}.")
