"""Stock splits. The ledger keeps trades as they were sent; positions apply the splits."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from trading.core import database, pagination
from trading.core.errors import ConflictError, FieldError, NotFoundError
from trading.core.values import PAGE_DEFAULT, RATIO_PATTERN, Ticker, TradeInstant
from trading.trades.ledger import Status


def _parts(ratio: str) -> tuple[int, int]:
    new, _, old = ratio.partition(":")
    return int(new), int(old)


_RATIO_SCHEMA = WithJsonSchema({"type": "string", "pattern": r"^(?!([0-9]+):\1$)" + RATIO_PATTERN.removeprefix("^")})


def _changes_something(ratio: str) -> str:
    new, old = _parts(ratio)
    if new == old:
        raise ValueError("must have two different numbers")
    return ratio


class NewSplit(BaseModel):
    """A split as sent by a client: `10:1` turns one share into ten."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ticker: Ticker = Field(examples=["NVDA"])
    effective_at: TradeInstant = Field(
        examples=["2024-06-10T13:30:00Z"],
        description="Trades before this instant count in shares from before the split.",
    )
    ratio: Annotated[
        str, StringConstraints(pattern=RATIO_PATTERN), AfterValidator(_changes_something), _RATIO_SCHEMA
    ] = Field(examples=["10:1"])


@dataclass(frozen=True, slots=True)
class Split:
    """A recorded split and its status."""

    id: int
    ticker: str
    effective_at: datetime
    ratio: str
    recorded_by: str
    recorded_at: datetime
    status: Status
    voided_at: datetime | None
    voided_by: str | None
    void_reason: str | None


@dataclass(frozen=True, slots=True)
class SplitFilter:
    """The parameters of a search for splits; both dates are inclusive."""

    ticker: str | None = None
    status: Status | Literal["all"] = "active"
    start_date: datetime | None = None
    end_date: datetime | None = None
    limit: int = PAGE_DEFAULT
    cursor: str | None = None


_COLUMNS = (
    "id",
    "ticker",
    "effective_at",
    "numerator || ':' || denominator as ratio",
    "recorded_by",
    "recorded_at",
    "case when voided_at is null then 'active' else 'voided' end as status",
    "voided_at",
    "voided_by",
    "void_reason",
)
_SELECTED = ", ".join(_COLUMNS)
_STATUSES = {"active": "voided_at is null", "voided": "voided_at is not null", "all": "true"}


def record(new: NewSplit, recorded_by: str) -> tuple[Split, bool]:
    """Record a split; return it and whether it is new, because a ticker has at most one at an instant.

    Raises:
        ConflictError: the ticker has a split of another ratio at that instant.
        database.DatabaseUnavailableError: the database does not answer; safe to repeat.
    """
    numerator, denominator = _parts(new.ratio)
    rows = database.query(
        "insert into splits (ticker, effective_at, numerator, denominator, recorded_by)"  # noqa: S608 - constants
        " values (%(ticker)s, %(effective_at)s, %(numerator)s, %(denominator)s, %(recorded_by)s)"
        f" on conflict (ticker, effective_at) where voided_at is null do nothing returning {_SELECTED}",
        {**new.model_dump(), "numerator": numerator, "denominator": denominator, "recorded_by": recorded_by},
        repeatable=True,
    )
    if rows:
        return Split(*rows[0]), True
    known = _select("ticker = %(ticker)s and effective_at = %(effective_at)s and voided_at is null", new.model_dump())
    if not known:  # voided between the two statements
        return record(new, recorded_by)
    if _parts(known[0].ratio) != (numerator, denominator):
        raise ConflictError(
            f"{new.ticker} has a split with another ratio at that instant: split {known[0].id}.",
            [FieldError("ratio", f"is recorded as {known[0].ratio}")],
        )
    return known[0], False


def find(wanted: SplitFilter) -> tuple[list[Split], str | None]:
    """Return a page of splits, latest effective date first, and the cursor of the next page if there is one.

    Raises:
        InvalidError: start_date is after end_date, or the cursor is not valid.
        database.DatabaseUnavailableError: the database does not answer.
    """
    rows, next_cursor = pagination.find(
        "splits",
        _COLUMNS,
        asdict(wanted),
        key=("effective_at", "id"),
        equal=("ticker",),
        further={"status": _STATUSES[wanted.status]},
    )
    return [Split(*row) for row in rows], next_cursor


def void(split_id: int, reason: str, voided_by: str) -> Split:
    """Void a split unless it is already voided, and return it.

    Raises:
        NotFoundError: there is no such split.
        database.DatabaseUnavailableError: the database does not answer; safe to repeat.
    """
    parameters = {"id": split_id, "reason": reason, "voided_by": voided_by}
    database.query(
        "update splits set voided_at = now(), voided_by = %(voided_by)s, void_reason = %(reason)s"
        " where id = %(id)s and voided_at is null returning id",
        parameters,
        repeatable=True,
    )
    known = _select("id = %(id)s", parameters)
    if not known:
        raise NotFoundError(f"There is no split {split_id}.")
    return known[0]


def _select(condition: str, parameters: dict[str, Any]) -> list[Split]:
    rows = database.query(f"select {_SELECTED} from splits where {condition}", parameters, repeatable=True)  # noqa: S608 - constants
    return [Split(*row) for row in rows]
