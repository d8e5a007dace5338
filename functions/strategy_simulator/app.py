"""Simulations over HTTP: store a history, simulate a strategy on it, look at what came of it, as JSON or as a page."""

from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import TypeAdapter

from trading.core.errors import FieldError, InvalidError
from trading.core.settings import setting
from trading.core.values import AnyCaseTicker, WholeNumber
from trading.http.api import Body, HttpApi, described_json, described_problem, json_response
from trading.simulation import histories, records, report
from trading.simulation.histories import HistoryError, StoredHistory
from trading.simulation.records import BARS_LIMIT, NewSimulation, RecordedSimulation

PATH = "/api/simulations"
HISTORY_LIMIT = 4_000_000  # characters; a request to a Lambda may have 6 MB

SimulationId = Annotated[WholeNumber, Path(ge=1, le=2**63 - 1)]

logger = Logger()
app = HttpApi()

STORED_HISTORY = TypeAdapter(StoredHistory)
AS_HTML: Any = {"text/html": {"schema": {"type": "string"}}}


@app.put(
    "/api/histories/<ticker>",
    scope="histories:write",
    body=Body("text/csv", HISTORY_LIMIT),
    summary="Store the prices of a ticker",
    responses={
        201: described_json(StoredHistory, "The history is stored."),
        200: described_json(StoredHistory, "The history is stored in place of the one that was there."),
        404: described_problem("No ticker is spelled with such characters."),
    },
)
def store_history(ticker: Annotated[AnyCaseTicker, Path()]) -> Response[str]:
    """Store a CSV of date,open,high,low,close (or date,close) as the history of a ticker."""
    data = (app.current_event.body or "").encode()
    try:
        stored, is_new = histories.store(setting("DATA_BUCKET"), ticker, data, BARS_LIMIT)
    except HistoryError as error:
        raise InvalidError(FieldError(f"line {error.line}", error.reason)) from None
    return json_response(HTTPStatus.CREATED if is_new else HTTPStatus.OK, STORED_HISTORY.dump_json(stored))


@app.post(
    PATH,
    scope="simulations:run",
    summary="Simulate a strategy",
    responses={
        201: described_json(RecordedSimulation, "What came of it, recorded."),
        200: described_json(
            RecordedSimulation, "What came of it when it was asked for before: inputs and history are the same."
        ),
    },
)
def simulate(new: NewSimulation) -> Response[str]:
    """Trade a crossover of two moving averages on the stored history of a ticker, or the best of up to 1,000 pairs."""
    answer = records.record(new, setting("DATA_BUCKET"))
    status = HTTPStatus.CREATED if answer.is_new else HTTPStatus.OK
    return json_response(status, answer.json, {"Location": f"{PATH}/{answer.id}"})


@app.get(
    f"{PATH}/<simulation_id>",
    scope="simulations:read",
    summary="Look at a simulation",
    responses={
        200: described_json(RecordedSimulation, "The simulation."),
        404: described_problem("There is no such simulation."),
    },
)
def get_simulation(simulation_id: SimulationId) -> Response[str]:
    """Look at one simulation."""
    return json_response(HTTPStatus.OK, records.get(simulation_id))


@app.get(
    f"{PATH}/<simulation_id>/report",
    scope="simulations:read",
    summary="Look at a simulation as a page",
    responses={
        200: {"description": "The report, a page of HTML that needs nothing but itself.", "content": AS_HTML},
        404: described_problem("There is no such simulation."),
    },
)
def get_report(simulation_id: SimulationId) -> Response[str]:
    """Look at one simulation as a page with charts."""
    return Response(
        HTTPStatus.OK.value,
        content_type=report.MEDIA_TYPE,
        body=report.render(records.get_result(simulation_id)),
        headers={"Content-Security-Policy": report.POLICY, "X-Content-Type-Options": "nosniff"},
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer an API Gateway HTTP API event."""
    return app.resolve(event, context)
