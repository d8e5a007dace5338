"""Analyzes a day's trades: triggered by a new trade file in the bucket, on a schedule, over HTTP, or manually."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

import mimeparse
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field

from trading.analysis import announcements, keys, results, runs
from trading.analysis.results import REJECTS_DEFAULT, REJECTS_LIMIT, ROWS_LIMIT, DayAnalysis, RejectedRow
from trading.analysis.runs import Work
from trading.core import bus, correlation, storage
from trading.core.errors import FieldError, InvalidError, NotFoundError, RefusalError, UnavailableError
from trading.core.settings import setting
from trading.core.topics import TopicUnavailableError
from trading.core.values import PAGE_DEFAULT, Day, WholeNumber, adapter, whole_number_schema
from trading.http.api import JSON, Cursor, HttpApi, Limit, described_json, described_problem, json_response, next_page
from trading.http.problems import problem_of

PATH = "/api/analyses"
EXPORTS_PATH = "/api/exports"

logger = Logger()
metrics = Metrics()
app = HttpApi()


class DayRequest(BaseModel):
    """The requested day."""

    model_config = ConfigDict(extra="forbid")

    date: Day


@dataclass(frozen=True)
class DayAccepted:
    """A request for a day that was accepted and is processed in the background."""

    date: Day
    status: Literal["running"] = "running"


AS_CSV: Any = {"text/csv": {"schema": {"type": "string"}}}


@app.post(
    PATH,
    scope="analyses:run",
    summary="Analyze a day",
    responses={
        202: described_json(DayAccepted, "The analysis has been requested; GET it to see its status."),
        404: described_problem("There is no trade file for that day."),
    },
)
def analyze_day(request: DayRequest) -> Response[str]:
    """Request the analysis of a day's trades; if one is running already, this request is covered by it."""
    if not results.has_source(setting("DATA_BUCKET"), request.date):
        raise NotFoundError(f"There is no trade file for {request.date}.")
    return _ask_for("analysis", "Analysis requested", request.date)


@app.post(
    EXPORTS_PATH,
    scope="analyses:run",
    summary="Export a day",
    responses={202: described_json(DayAccepted, "The export has been requested; the analysis follows automatically.")},
)
def export_day(request: DayRequest) -> Response[str]:
    """Request the export of a day's trades to their file, which is then analyzed."""
    if request.date > datetime.now(UTC).date():
        raise InvalidError(FieldError("date", "must not be in the future"))
    return _ask_for("export", "Export requested", request.date)


@app.get(
    PATH,
    scope="analyses:read",
    summary="List the days that have an analysis",
    responses={200: described_json(list[Day], "Newest first; the Link header has the next page.")},
)
def find_analyses(limit: Limit = PAGE_DEFAULT, cursor: Cursor = None) -> Response[str]:
    """Find the days that have an analysis."""
    found, next_cursor = results.find_days(setting("DATA_BUCKET"), limit, cursor)
    headers = next_page(PATH, app.current_event.query_string_parameters, next_cursor)
    return json_response(HTTPStatus.OK, adapter(list[Day]).dump_json(found), headers)


@app.get(
    f"{PATH}/<date>",
    scope="analyses:read",
    summary="Get a day's analysis",
    responses={
        200: {
            "description": "The stored analysis; for `Accept: text/csv`, its file.",
            "content": {"application/json": {"model": DayAnalysis}, **AS_CSV},
        },
        404: described_problem("There is no analysis for that day."),
        409: described_problem("It was not produced by this API; available as CSV only."),
    },
)
def get_analysis(
    date: Annotated[Day, Path()],
    limit: Annotated[WholeNumber, Field(ge=1, le=ROWS_LIMIT), whole_number_schema(1, ROWS_LIMIT), Query()] = ROWS_LIMIT,
    cursor: Cursor = None,
) -> Response[str]:
    """Read the stored analysis of a day."""
    if _wants_csv():
        text = results.stored_csv(setting("DATA_BUCKET"), date)
        return Response(HTTPStatus.OK.value, content_type=storage.CSV, body=text)
    found, next_cursor = results.stored(setting("DATA_BUCKET"), date, limit, cursor)
    headers = next_page(f"{PATH}/{date}", app.current_event.query_string_parameters, next_cursor)
    return json_response(HTTPStatus.OK, adapter(DayAnalysis).dump_json(found), headers)


@app.get(
    f"{PATH}/<date>/rejects",
    scope="analyses:read",
    summary="List the rows that a day's analysis rejected",
    responses={
        200: {
            "description": "In file order; empty if every row was a trade. The Link header has the next page. With"
            " `Accept: text/csv`, the answer is CSV.",
            "content": {"application/json": {"model": list[RejectedRow]}, **AS_CSV},
        },
        404: described_problem("There is no analysis for that day."),
    },
)
def find_rejects(
    date: Annotated[Day, Path()],
    limit: Annotated[
        WholeNumber, Field(ge=1, le=REJECTS_LIMIT), whole_number_schema(1, REJECTS_LIMIT), Query()
    ] = REJECTS_DEFAULT,
    cursor: Cursor = None,
) -> Response[str]:
    """List the lines of a day's trades that are not trades."""
    found, next_cursor = results.stored_rejects(setting("DATA_BUCKET"), date, limit, cursor)
    headers = next_page(f"{PATH}/{date}/rejects", app.current_event.query_string_parameters, next_cursor)
    if _wants_csv():
        text = results.rejects_csv(found)
        return Response(HTTPStatus.OK.value, content_type=storage.CSV, body=text, headers={**headers})
    return json_response(HTTPStatus.OK, adapter(list[RejectedRow]).dump_json(found), headers)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Analyze the day of the event. A manual invocation returns a status and a JSON body, as the original did."""
    if "requestContext" in event:
        return app.resolve(event, context)
    match event.get("source"):
        case "aws.s3":
            return _analyze_file(event["detail"]["object"]["key"])
        case bus.SOURCE:
            correlation.begin(event["detail"]["correlation_id"])
            return _analyzed(keys.read_day(event["detail"]["date"]), event["detail"]["requested_by"])
        case "aws.scheduler":
            return _analyze_yesterday(event)
        case _:
            return _answer_by_hand(event)


def _wants_csv() -> bool:
    try:
        accepted = app.current_event.headers.get("accept", "").lower() or "*/*"
        best = mimeparse.best_match(["text/csv", JSON], accepted)
    except mimeparse.MimeTypeParseException:
        return False
    return bool(best == "text/csv")


def _analyze_file(key: str) -> dict[str, Any]:
    day = keys.day_of(key)
    if day is None:  # the EventBridge rule also matches invalid days, such as 2024/02/30/trades.csv
        logger.info("not a file of trades", key=key)
        return {"skipped": key}
    return _analyzed(day)


def _analyze_yesterday(event: dict[str, Any]) -> dict[str, Any]:
    day = keys.day_before(event["time"])
    bucket = setting("DATA_BUCKET")
    run = runs.last(bucket, "analysis", day)
    if results.is_done(bucket, day) and not (run and run.status == "failed"):  # the announcement may have failed
        logger.info("analyzed already", day=str(day))
        return {"skipped": str(day)}
    try:
        return _analyzed(day)
    except NotFoundError:
        logger.warning("there is no trade file", day=str(day))
        return {"skipped": str(day)}


def _answer_by_hand(event: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"statusCode": 200, "body": json.dumps(_analyzed(keys.read_day(event.get("date"))))}
    except RefusalError as error:
        problem = problem_of(error)
        return {"statusCode": problem.status, "body": problem.write()}


def _ask_for(work: Work, detail_type: str, day: date) -> Response[str]:
    """Request work on a day, unless it is already under way."""
    bucket = setting("DATA_BUCKET")
    if runs.request(bucket, work, day, app.subject):
        event = app.current_event
        detail = {"date": str(day), "requested_by": app.subject, "correlation_id": event.request_context.request_id}
        try:
            bus.send(detail_type, detail)
        except UnavailableError:
            runs.fail(bucket, work, day, app.subject, "It could not be asked for.")
            raise
    return json_response(
        HTTPStatus.ACCEPTED, adapter(DayAccepted).dump_json(DayAccepted(day)), {"Location": f"{PATH}/{day}"}
    )


def _analyzed(day: date, requested_by: str = "system") -> dict[str, Any]:
    """Analyze a day, and record the outcome for the API."""
    bucket = setting("DATA_BUCKET")
    if not results.has_source(bucket, day):
        raise NotFoundError(f"There is no trade file for {day}.")
    with runs.recorded(bucket, "analysis", day, requested_by):
        outcome = results.analyze_day(bucket, day)
    try:
        announcements.announce(bucket, day, outcome)
    except TopicUnavailableError:  # the analysis is kept; the invoker or the next nightly run retries
        runs.fail(bucket, "analysis", day, requested_by, "The analysis is complete, but could not be announced.")
        raise
    logger.info("analyzed", **asdict(outcome))
    metrics.add_metric("TradesAnalyzed", MetricUnit.Count, outcome.records_processed - outcome.rejected)
    metrics.add_metric("TradesRejected", MetricUnit.Count, outcome.rejected)
    metrics.flush_metrics()
    return asdict(outcome)
