"""Trades over HTTP: record, find, annotate, void and correct them, and record splits."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Literal

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field

from trading.core import database
from trading.core.errors import ConflictError, FieldError
from trading.core.values import (
    PAGE_DEFAULT,
    Account,
    AnyCaseTicker,
    AnyCaseTickerPrefix,
    PastInstant,
    Side,
    Tag,
    adapter,
)
from trading.http.api import (
    Cursor,
    From,
    HttpApi,
    Id,
    Limit,
    Until,
    described_json,
    described_problem,
    json_response,
    next_page,
)
from trading.http.authorization import PUBLIC
from trading.notifications import outbox
from trading.notifications.events import TradeCorrected, TradeRecorded, TradeVoided
from trading.trades import changes, ledger, splits
from trading.trades.changes import NewCorrection, NewVoid
from trading.trades.ledger import (
    BATCH_LIMIT,
    Annotation,
    DuplicateIdError,
    ListedTrade,
    NewTrade,
    RecordedTrade,
    TrackedTrade,
    Trade,
    TradeFilter,
)
from trading.trades.splits import NewSplit, Split, SplitFilter

PATH = "/api/trades"
SPLITS_PATH = "/api/splits"

RETRY_HINT = "A trade with a client_trade_id is safe to send again."

logger = Logger()
metrics = Metrics()
app = HttpApi()


class TradeBatch(BaseModel):
    """Trades to record together: all or none."""

    model_config = ConfigDict(extra="forbid")

    # Without repr, because Powertools formats all arguments of a route for a debug log line, even if it is disabled.
    trades: list[NewTrade] = Field(min_length=1, max_length=BATCH_LIMIT, repr=False)


@dataclass
class Health:
    """The health of this API."""

    status: Literal["ok"]


NO_TRADE = described_problem("There is no such trade.")


StatusFilter = Annotated[Literal["active", "voided", "all"], Query()]


@app.post(
    PATH,
    scope="trades:write",
    retry_hint=RETRY_HINT,
    summary="Record a trade",
    responses={
        201: described_json(Trade, "The recorded trade; its notification is being delivered."),
        200: described_json(Trade, "The trade that was already recorded with this client_trade_id."),
        409: described_problem("The client_trade_id belongs to another trade."),
    },
)
def record_trade(new: NewTrade) -> Response[str]:
    """Record a trade and announce it."""
    recorded = _recorded([new], "{field}")
    outbox.announce(TradeRecorded.of_new(recorded))
    trade, is_new = recorded[0].trade, recorded[0].notification_id is not None
    return json_response(
        HTTPStatus.CREATED if is_new else HTTPStatus.OK,
        adapter(Trade).dump_json(trade),
        {"Location": f"{PATH}/{trade.id}"},
    )


@app.post(
    f"{PATH}/batch",
    scope="trades:write",
    retry_hint=RETRY_HINT,
    summary="Record up to 1,000 trades",
    responses={
        201: described_json(list[Trade], "The recorded trades, in the order in which they were sent."),
        409: described_problem("A client_trade_id belongs to another trade; nothing was recorded."),
    },
)
def record_trades(batch: TradeBatch) -> Response[str]:
    """Record a batch of trades, all or none, and announce them."""
    recorded = _recorded(batch.trades, "trades[{position}].{field}")
    outbox.announce(TradeRecorded.of_new(recorded))
    return json_response(HTTPStatus.CREATED, adapter(list[Trade]).dump_json([entry.trade for entry in recorded]))


@app.get(
    PATH,
    scope="trades:read",
    summary="List trades",
    responses={
        200: described_json(
            list[Trade | ListedTrade],
            "Newest first; the Link header has the next page. If voided trades may be included, each has its status.",
        )
    },
)
def find_trades(  # noqa: PLR0913, PLR0917 - the parameters of a search
    ticker: Annotated[AnyCaseTicker | None, Query()] = None,
    ticker_prefix: Annotated[AnyCaseTickerPrefix | None, Query(description="The beginning of tickers.")] = None,
    side: Annotated[Side | None, Query()] = None,
    account: Annotated[Account | None, Query()] = None,
    tag: Annotated[Tag | None, Query()] = None,
    status: StatusFilter = "active",
    start_date: From = None,
    end_date: Until = None,
    as_of: Annotated[
        PastInstant | None, Query(description="The ledger as it stood at this instant, at least a minute ago.")
    ] = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response[str]:
    """Find trades, newest first."""
    given = app.current_event.query_string_parameters
    wanted = TradeFilter(ticker, ticker_prefix, side, account, tag, status, start_date, end_date, as_of, limit, cursor)
    found, next_cursor = ledger.find(wanted)
    rows: Any = list[Trade] if status == "active" else list[ListedTrade]
    body = adapter(rows).dump_json(found)
    return json_response(HTTPStatus.OK, body, next_page(PATH, given, next_cursor))


@app.get(
    f"{PATH}/<trade_id>",
    scope="trades:read",
    summary="Get a trade",
    responses={200: described_json(TrackedTrade, "The trade."), 404: NO_TRADE},
)
def get_trade(trade_id: Id) -> Response[str]:
    """Get one trade, its status, and when its notification was delivered."""
    return _tracked(trade_id)


@app.patch(
    f"{PATH}/<trade_id>",
    scope="trades:write",
    summary="Annotate a trade",
    responses={200: described_json(TrackedTrade, "The trade."), 404: NO_TRADE},
)
def annotate_trade(trade_id: Id, annotation: Annotation) -> Response[str]:
    """Change a trade's note or tags, the only fields that can be changed in place."""
    ledger.annotate(trade_id, annotation)
    return _tracked(trade_id)


@app.post(
    f"{PATH}/<trade_id>/void",
    scope="trades:write",
    summary="Void a trade",
    responses={200: described_json(TrackedTrade, "The voided trade; it may have been voided before."), 404: NO_TRADE},
)
def void_trade(trade_id: Id, new: NewVoid) -> Response[str]:
    """Void a trade and announce the change."""
    voided = changes.void(trade_id, new.reason, app.subject)
    if voided:
        outbox.announce([TradeVoided.of(voided.change, voided.notification_id)])
    return _tracked(trade_id)


@app.post(
    f"{PATH}/<trade_id>/correct",
    scope="trades:write",
    summary="Correct a trade",
    responses={
        201: described_json(TrackedTrade, "The trade that replaces the corrected one, which is voided."),
        200: described_json(TrackedTrade, "The trade that replaced it when the same correction was sent before."),
        404: NO_TRADE,
        409: described_problem(
            "The trade was voided or corrected differently, or the client_trade_id belongs to another trade."
        ),
    },
)
def correct_trade(trade_id: Id, correction: NewCorrection) -> Response[str]:
    """Void a trade, record its replacement, and announce the change."""
    trade, written = changes.correct(trade_id, correction, app.subject)
    if written:
        outbox.announce([TradeCorrected.of(written.change, written.notification_id)])
    status = HTTPStatus.CREATED if written else HTTPStatus.OK
    return json_response(status, adapter(TrackedTrade).dump_json(trade), {"Location": f"{PATH}/{trade.id}"})


@app.post(
    SPLITS_PATH,
    scope="trades:write",
    summary="Record a split",
    responses={
        201: described_json(Split, "The recorded split."),
        200: described_json(Split, "The split that was already recorded."),
        409: described_problem("The ticker has a split with another ratio at that instant."),
    },
)
def record_split(new: NewSplit) -> Response[str]:
    """Record a split of a ticker."""
    split, is_new = splits.record(new, app.subject)
    return json_response(HTTPStatus.CREATED if is_new else HTTPStatus.OK, adapter(Split).dump_json(split))


@app.get(
    SPLITS_PATH,
    scope="trades:read",
    summary="List splits",
    responses={200: described_json(list[Split], "Latest first; the Link header has the next page.")},
)
def find_splits(  # noqa: PLR0913, PLR0917 - the parameters of a search
    ticker: Annotated[AnyCaseTicker | None, Query()] = None,
    status: StatusFilter = "active",
    start_date: From = None,
    end_date: Until = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response[str]:
    """Find splits, latest first."""
    given = app.current_event.query_string_parameters
    found, next_cursor = splits.find(SplitFilter(ticker, status, start_date, end_date, limit, cursor))
    return json_response(
        HTTPStatus.OK, adapter(list[Split]).dump_json(found), next_page(SPLITS_PATH, given, next_cursor)
    )


@app.post(
    f"{SPLITS_PATH}/<split_id>/void",
    scope="trades:write",
    summary="Void a split",
    responses={
        200: described_json(Split, "The voided split; it may have been voided before."),
        404: described_problem("There is no such split."),
    },
)
def void_split(split_id: Id, new: NewVoid) -> Response[str]:
    """Void a split."""
    return json_response(HTTPStatus.OK, adapter(Split).dump_json(splits.void(split_id, new.reason, app.subject)))


@app.get(
    "/api/health",
    scope=PUBLIC,
    summary="Check the health of the API",
    responses={200: described_json(Health, "The database is reachable.")},
)
def check_health() -> Response[str]:
    """Check that the database is reachable."""
    database.query("select 1", {}, repeatable=True)
    return json_response(HTTPStatus.OK, b'{"status":"ok"}')


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle an API Gateway HTTP API event."""
    return app.resolve(event, context)


def _tracked(trade_id: int) -> Response[str]:
    return json_response(HTTPStatus.OK, adapter(TrackedTrade).dump_json(ledger.get(trade_id)))


def _recorded(new: list[NewTrade], path: str) -> list[RecordedTrade]:
    """Record the caller's trades; a conflict names the path of each conflicting field."""
    try:
        recorded = ledger.record(new, app.subject)
    except DuplicateIdError as clash:
        raise ConflictError(
            "A client_trade_id identifies one trade only.",
            [
                FieldError(path.format(position=position, field="client_trade_id"), "belongs to another trade")
                for position in clash.positions
            ],
        ) from None
    metrics.add_metric("TradesRecorded", MetricUnit.Count, sum(entry.notification_id is not None for entry in recorded))
    metrics.flush_metrics()
    return recorded
