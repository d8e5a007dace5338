"""Trades over HTTP: record one or a batch, find them, look at one."""

from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from trading import database, notifications, trades
from trading.http_api import HttpApi, refuse_unknown_parameters
from trading.trades import BATCH_LIMIT, NewTrade, TrackedTrade, Trade, TradeFilter

PATH = "/api/trades/"

logger = Logger()
app = HttpApi()


class TradeBatch(BaseModel):
    """Trades to record together, all or none."""

    model_config = ConfigDict(extra="forbid")

    trades: list[NewTrade] = Field(min_length=1, max_length=BATCH_LIMIT)


class Health(BaseModel):
    """Whether this API can do its work."""

    status: str = Field(examples=["ok"])


TRADE = TypeAdapter(Trade)
TRADES = TypeAdapter(list[Trade])
TRACKED_TRADE = TypeAdapter(TrackedTrade)


@app.post(PATH, summary="Record a trade")
def record_trade(new: NewTrade) -> Response[str]:
    """Record a trade and announce it."""
    recorded = trades.record([new], _subject())
    notifications.announce(recorded)
    trade = recorded[0].trade
    is_new = recorded[0].notification_id is not None
    return _json(
        HTTPStatus.CREATED if is_new else HTTPStatus.OK,
        TRADE.dump_json(trade),
        {"Location": f"{PATH}{trade.id}/"},
    )


@app.post(f"{PATH}batch/", summary="Record up to 1,000 trades")
def record_trades(batch: TradeBatch) -> Response[str]:
    """Record a batch of trades, all or none, and announce them."""
    recorded = trades.record(batch.trades, _subject())
    notifications.announce(recorded)
    return _json(HTTPStatus.CREATED, TRADES.dump_json([entry.trade for entry in recorded]))


@app.get(PATH, summary="Find trades")
def find_trades(wanted: Annotated[TradeFilter, Query()]) -> Response[str]:
    """Find trades, the newest first; the Link header leads to the next page."""
    given = app.current_event.query_string_parameters
    refuse_unknown_parameters(given, TradeFilter.model_fields)
    found, cursor = trades.find(wanted)
    headers = {"Link": f'<{PATH}?{urlencode({**given, "cursor": cursor})}>; rel="next"'} if cursor else {}
    return _json(HTTPStatus.OK, TRADES.dump_json(found), headers)


@app.get(f"{PATH}<trade_id>/", summary="Look at a trade")
def get_trade(trade_id: Annotated[int, Path(ge=1, lt=2**63)]) -> Response[str]:
    """Look at one trade, and at when its notification was delivered."""
    return _json(HTTPStatus.OK, TRACKED_TRADE.dump_json(trades.get(trade_id)))


@app.get("/api/health/", summary="Ask whether the database answers")
def check_health() -> Response[str]:
    """Ask whether the database answers."""
    database.query("select 1", {}, repeatable=True)
    return _json(HTTPStatus.OK, b'{"status":"ok"}')


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer an API Gateway HTTP API event."""
    return app.resolve(event, context)


def _subject() -> str:
    """Return who is calling: the token's subject, or `local` where nobody signs in."""
    authorizer = app.current_event.request_context.authorizer
    claims = (authorizer and authorizer.jwt_claim) or {}
    return str(claims.get("sub") or "local")


def _json(status: HTTPStatus, body: bytes, headers: dict[str, str] | None = None) -> Response[str]:
    return Response(status.value, content_type="application/json", body=body.decode(), headers={**(headers or {})})
