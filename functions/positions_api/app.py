"""Positions over HTTP: what is held, which trades closed which, what was earned, and what it is all worth."""

from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import TypeAdapter

from trading.core.values import PAGE_DEFAULT, Account, AnyCaseTicker, Currency, Day, PastInstant
from trading.http.api import (
    Cursor,
    HttpApi,
    Limit,
    described_json,
    described_problem,
    json_response,
    next_page,
)
from trading.trades import positions, profit
from trading.trades.checkpoints import Method
from trading.trades.positions import DetailedPosition, Match, Position, PositionFilter, WantedPosition
from trading.trades.profit import Grouping, PortfolioCurrency, ProfitFilter, ProfitGroup

PATH = "/api/positions"

# What was read by then is kept, so that the same request needs less the next time.
RETRY_HINT = "Send the request again: it goes on where it ended."

logger = Logger()
app = HttpApi()

POSITIONS = TypeAdapter(list[Position])
POSITION = TypeAdapter(DetailedPosition)
MATCHES = TypeAdapter(list[Match])
PROFIT = TypeAdapter(list[ProfitGroup])
PORTFOLIO = TypeAdapter(list[PortfolioCurrency])
NO_POSITION = described_problem("There is no such position.")

AnyAccount = Annotated[Account | None, Query(description="All accounts without one.")]
AsOf = Annotated[PastInstant | None, Query(description="What the ledger held then; at least a minute ago.")]


@app.get(
    PATH,
    scope="trades:read",
    retry_hint=RETRY_HINT,
    summary="Find positions",
    responses={
        200: described_json(list[Position], "By account, ticker and currency; the Link header leads to the next page.")
    },
)
def find_positions(  # noqa: PLR0913, PLR0917 - a search has these parameters
    account: AnyAccount = None,
    ticker: Annotated[AnyCaseTicker | None, Query()] = None,
    method: Annotated[Method, Query(description="How to tell what closed shares have cost.")] = "fifo",
    as_of: AsOf = None,
    is_open: Annotated[bool | None, Query(alias="open", description="Only those with shares, or without.")] = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response[str]:
    """Find positions, valued at the last prices."""
    given = app.current_event.query_string_parameters
    wanted = PositionFilter(account, ticker, is_open, method, as_of, limit, cursor)
    found, next_cursor = positions.find(wanted)
    return json_response(HTTPStatus.OK, POSITIONS.dump_json(found), next_page(PATH, given, next_cursor))


@app.get(
    f"{PATH}/<ticker>",
    scope="trades:read",
    retry_hint=RETRY_HINT,
    summary="Look at a position and its open lots",
    responses={
        200: described_json(DetailedPosition, "Its lots begin with the oldest; the Link header leads to more of them."),
        404: NO_POSITION,
    },
)
def get_position(  # noqa: PLR0913, PLR0917 - a search has these parameters
    ticker: Annotated[AnyCaseTicker, Path()],
    account: Annotated[Account, Query()] = "main",
    currency: Annotated[Currency | None, Query(description="Needed where there is a position in several.")] = None,
    as_of: AsOf = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response[str]:
    """Look at one position, and at what is still open of which trades, first in, first out."""
    given = app.current_event.query_string_parameters
    found, next_cursor = positions.get(WantedPosition(ticker, account, currency, as_of, limit, cursor))
    headers = next_page(f"{PATH}/{ticker}", given, next_cursor)
    return json_response(HTTPStatus.OK, POSITION.dump_json(found), headers)


@app.get(
    f"{PATH}/<ticker>/matches",
    scope="trades:read",
    retry_hint=RETRY_HINT,
    summary="Find which trades closed which",
    responses={
        200: described_json(list[Match], "Those closed last first; the Link header leads to the next page."),
        404: NO_POSITION,
    },
)
def find_matches(  # noqa: PLR0913, PLR0917 - a search has these parameters
    ticker: Annotated[AnyCaseTicker, Path()],
    account: Annotated[Account, Query()] = "main",
    currency: Annotated[Currency | None, Query(description="Needed where there is a position in several.")] = None,
    as_of: AsOf = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response[str]:
    """Find what explains a position's realized profit: shares, the trade that opened and the one that closed them."""
    given = app.current_event.query_string_parameters
    found, next_cursor = positions.find_matches(WantedPosition(ticker, account, currency, as_of, limit, cursor))
    headers = next_page(f"{PATH}/{ticker}/matches", given, next_cursor)
    return json_response(HTTPStatus.OK, MATCHES.dump_json(found), headers)


@app.get(
    "/api/profit",
    scope="trades:read",
    retry_hint=RETRY_HINT,
    summary="Add up realized profit",
    responses={200: described_json(list[ProfitGroup], "By group and currency; groups of tags may overlap.")},
)
def find_profit(
    by: Annotated[Grouping, Query(description="The group of a match is that of the trade that closed it.")],
    start_date: Annotated[Day | None, Query(description="Inclusive, UTC.")] = None,
    end_date: Annotated[Day | None, Query(description="Inclusive, UTC.")] = None,
    account: AnyAccount = None,
) -> Response[str]:
    """Add up realized profit by day, month, ticker, account or tag, first in, first out."""
    found = profit.find(ProfitFilter(by, start_date, end_date, account))
    return json_response(HTTPStatus.OK, PROFIT.dump_json(found))


@app.get(
    "/api/portfolio",
    scope="trades:read",
    retry_hint=RETRY_HINT,
    summary="Look at all positions together",
    responses={200: described_json(list[PortfolioCurrency], "One entry for each currency.")},
)
def get_portfolio(account: AnyAccount = None) -> Response[str]:
    """Look at what all positions cost, are worth and have earned, and how that has changed today."""
    return json_response(HTTPStatus.OK, PORTFOLIO.dump_json(profit.portfolio(account)))


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer an API Gateway HTTP API event."""
    return app.resolve(event, context)
