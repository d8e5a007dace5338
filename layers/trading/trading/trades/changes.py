"""Changes: voiding a trade, or correcting it, which voids it and records a trade that replaces it."""

from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import Any

import psycopg2
from pydantic import BaseModel, ConfigDict, Field

from trading.core import database
from trading.core.errors import ConflictError, FieldError, InvalidError
from trading.core.values import Account, Currency, Note, Price, Quantity, Reason, Side, Ticker, TradeInstant
from trading.trades import ledger
from trading.trades.ledger import (
    FEE_OF_NOTHING,
    TRADE_COLUMNS,
    ClientTradeId,
    NewTrade,
    Tags,
    TrackedTrade,
    Trade,
    columns_of,
)


class NewVoid(BaseModel):
    """The reason for a void."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Reason = Field(examples=["Entered twice"])


# No default in the API description: omitted fields stay unchanged.
_UNCHANGED: Any = Field(default_factory=lambda: None)
_NOT_CORRECTED = {"reason", "client_trade_id"}


def _needs_a_field(schema: dict[str, Any]) -> None:
    """Describe that a correction must contain at least one field to correct."""
    fields = [name for name in schema["properties"] if name not in _NOT_CORRECTED]
    schema["anyOf"] = [{"required": [name]} for name in fields]


class NewCorrection(BaseModel):
    """The fields of a trade that were wrong, and why it is corrected."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_needs_a_field)

    reason: Reason = Field(examples=["Wrong price"])
    ticker: Ticker = _UNCHANGED
    price: Price = _UNCHANGED
    quantity: Quantity = _UNCHANGED
    side: Side = _UNCHANGED
    timestamp: TradeInstant = _UNCHANGED
    account: Account = _UNCHANGED
    fee: Price = _UNCHANGED
    currency: Currency = _UNCHANGED
    note: Note | None = _UNCHANGED
    tags: Tags = _UNCHANGED
    client_trade_id: ClientTradeId | None = Field(
        default=None, description="The idempotency key of the trade that replaces the corrected one."
    )


@dataclass(frozen=True, slots=True)
class VoidedTrade(Trade):
    """A voided trade: when, by whom and why it was voided."""

    _: KW_ONLY
    voided_at: datetime
    voided_by: str
    void_reason: str


@dataclass(frozen=True, slots=True)
class Correction:
    """The voided trade, and the trade that was recorded in its place."""

    voided: VoidedTrade
    recorded: Trade

    @property
    def id(self) -> int:
        """The id of the trade that counts now."""
        return self.recorded.id


@dataclass(frozen=True, slots=True)
class Written[Change]:
    """A change that this call wrote, and the id of its notification."""

    change: Change
    notification_id: str


# One statement, so one commit: a change always has its notification. The previous release's sweeper selects by
# next_attempt_at and does not know changes, so it must never find one due.
_ANNOUNCED = "insert into notifications (change_id, next_attempt_at) select id, 'infinity' from changed returning id"

_VOID = f"""
with changed as (
    insert into trade_changes (trade_id, reason, changed_by)
    select id, %(reason)s, %(changed_by)s from trades where id = %(trade_id)s
    on conflict (trade_id) do nothing
    returning *
), announced as (
    {_ANNOUNCED}
)
select announced.id, changed_at, changed_by, reason, {columns_of("trades")}
from announced, changed join trades on trades.id = trade_id
"""  # noqa: S608 - constants


def void(trade_id: int, reason: str, changed_by: str) -> Written[VoidedTrade] | None:
    """Void a trade and write its notification; None if there is no such trade or it is already voided.

    Raises:
        database.DatabaseUnavailableError: the database does not answer; safe to repeat.
    """
    parameters = {"trade_id": trade_id, "reason": reason, "changed_by": changed_by}
    rows = database.query(_VOID, parameters, repeatable=True)
    return Written(_voided(*rows[0][1:]), rows[0][0]) if rows else None


# Unlike a void, this fails if the trade was already changed, so that the replacement is rolled back.
_CORRECT = f"""
with recorded as (
    insert into trades (
        ticker, price, quantity, side, timestamp, client_trade_id, recorded_by, account, fee, currency, note, tags
    )
    values (
        %(ticker)s, %(price)s, %(quantity)s, %(side)s, %(timestamp)s, %(client_trade_id)s, %(changed_by)s, %(account)s,
        %(fee)s, %(currency)s, %(note)s, %(tags)s
    )
    on conflict (recorded_by, client_trade_id) do nothing
    returning *
), changed as (
    insert into trade_changes (trade_id, reason, changed_by, replaced_by)
    select %(trade_id)s, %(reason)s, %(changed_by)s, id from recorded
    returning *
), announced as (
    {_ANNOUNCED}
)
select announced.id, changed_at, changed_by, reason, {columns_of("trades")}, {columns_of("recorded")}
from announced, recorded, changed join trades on trades.id = trade_id
"""  # noqa: S608 - constants


def correct(
    trade_id: int, correction: NewCorrection, changed_by: str
) -> tuple[TrackedTrade, Written[Correction] | None]:
    """Void a trade, record its replacement with one notification, and return the replacement.

    Fields not in `correction` are copied. Repeating a correction returns the trade that the first one recorded and
    writes nothing.

    Raises:
        InvalidError: there is no field to correct, or the result would not be a valid trade.
        NotFoundError: there is no such trade.
        ConflictError: the trade was voided or corrected differently, or the `client_trade_id` is in use.
        database.DatabaseUnavailableError: the database does not answer; safe to repeat.
    """
    wanted = _corrected(ledger.get(trade_id), correction)
    written = _write(trade_id, wanted, correction.reason, changed_by)
    if written:
        return ledger.get(written.change.recorded.id), written

    known = ledger.get(trade_id)
    if known.replaced_by is not None:
        replacement = ledger.get(known.replaced_by)
        if replacement.is_same_as(wanted):
            return replacement, None
        raise ConflictError(f"Trade {trade_id} was corrected differently: trade {replacement.id} replaces it.")
    if known.status == "voided":
        raise ConflictError(f"Trade {trade_id} is voided.")
    raise ConflictError(
        "A client_trade_id identifies one trade only.", [FieldError("client_trade_id", "belongs to another trade")]
    )


def _corrected(trade: Trade, correction: NewCorrection) -> NewTrade:
    named = correction.model_fields_set - _NOT_CORRECTED
    if not named:
        raise InvalidError(FieldError("body", "must contain at least one field to correct"))
    kept = NewTrade.model_fields.keys() - named - {"client_trade_id"}
    # Each field is already validated; only their combination is not.
    corrected = NewTrade.model_construct(
        **{name: getattr(trade, name) for name in kept},
        **{name: getattr(correction, name) for name in named},
        client_trade_id=correction.client_trade_id,
    )
    if corrected.fee and not corrected.quantity:
        raise InvalidError(FieldError("fee", FEE_OF_NOTHING))
    return corrected


def _write(trade_id: int, wanted: NewTrade, reason: str, changed_by: str) -> Written[Correction] | None:
    """Write a correction; None if the trade was already changed or the `client_trade_id` is in use."""
    parameters = {**wanted.model_dump(), "trade_id": trade_id, "reason": reason, "changed_by": changed_by}
    try:
        rows = database.query(_CORRECT, parameters, repeatable=True)
    except psycopg2.errors.UniqueViolation:
        return None
    if not rows:
        return None
    notification_id, *columns = rows[0]
    voided, recorded = columns[: -len(TRADE_COLUMNS)], columns[-len(TRADE_COLUMNS) :]
    return Written(Correction(_voided(*voided), Trade(*recorded)), notification_id)


def _voided(voided_at: datetime, voided_by: str, reason: str, *trade: Any) -> VoidedTrade:
    return VoidedTrade(*trade, voided_at=voided_at, voided_by=voided_by, void_reason=reason)
