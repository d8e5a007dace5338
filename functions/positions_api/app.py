"""Positions over HTTP: positions with their lots and matches, realized profit, and the portfolio."""

from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading.core.values import PAGE_DEFAULT, Account, AnyCaseTicker, Currency, Day, PastInstant, adapter
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

# The progress is saved, so a repeated request needs less time.
RETRY_HINT = "Send the request again: it continues where it stopped."

logger = Logger()
app = HttpApi()

NO_POSITION = described_problem("There is no such position.")

AnyAccount = Annotated[Account | None, Query(description="All accounts if omitted.")]
OneAccount = Annotated[Account, Query()]
OneCurrency = Annotated[Currency | None, Query(description="Required if there are positions in several currencies.")]
AsOf = Annotated[
    PastInstant | None, Query(description="The ledger as it stood at this instant, at least a minute ago.")
]


@app.get(
    PATH,
    scope="trades:read",
    retry_hint=RETRY_HINT,
    summary="List positions",
    responses={
        200: described_json(
            list[Position], "Ordered by account, ticker and currency; the Link header has the next page."
        )
    },
)
def find_positions(  # noqa: PLR0913, PLR0917 - the parameters of a search
    account: AnyAccount = None,
    ticker: Annotated[AnyCaseTicker | None, Query()] = None,
    method: Annotated[Method, Query(description="How the cost of closed shares is determined.")] = "fifo",
    as_of: AsOf = None,
    is_open: Annotated[
        bool | None, Query(alias="open", description="Only open positions, or only closed ones.")
    ] = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response[str]:
    """Find positions, valued at the last prices."""
    given = app.current_event.query_string_parameters
    wanted = PositionFilter(account, ticker, is_open, method, as_of, limit, cursor)
    found, next_cursor = positions.find(wanted)
    return json_response(HTTPStatus.OK, adapter(list[Position]).dump_json(found), next_page(PATH, given, next_cursor))


@app.get(
    f"{PATH}/<ticker>",
    scope="trades:read",
    retry_hint=RETRY_HINT,
    summary="Get a position and its open lots",
    responses={
        200: described_json(DetailedPosition, "Its lots are listed oldest first; the Link header has their next page."),
        404: NO_POSITION,
    },
)
def get_position(  # noqa: PLR0913, PLR0917 - the parameters of a search
    ticker: Annotated[AnyCaseTicker, Path()],
    account: OneAccount = "main",
    currency: OneCurrency = None,
    as_of: AsOf = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response[str]:
    """Get one position and its open lots by FIFO."""
    given = app.current_event.query_string_parameters
    found, next_cursor = positions.get(WantedPosition(ticker, account, currency, as_of, limit, cursor))
    headers = next_page(f"{PATH}/{ticker}", given, next_cursor)
    return json_response(HTTPStatus.OK, adapter(DetailedPosition).dump_json(found), headers)


@app.get(
    f"{PATH}/<ticker>/matches",
    scope="trades:read",
    retry_hint=RETRY_HINT,
    summary="List a position's matches",
    responses={
        200: described_json(list[Match], "Last closed first; the Link header has the next page."),
        404: NO_POSITION,
    },
)
def find_matches(  # noqa: PLR0913, PLR0917 - the parameters of a search
    ticker: Annotated[AnyCaseTicker, Path()],
    account: OneAccount = "main",
    currency: OneCurrency = None,
    as_of: AsOf = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response[str]:
    """List the matches that explain a position's realized profit: which trade closed which."""
    given = app.current_event.query_string_parameters
    found, next_cursor = positions.find_matches(WantedPosition(ticker, account, currency, as_of, limit, cursor))
    headers = next_page(f"{PATH}/{ticker}/matches", given, next_cursor)
    return json_response(HTTPStatus.OK, adapter(list[Match]).dump_json(found), headers)


@app.get(
    "/api/profit",
    scope="trades:read",
    retry_hint=RETRY_HINT,
    summary="Get realized profit by group",
    responses={200: described_json(list[ProfitGroup], "By group and currency; groups of tags may overlap.")},
)
def find_profit(
    by: Annotated[Grouping, Query(description="A match belongs to the group of the trade that closed it.")],
    start_date: Annotated[Day | None, Query(description="Inclusive, UTC.")] = None,
    end_date: Annotated[Day | None, Query(description="Inclusive, UTC.")] = None,
    account: AnyAccount = None,
) -> Response[str]:
    """Sum realized profit (FIFO) by day, month, ticker, account or tag."""
    found = profit.find(ProfitFilter(by, start_date, end_date, account))
    return json_response(HTTPStatus.OK, adapter(list[ProfitGroup]).dump_json(found))


@app.get(
    "/api/portfolio",
    scope="trades:read",
    retry_hint=RETRY_HINT,
    summary="Get the portfolio",
    responses={200: described_json(list[PortfolioCurrency], "One entry for each currency.")},
)
def get_portfolio(account: AnyAccount = None) -> Response[str]:
    """Get the cost, value and profit of all positions in each currency, and today's change."""
    return json_response(HTTPStatus.OK, adapter(list[PortfolioCurrency]).dump_json(profit.portfolio(account)))


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle an API Gateway HTTP API event."""
    return app.resolve(event, context)
