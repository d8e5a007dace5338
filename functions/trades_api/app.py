"""Trades over HTTP: record one or a batch, find them, look at one."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Literal

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from trading.core import database
from trading.core.errors import ConflictError, FieldError
from trading.core.values import PAGE_DEFAULT, AnyCaseTicker, Side, WholeNumber
from trading.http.api import (
    Cursor,
    From,
    HttpApi,
    Limit,
    Until,
    described_json,
    described_problem,
    json_response,
    next_page,
)
from trading.http.authorization import PUBLIC
from trading.notifications import outbox
from trading.notifications.events import TradeRecorded
from trading.trades import ledger
from trading.trades.ledger import (
    BATCH_LIMIT,
    DuplicateIdError,
    NewTrade,
    RecordedTrade,
    TrackedTrade,
    Trade,
    TradeFilter,
)

PATH = "/api/trades"

RETRY_HINT = "A trade with a client_trade_id is safe to send again."

logger = Logger()
metrics = Metrics()
app = HttpApi()


class TradeBatch(BaseModel):
    """Trades to record together, all or none."""

    model_config = ConfigDict(extra="forbid")

    # Powertools formats a route's arguments for a debug line at every level: a thousand trades need not be in it.
    trades: list[NewTrade] = Field(min_length=1, max_length=BATCH_LIMIT, repr=False)


@dataclass
class Health:
    """Whether this API can do its work."""

    status: Literal["ok"]


TRADE = TypeAdapter(Trade)
TRADES = TypeAdapter(list[Trade])
TRACKED_TRADE = TypeAdapter(TrackedTrade)


@app.post(
    PATH,
    scope="trades:write",
    retry_hint=RETRY_HINT,
    summary="Record a trade",
    responses={
        201: described_json(Trade, "The trade, recorded; its notification is on its way."),
        200: described_json(Trade, "The trade as it was recorded before under this client_trade_id."),
        409: described_problem("This client_trade_id is the id of another trade."),
    },
)
def record_trade(new: NewTrade) -> Response[str]:
    """Record a trade and announce it."""
    recorded = _recorded([new], "{field}")
    outbox.announce(TradeRecorded.of_new(recorded))
    trade, is_new = recorded[0].trade, recorded[0].notification_id is not None
    return json_response(
        HTTPStatus.CREATED if is_new else HTTPStatus.OK,
        TRADE.dump_json(trade),
        {"Location": f"{PATH}/{trade.id}"},
    )


@app.post(
    f"{PATH}/batch",
    scope="trades:write",
    retry_hint=RETRY_HINT,
    summary="Record up to 1,000 trades",
    responses={
        201: described_json(list[Trade], "The trades, recorded, in the order in which they were sent."),
        409: described_problem("A client_trade_id is the id of another trade; nothing was recorded."),
    },
)
def record_trades(batch: TradeBatch) -> Response[str]:
    """Record a batch of trades, all or none, and announce them."""
    recorded = _recorded(batch.trades, "trades[{position}].{field}")
    outbox.announce(TradeRecorded.of_new(recorded))
    return json_response(HTTPStatus.CREATED, TRADES.dump_json([entry.trade for entry in recorded]))


@app.get(
    PATH,
    scope="trades:read",
    summary="Find trades",
    responses={200: described_json(list[Trade], "The newest first; the Link header leads to the next page.")},
)
def find_trades(  # noqa: PLR0913, PLR0917 - a search has these parameters
    ticker: Annotated[AnyCaseTicker | None, Query()] = None,
    side: Annotated[Side | None, Query()] = None,
    start_date: From = None,
    end_date: Until = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response[str]:
    """Find trades, the newest first."""
    given = app.current_event.query_string_parameters
    found, next_cursor = ledger.find(TradeFilter(ticker, side, start_date, end_date, limit, cursor))
    return json_response(HTTPStatus.OK, TRADES.dump_json(found), next_page(PATH, given, next_cursor))


@app.get(
    f"{PATH}/<trade_id>",
    scope="trades:read",
    summary="Look at a trade",
    responses={200: described_json(TrackedTrade, "The trade."), 404: described_problem("There is no such trade.")},
)
def get_trade(trade_id: Annotated[WholeNumber, Path(ge=1, le=2**63 - 1)]) -> Response[str]:
    """Look at one trade, and at when its notification was delivered."""
    return json_response(HTTPStatus.OK, TRACKED_TRADE.dump_json(ledger.get(trade_id)))


@app.get(
    "/api/health",
    scope=PUBLIC,
    summary="Ask whether the database answers",
    responses={200: described_json(Health, "It does.")},
)
def check_health() -> Response[str]:
    """Ask whether the database answers."""
    database.query("select 1", {}, repeatable=True)
    return json_response(HTTPStatus.OK, b'{"status":"ok"}')


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer an API Gateway HTTP API event."""
    return app.resolve(event, context)


def _recorded(new: list[NewTrade], path: str) -> list[RecordedTrade]:
    """Record trades of the caller; a clash is answered with the path of each field that clashes."""
    try:
        recorded = ledger.record(new, app.subject)
    except DuplicateIdError as clash:
        raise ConflictError(
            "A client_trade_id names one trade only.",
            [
                FieldError(path.format(position=position, field="client_trade_id"), "is the id of another trade")
                for position in clash.positions
            ],
        ) from None
    metrics.add_metric("TradesRecorded", MetricUnit.Count, sum(entry.notification_id is not None for entry in recorded))
    metrics.flush_metrics()
    return recorded
