"""Simulations: run on the price history of a ticker and stored; the same request returns the same result."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from time import monotonic
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, TypeAdapter, WithJsonSchema

from trading.core import database, pagination
from trading.core.errors import FieldError, InvalidError, NotFoundError
from trading.core.values import BasisPoints, PositivePrice, Price, Ticker
from trading.prices import records
from trading.prices.records import BUCKET, PriceFilter
from trading.simulation import engine, histories, results
from trading.simulation.bars import Bar, History
from trading.simulation.engine import Fill, MissingOpensError, Strategy, UnusableHistoryError
from trading.simulation.histories import BARS_LIMIT
from trading.simulation.history_files import HistoryError
from trading.simulation.metrics import Metrics
from trading.simulation.results import RESULT, SimulationResult
from trading.simulation.sweep import (
    WINDOW_LIMIT,
    WINDOWS_PATTERN,
    Metric,
    Sweep,
    parse_windows,
    try_pairs,
    window_pairs,
)

# The limit of a response body in bytes: Lambda's 6,291,556 less the headers and the columns of a row.
ANSWER_LIMIT = 6_290_000
PAIRS_LIMIT = 1_000
# The time of a pair depends on how often its averages cross. A function has 29 seconds; the rest is for the response.
SWEEP_SECONDS = 20
# Part of the hash: a new version of the rule gives new results for the same request.
RULE = "moving-average-crossover.v2"

Source = Literal["history", "averages"]
Window = Annotated[int, Field(strict=True, ge=1, le=WINDOW_LIMIT)]
Windows = Annotated[
    range,
    PlainValidator(parse_windows),
    WithJsonSchema(
        {"type": "string", "pattern": f"^{WINDOWS_PATTERN}$", "examples": ["5:100:5"]},
    ),
]


class NewSweep(BaseModel):
    """Windows to try in pairs, as first:last:step, and the metric that chooses the best pair."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fast: Windows
    slow: Windows
    metric: Metric = "sharpe"


def _types(**types: str) -> dict[str, Any]:
    return {name: {"type": kind} for name, kind in types.items()}


class NewSimulation(BaseModel):
    """A simulation request: two windows, or a sweep, whose best pair is simulated."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            # Not oneOf: client generators would create a model for each case, but none for the request.
            "if": {"required": ["sweep"], "properties": _types(sweep="object")},
            "then": {"properties": _types(fast="null", slow="null")},
            "else": {"required": ["fast", "slow"], "properties": _types(fast="integer", slow="integer")},
        },
    )

    ticker: Ticker = Field(examples=["MSFT"])
    source: Source = Field(
        default="history",
        description="The stored history, or the latest five-minute averages of published prices.",
    )
    fast: Window | None = Field(default=None, examples=[50])
    slow: Window | None = Field(default=None, examples=[200])
    sweep: NewSweep | None = None
    cash: PositivePrice = Decimal(10_000)
    fill: Fill = Field(default="open", description="At the next bar's open, or at the close of the signal's own bar.")
    fractional: Annotated[bool, Field(strict=True)] = False
    commission_per_trade: Price = Decimal(0)
    commission_per_share: Price = Decimal(0)
    commission_basis_points: BasisPoints = Decimal(0)
    slippage_basis_points: BasisPoints = Decimal(0)


@dataclass(frozen=True, slots=True)
class RecordedSimulation:
    """A stored simulation."""

    id: int
    inputs_hash: str
    recorded_at: datetime
    result: SimulationResult


@dataclass(frozen=True, slots=True)
class ListedSimulation:
    """A stored simulation in a list: its strategy and figures, without bars and trades."""

    id: int
    inputs_hash: str
    recorded_at: datetime
    ticker: str
    strategy: Strategy
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class _Row:
    """A recorded simulation whose result is not parsed."""

    id: int
    inputs_hash: str
    recorded_at: datetime
    result: str

    def to_json(self) -> bytes:
        head = _HEAD.dump_json({"id": self.id, "inputs_hash": self.inputs_hash, "recorded_at": self.recorded_at})
        return head[:-1] + b',"result":' + self.result.encode() + b"}"


_COLUMNS = "id, inputs_hash, recorded_at, result::text"
_LISTED = TypeAdapter(list[ListedSimulation])
_LISTED_COLUMNS = tuple(field.name for field in fields(ListedSimulation))
_HEAD = TypeAdapter(dict[str, int | str | datetime])
_STRATEGY = TypeAdapter(Strategy)


@dataclass(frozen=True, slots=True)
class Answer:
    """A recorded simulation as JSON, and whether this request created it."""

    id: int
    json: bytes
    is_new: bool


def record(new: NewSimulation, bucket: str) -> Answer:
    """Run a simulation and store it, or return the stored one of the same inputs and history.

    Raises:
        InvalidError: the windows are inconsistent, the ticker's history is missing or unusable, a sweep takes too
            long, or the result is too large.
        database.DatabaseUnavailableError: the result may not be stored; safe to repeat.
    """
    deadline = monotonic() + SWEEP_SECONDS
    strategies = _strategies(new)
    history = _averages(new.ticker) if new.source == "averages" else _history(bucket, new.ticker)
    inputs_hash = _hash(new, strategies, history)
    rows = _find("inputs_hash", inputs_hash)
    if rows:
        return Answer(rows[0].id, rows[0].to_json(), is_new=False)
    try:
        result = RESULT.dump_json(_simulate(new, strategies, history, deadline)).decode()
    except UnusableHistoryError as error:
        field = "fill" if isinstance(error, MissingOpensError) else "ticker"
        raise InvalidError(FieldError(field, f"the history of {new.ticker} {error}")) from None
    if len(json.dumps(result)) > ANSWER_LIMIT:  # checked before storing, because it could not be read
        reason = f"the {len(history.bars):,} bars and their trades do not fit into an answer of 6 MB"
        raise InvalidError(FieldError("ticker", f"{reason}: use longer windows, which cross less often, or fewer bars"))
    written = database.query(
        "insert into simulations (inputs_hash, ticker, result) values (%(inputs_hash)s, %(ticker)s, %(result)s)"
        " on conflict (inputs_hash) do nothing returning id",
        {"inputs_hash": inputs_hash, "ticker": new.ticker, "result": result},
        repeatable=True,
    )
    [row] = _find("inputs_hash", inputs_hash)
    return Answer(row.id, row.to_json(), is_new=bool(written))


def get(simulation_id: int) -> bytes:
    """Return a recorded simulation as JSON.

    Raises:
        NotFoundError: there is no such simulation.
        database.DatabaseUnavailableError: the database does not answer.
    """
    return _get(simulation_id).to_json()


def find(limit: int, cursor: str | None) -> tuple[list[ListedSimulation], str | None]:
    """Return a page of the recorded simulations, newest first, and the cursor of the next page if there is one.

    Raises:
        InvalidError: the cursor is not valid.
        database.DatabaseUnavailableError: the database does not answer.
    """
    [before] = [None] if cursor is None else pagination.decode_key(cursor, int)
    rows = database.query(
        f"select {', '.join(_LISTED_COLUMNS)} from simulations"  # noqa: S608 - constants
        " where %(before)s is null or id < %(before)s order by id desc limit %(limit)s + 1",
        {"before": before, "limit": limit},
        repeatable=True,
    )
    page = _LISTED.validate_python([dict(zip(_LISTED_COLUMNS, row, strict=True)) for row in rows[:limit]])
    return page, pagination.encode_key(page[-1].id) if len(rows) > limit else None


def get_result(simulation_id: int) -> SimulationResult:
    """Return the result of a recorded simulation. Raises the same errors as `get`."""
    return RESULT.validate_json(_get(simulation_id).result)


def _get(simulation_id: int) -> _Row:
    rows = _find("id", simulation_id)
    if not rows:
        raise NotFoundError(f"There is no simulation {simulation_id}.")
    return rows[0]


def _find(column: str, value: int | str) -> list[_Row]:
    statement = f"select {_COLUMNS} from simulations where {column} = %(value)s"  # noqa: S608 - a constant
    return [_Row(*row) for row in database.query(statement, {"value": value}, repeatable=True)]


def _strategies(new: NewSimulation) -> list[Strategy]:
    """Return the strategies to try: one, or one for each pair of the sweep."""
    if new.sweep:
        if new.fast is not None or new.slow is not None:
            raise InvalidError(FieldError("sweep", "replaces fast and slow: omit them"))
        pairs = list(islice(window_pairs(new.sweep.fast, new.sweep.slow), PAIRS_LIMIT + 1))
        if not 1 <= len(pairs) <= PAIRS_LIMIT:
            counted = f"more than {PAIRS_LIMIT:,} pairs" if pairs else "no pair"
            raise InvalidError(
                FieldError("sweep", f"has {counted} with fast < slow: from 1 to {PAIRS_LIMIT:,} are allowed")
            )
    elif new.fast is None or new.slow is None:
        missing = [FieldError(name, "is required") for name in ("fast", "slow") if getattr(new, name) is None]
        raise InvalidError(*missing)
    elif new.fast >= new.slow:
        raise InvalidError(FieldError("fast", "must be less than slow"))
    else:
        pairs = [(new.fast, new.slow)]
    return [
        Strategy(
            fast,
            slow,
            new.cash,
            new.fill,
            new.fractional,
            new.commission_per_trade,
            new.commission_per_share,
            new.commission_basis_points,
            new.slippage_basis_points,
        )
        for fast, slow in pairs
    ]


def _history(bucket: str, ticker: str) -> History:
    try:
        history = histories.load(bucket, ticker)
    except HistoryError as error:
        raise InvalidError(FieldError("ticker", f"its stored history cannot be read: {error}")) from None
    if history is None:
        raise InvalidError(FieldError("ticker", f"has no history: PUT one to /api/histories/{ticker} first"))
    return history


def _averages(ticker: str) -> History:
    """Return the latest `BARS_LIMIT` completed five-minute bars of a ticker."""
    over = datetime.now(UTC) - BUCKET
    averages, _ = records.find_averages(PriceFilter(ticker, end_date=over, limit=BARS_LIMIT))
    if not averages:
        raise InvalidError(
            FieldError("ticker", "has no five-minute average yet: publish its prices to /api/prices/ first")
        )
    return History([Bar(each.bucket_start, each.open, each.high, each.low, each.close) for each in reversed(averages)])


def _hash(new: NewSimulation, strategies: list[Strategy], history: History) -> str:
    """Return a hash of the inputs in normalized form."""
    metric = new.sweep.metric if new.sweep else None
    parts = [RULE, new.ticker, str(metric), *(_STRATEGY.dump_json(each).decode() for each in strategies)]
    return hashlib.sha256("\n".join([*parts, history.digest()]).encode()).hexdigest()


def _simulate(new: NewSimulation, strategies: list[Strategy], history: History, deadline: float) -> SimulationResult:
    strategy, sweep = strategies[0], None
    if new.sweep:
        pairs = _in_time([(each.fast, each.slow) for each in strategies], deadline)
        sweep = Sweep(new.sweep.metric, try_pairs(history, strategy, new.sweep.metric, pairs))
        pair = sweep.simulated()
        strategy = replace(strategy, fast=pair.fast, slow=pair.slow)
    return results.result_of(engine.simulate(history, strategy), new.ticker, sweep)


def _in_time(pairs: Sequence[tuple[int, int]], deadline: float) -> Iterator[tuple[int, int]]:
    """Yield pairs until the deadline.

    Raises:
        InvalidError: the deadline has passed.
    """
    for tried, pair in enumerate(pairs):
        if monotonic() > deadline:
            reason = f"had time for {tried:,} of its {len(pairs):,} pairs in {SWEEP_SECONDS} seconds"
            raise InvalidError(
                FieldError("sweep", f"{reason}: use fewer or longer windows, which cross less often, or fewer bars")
            )
        yield pair
