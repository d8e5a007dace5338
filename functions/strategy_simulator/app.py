"""Simulations over HTTP: store a price history, simulate a strategy on it, read the result as JSON or HTML."""

from http import HTTPStatus
from typing import Annotated, Any, Literal

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading.core import storage
from trading.core.errors import FieldError, InvalidError, NotFoundError
from trading.core.settings import setting
from trading.core.values import PAGE_DEFAULT, AnyCaseTicker, Ticker, adapter
from trading.http.api import (
    Body,
    Cursor,
    HttpApi,
    Id,
    Limit,
    described_json,
    described_problem,
    json_response,
    next_page,
)
from trading.simulation import histories, history_files, records, report
from trading.simulation.histories import StoredHistory
from trading.simulation.history_files import HistoryError
from trading.simulation.records import ListedSimulation, NewSimulation, RecordedSimulation

PATH = "/api/simulations"
HISTORIES_PATH = "/api/histories"
HISTORY = Body(
    ("text/csv", "application/octet-stream"), 4_000_000
)  # in base64, this fits into Lambda's request limit of 6 MB

Adjusted = Annotated[
    Literal["true", "false"],
    Query(description="Whether to use the file's adjusted closes and scale the other prices accordingly."),
]

logger = Logger()
app = HttpApi()

NO_HISTORY = described_problem("There is no history for the ticker.")
AS_CSV: Any = {"text/csv": {"schema": {"type": "string"}}}
AS_HTML: Any = {"text/html": {"schema": {"type": "string"}}}


@app.get(
    HISTORIES_PATH,
    scope="simulations:read",
    summary="List the stored histories",
    responses={200: described_json(list[StoredHistory], "Ordered by ticker; the Link header has the next page.")},
)
def find_histories(
    limit: Limit = PAGE_DEFAULT,
    cursor: Annotated[
        Ticker | None, Query(description="Where the page begins; the Link header has the next page's.")
    ] = None,
) -> Response[str]:
    """List the stored histories, with a summary of each."""
    found, next_cursor = histories.find(setting("DATA_BUCKET"), limit, cursor)
    headers = next_page(HISTORIES_PATH, app.current_event.query_string_parameters, next_cursor)
    return json_response(HTTPStatus.OK, adapter(list[StoredHistory]).dump_json(found), headers)


@app.get(
    f"{HISTORIES_PATH}/<ticker>",
    scope="simulations:read",
    summary="Get a ticker's prices",
    responses={
        200: {"description": "The bars, oldest first: date,open,high,low,close.", "content": AS_CSV},
        404: NO_HISTORY,
    },
)
def get_history(ticker: Annotated[AnyCaseTicker, Path()]) -> Response[str]:
    """Get the stored history of a ticker as used by simulations, in the same format for all uploaded files."""
    try:
        history = histories.load(setting("DATA_BUCKET"), ticker)
    except HistoryError as error:
        raise InvalidError(FieldError("ticker", f"its stored history cannot be read: {error}")) from None
    if history is None:
        raise NotFoundError(f"There is no history for {ticker}.")
    return Response(HTTPStatus.OK.value, content_type=storage.CSV, body=history_files.write_csv(history))


@app.put(
    f"{HISTORIES_PATH}/<ticker>",
    scope="histories:write",
    body=HISTORY,
    summary="Store a ticker's prices",
    responses={
        201: described_json(StoredHistory, "The history is stored."),
        200: described_json(StoredHistory, "The history replaced the one that was stored."),
        404: described_problem("The path does not name a valid ticker."),
    },
)
def store_history(ticker: Annotated[AnyCaseTicker, Path()], adjusted: Adjusted = "false") -> Response[str]:
    """Store a CSV as a ticker's history: exported from Yahoo, TradingView or others, or date,open,high,low,close."""
    try:
        stored, is_new = histories.store(setting("DATA_BUCKET"), ticker, app.body_bytes(), adjusted=adjusted == "true")
    except HistoryError as error:
        raise InvalidError(FieldError(f"line {error.line}", error.reason)) from None
    return json_response(HTTPStatus.CREATED if is_new else HTTPStatus.OK, adapter(StoredHistory).dump_json(stored))


@app.delete(
    f"{HISTORIES_PATH}/<ticker>",
    scope="histories:write",
    summary="Delete a ticker's prices",
    responses={200: described_json(StoredHistory, "The deleted history."), 404: NO_HISTORY},
)
def delete_history(ticker: Annotated[AnyCaseTicker, Path()]) -> Response[str]:
    """Delete the stored history of a ticker. Simulations that were run on it are kept."""
    deleted = histories.delete(setting("DATA_BUCKET"), ticker)
    if deleted is None:
        raise NotFoundError(f"There is no history for {ticker}.")
    return json_response(HTTPStatus.OK, adapter(StoredHistory).dump_json(deleted))


@app.post(
    PATH,
    scope="simulations:run",
    summary="Simulate a strategy",
    responses={
        201: described_json(RecordedSimulation, "The stored result."),
        200: described_json(RecordedSimulation, "The result stored before: inputs and history are the same."),
    },
)
def simulate(new: NewSimulation) -> Response[str]:
    """Simulate a moving-average crossover on a ticker's history, with one or the best of up to 1,000 window pairs."""
    answer = records.record(new, setting("DATA_BUCKET"))
    status = HTTPStatus.CREATED if answer.is_new else HTTPStatus.OK
    return json_response(status, answer.json, {"Location": f"{PATH}/{answer.id}"})


@app.get(
    PATH,
    scope="simulations:read",
    summary="List the simulations",
    responses={200: described_json(list[ListedSimulation], "Newest first; the Link header has the next page.")},
)
def find_simulations(limit: Limit = PAGE_DEFAULT, cursor: Cursor = None) -> Response[str]:
    """List the stored simulations: the strategy and figures of each, without bars and trades."""
    found, next_cursor = records.find(limit, cursor)
    headers = next_page(PATH, app.current_event.query_string_parameters, next_cursor)
    return json_response(HTTPStatus.OK, adapter(list[ListedSimulation]).dump_json(found), headers)


@app.get(
    f"{PATH}/<simulation_id>",
    scope="simulations:read",
    summary="Get a simulation",
    responses={
        200: described_json(RecordedSimulation, "The simulation."),
        404: described_problem("There is no such simulation."),
    },
)
def get_simulation(simulation_id: Id) -> Response[str]:
    """Get one simulation."""
    return json_response(HTTPStatus.OK, records.get(simulation_id))


@app.get(
    f"{PATH}/<simulation_id>/report",
    scope="simulations:read",
    summary="Get a simulation's report",
    responses={
        200: {"description": "The report, a self-contained HTML page.", "content": AS_HTML},
        404: described_problem("There is no such simulation."),
    },
)
def get_report(simulation_id: Id) -> Response[str]:
    """Get the report of a simulation, an HTML page with charts."""
    return Response(
        HTTPStatus.OK.value,
        content_type=report.MEDIA_TYPE,
        body=report.render(records.get_result(simulation_id)),
        headers={"Content-Security-Policy": report.POLICY, "X-Content-Type-Options": "nosniff"},
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle an API Gateway HTTP API event."""
    return app.resolve(event, context)
