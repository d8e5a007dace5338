"""Alert rules in the database: managed over HTTP, and read when prices are processed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from trading.core import database
from trading.core.errors import ConflictError, FieldError, InvalidError, NotFoundError
from trading.core.values import Percent, PositivePrice, Price, TickerOrEvery
from trading.prices.alert_rules import DEFAULT_RULE, EVERY_TICKER, ActiveRule, AlertRule, Kind

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes small

LONGEST_WINDOW = 900  # seconds
TICKER_LIMIT = 50  # rules for one ticker, or for `*`
RULE_LIMIT = 200

WindowSeconds = Annotated[int, Field(strict=True, ge=1, le=LONGEST_WINDOW)]


# The settings of each kind, as the API's description has them.
_NONE: JsonDict = {"type": "null"}
_SOME: JsonDict = {"not": _NONE}
_MOVE: JsonDict = {"kind": {"enum": ["rise", "fall"]}, "percent": _SOME, "window_seconds": _SOME, "price": _NONE}
_LEVEL: JsonDict = {"kind": {"enum": ["above", "below"]}, "percent": _NONE, "window_seconds": _NONE, "price": _SOME}


class NewAlertRule(BaseModel):
    """A rule as sent by a client: a rise or fall by `percent` in `window_seconds`, or a price above or below."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "anyOf": [
                {"properties": _MOVE, "required": ["percent", "window_seconds"]},
                {"properties": _LEVEL, "required": ["price"]},
            ]
        },
    )

    ticker: TickerOrEvery = Field(examples=["AAPL"], description="`*` is every ticker; for rises and falls only.")
    kind: Kind
    percent: Percent | None = Field(default=None, examples=["3"])
    window_seconds: WindowSeconds | None = Field(default=None, examples=[300])
    price: PositivePrice | None = Field(default=None, examples=["180"])
    once: bool = Field(default=False, strict=True, description="The rule ends with its first alert.")
    paused: bool = Field(default=False, strict=True)


class AlertRuleChange(BaseModel):
    """The fields of a rule to change. A new kind removes the fields that only the old one has."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"minProperties": 1})

    ticker: TickerOrEvery = EVERY_TICKER
    kind: Kind = "rise"
    percent: Percent | None = None
    window_seconds: WindowSeconds | None = None
    price: PositivePrice | None = None
    once: bool = Field(default=False, strict=True)
    paused: bool = Field(default=False, strict=True, description="false resumes a paused rule, or one that has ended.")


@dataclass(frozen=True, slots=True)
class RecordedRule:
    """A recorded rule. It applies to ticks from `active_from`, until `ended_at` if it alerts once."""

    id: int
    ticker: str
    kind: Kind
    percent: Price | None
    window_seconds: int | None
    price: Price | None
    once: bool
    paused: bool
    active_from: datetime
    ended_at: datetime | None
    created_by: str
    created_at: datetime


_SETTINGS = ("ticker", "kind", "percent", "window_seconds", "price")
_COLUMNS = (
    "id, ticker, kind, percent, window_seconds, price, once, paused, active_from, ended_at, created_by, created_at"
)


def active(cursor: "Cursor", tickers: Sequence[str]) -> list[ActiveRule]:
    """Return the active rules for these tickers or for all tickers, by id."""
    cursor.execute(
        "select id, ticker, kind, percent, window_seconds, price, once, active_from from alert_rules"
        " where deleted_at is null and not paused and ended_at is null and ticker = any(%s) order by id",
        ([*tickers, EVERY_TICKER],),
    )
    return [ActiveRule(AlertRule(*settings), active_from) for *settings, active_from in cursor.fetchall()]


def of_ticker(rules: Sequence[ActiveRule], ticker: str) -> list[ActiveRule]:
    """Return the rules that apply to a ticker."""
    return [active for active in rules if active.rule.ticker in {ticker, EVERY_TICKER}]


def rule_of(new: NewAlertRule) -> AlertRule:
    """Return a rule without recording it.

    Raises:
        InvalidError: its fields are inconsistent.
    """
    _check(new.model_dump())
    return AlertRule(None, new.ticker, new.kind, new.percent, new.window_seconds, new.price, new.once)


def create(new: NewAlertRule, created_by: str) -> RecordedRule:
    """Record a rule, which applies to prices that are processed from now on.

    Raises:
        InvalidError: its fields are inconsistent.
        ConflictError: the limit of rules is reached.
        database.DatabaseUnavailableError: the database does not answer; the rule may have been recorded.
    """
    settings = new.model_dump()
    _check(settings)

    def work(cursor: "Cursor") -> RecordedRule:
        _lock(cursor)
        _check_limits(cursor, new.ticker)
        cursor.execute(
            "insert into alert_rules (ticker, kind, percent, window_seconds, price, once, paused, created_by)"  # noqa: S608 - constants
            " values (%(ticker)s, %(kind)s, %(percent)s, %(window_seconds)s, %(price)s, %(once)s, %(paused)s,"
            f" %(created_by)s) returning {_COLUMNS}",
            {**settings, "created_by": created_by},
        )
        return RecordedRule(*cursor.fetchall()[0])

    return database.run(work, repeatable=False, atomic=True)


def find() -> list[RecordedRule]:
    """Return all rules that are not deleted, by id.

    Raises:
        database.DatabaseUnavailableError: the database does not answer.
    """
    statement = f"select {_COLUMNS} from alert_rules where deleted_at is null order by id"  # noqa: S608 - constants
    return [RecordedRule(*row) for row in database.query(statement, {}, repeatable=True)]


def get(rule_id: int) -> RecordedRule:
    """Return a rule.

    Raises:
        NotFoundError: there is no such rule, or it was deleted.
        database.DatabaseUnavailableError: the database does not answer.
    """
    return database.run(lambda cursor: _get(cursor, rule_id), repeatable=True)


def change(rule_id: int, wanted: AlertRuleChange) -> RecordedRule:
    """Change the given fields of a rule. If what it watches changes, its earlier alerts are disregarded.

    Raises:
        InvalidError: there is nothing to change, or the resulting fields are inconsistent.
        NotFoundError: there is no such rule.
        ConflictError: the limit of rules for the ticker is reached.
        database.DatabaseUnavailableError: the database does not answer; safe to repeat.
    """
    named = wanted.model_dump(include=wanted.model_fields_set)
    if not named:
        raise InvalidError(FieldError("body", "must contain at least one field to change"))

    def work(cursor: "Cursor") -> RecordedRule:
        _lock(cursor)
        old = _get(cursor, rule_id)
        kept = {name: getattr(old, name) for name in (*_SETTINGS, "once", "paused")}
        if named.get("kind", old.kind) != old.kind:
            dropped = ("price",) if old.price is not None else ("percent", "window_seconds")
            if named["kind"] not in _siblings(old.kind):
                kept |= dict.fromkeys(dropped)
        new = kept | named
        _check(new)
        if new["ticker"] != old.ticker:
            _check_limits(cursor, new["ticker"], moved=1)
        is_other = any(new[name] != getattr(old, name) for name in _SETTINGS)
        is_resumed = named.get("paused") is False and (old.paused or old.ended_at is not None)
        begins = ", active_from = now(), ended_at = null" if is_other or is_resumed else ""
        cursor.execute(
            "update alert_rules set ticker = %(ticker)s, kind = %(kind)s, percent = %(percent)s,"  # noqa: S608 - constants
            " window_seconds = %(window_seconds)s, price = %(price)s, once = %(once)s, paused = %(paused)s"
            f"{begins} where id = %(id)s returning {_COLUMNS}",
            {**new, "id": rule_id},
        )
        return RecordedRule(*cursor.fetchall()[0])

    return database.run(work, repeatable=True, atomic=True)


def delete(rule_id: int) -> RecordedRule:
    """Mark a rule as deleted, and return it; its alerts are kept.

    Raises:
        NotFoundError: there is no such rule, or it was deleted before.
        database.DatabaseUnavailableError: the database does not answer; the rule may be deleted.
    """
    rows = database.query(
        "update alert_rules set deleted_at = now()"  # noqa: S608 - constants
        f" where id = %(id)s and deleted_at is null returning {_COLUMNS}",
        {"id": rule_id},
        repeatable=False,
    )
    if not rows:
        raise _not_found(rule_id)
    return RecordedRule(*rows[0])


def _siblings(kind: Kind) -> tuple[Kind, Kind]:
    return ("rise", "fall") if kind in {"rise", "fall"} else ("above", "below")


def _get(cursor: "Cursor", rule_id: int) -> RecordedRule:
    cursor.execute(
        f"select {_COLUMNS} from alert_rules where id = %(id)s and deleted_at is null",  # noqa: S608 - constants
        {"id": rule_id},
    )
    rows = cursor.fetchall()
    if not rows:
        raise _not_found(rule_id)
    return RecordedRule(*rows[0])


def _lock(cursor: "Cursor") -> None:
    """Serialize changes of rules, so that the limits hold. The default rule's row always exists."""
    cursor.execute("select from alert_rules where id = %s for update", (DEFAULT_RULE.id,))


def _check_limits(cursor: "Cursor", ticker: str, moved: int = 0) -> None:
    cursor.execute(
        "select count(*), count(*) filter (where ticker = %s) from alert_rules where deleted_at is null", (ticker,)
    )
    [(rules, of_the_ticker)] = cursor.fetchall()
    if of_the_ticker >= TICKER_LIMIT:
        raise ConflictError(
            f"{ticker} has {TICKER_LIMIT} rules already. Delete one first.",
            [FieldError("ticker", f"must have at most {TICKER_LIMIT} rules")],
        )
    if rules - moved >= RULE_LIMIT:
        raise ConflictError(f"There are {RULE_LIMIT} rules already. Delete one first.")


def _check(settings: Mapping[str, Any]) -> None:
    """Refuse inconsistent settings, naming each."""
    kind = settings["kind"]
    is_move = kind in {"rise", "fall"}
    errors = [
        FieldError(name, f"is required for {kind}" if is_wanted else f"is not a setting of {kind}")
        for name, is_wanted in (("percent", is_move), ("window_seconds", is_move), ("price", not is_move))
        if (settings[name] is not None) != is_wanted
    ]
    if kind == "fall" and settings["percent"] is not None and settings["percent"] >= Decimal(100):
        errors.append(FieldError("percent", "must be below 100 for fall"))
    if settings["ticker"] == EVERY_TICKER and (settings["once"] or not is_move):
        what = "once" if is_move else kind
        errors.append(FieldError("ticker", f"must name a ticker for {what}"))
    if errors:
        raise InvalidError(*errors)


def _not_found(rule_id: int) -> NotFoundError:
    return NotFoundError(f"There is no alert rule {rule_id}.")
