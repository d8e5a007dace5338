"""Imports over HTTP: import a broker file, preview or compare it, list imports and their rows, and void an import."""

from http import HTTPStatus
from typing import Annotated, Any, Literal

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading.core.values import PAGE_DEFAULT, Account, Currency, adapter
from trading.http.api import (
    Body,
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
from trading.notifications import outbox
from trading.notifications.events import ImportCompleted, ImportVoided
from trading.trades.changes import NewVoid
from trading.trades.imports import catalog, comparison, importing, records
from trading.trades.imports.catalog import KnownFormat
from trading.trades.imports.comparison import Comparison
from trading.trades.imports.importing import ImportResult
from trading.trades.imports.options import GivenOptions
from trading.trades.imports.records import Import, ImportFilter, ImportRow, Outcome, RowFilter

PATH = "/api/imports"
# In base64, so many bytes fit into Lambda's request limit of 6 MB.
FILE = Body(("text/csv", "application/octet-stream"), 4_000_000)
RETRY_HINT = "Send the same file again: it goes on where it stopped."

logger = Logger()
metrics = Metrics()
app = HttpApi()

NO_IMPORT = described_problem("There is no such import.")

Flag = Literal["true", "false"]


@app.post(
    PATH,
    scope="trades:write",
    body=FILE,
    retry_hint=RETRY_HINT,
    summary="Import a broker's file of trades",
    responses={
        200: described_json(
            ImportResult | Comparison,
            "The outcome of each row; with mode=compare, how the file and the ledger differ.",
        ),
        409: described_problem("The import was voided while this request was processing it."),
    },
)
def import_file(  # noqa: PLR0913, PLR0917 - the parameters of a request
    file_format: Annotated[
        str, Query(alias="format", description="`auto`, `generic`, or the name of a listed format.")
    ] = "auto",
    account: Annotated[Account, Query(description="The account of trades whose rows name none.")] = "main",
    source_account: Annotated[
        str | None, Query(description="The broker's account to import, if the file has several.")
    ] = None,
    timezone: Annotated[
        str | None,
        Query(description="The zone of dates without an offset, such as Europe/Zurich. Defaults to the format's."),
    ] = None,
    currency: Annotated[Currency, Query(description="The currency of trades whose rows name none.")] = "USD",
    tickers: Annotated[str | None, Query(description="The tickers of ISINs: ISIN:TICKER,ISIN:TICKER,…")] = None,
    columns: Annotated[
        str | None, Query(description="The columns of a generic file: ticker:Symbol,price:Price,…")
    ] = None,
    date_format: Annotated[
        str | None, Query(description="The date format of a generic file, such as %d.%m.%Y. Defaults to ISO 8601.")
    ] = None,
    dry_run: Annotated[Flag, Query(description="Whether to report the outcome without recording anything.")] = "false",
    mode: Annotated[Literal["import", "compare"], Query()] = "import",
) -> Response[str]:
    """Record the trades of a broker file that are not recorded yet, and report the outcome of each row."""
    given = GivenOptions(file_format, account, source_account, timezone, currency, tickers, columns, date_format)
    options, data = given.read(), app.body_bytes()
    if mode == "compare":
        return json_response(HTTPStatus.OK, adapter(Comparison).dump_json(comparison.compare(data, options)))
    if dry_run == "true":
        return json_response(HTTPStatus.OK, adapter(ImportResult).dump_json(importing.try_out(data, options)))
    result, completed = importing.run(data, options, app.subject)
    if completed.notification_id:
        outbox.announce([ImportCompleted.of(completed.result, completed.notification_id)])
        metrics.add_metric("TradesRecorded", MetricUnit.Count, result.recorded)
        metrics.flush_metrics()
    return json_response(HTTPStatus.OK, adapter(ImportResult).dump_json(result))


@app.get(
    PATH,
    scope="trades:read",
    summary="List imports",
    responses={200: described_json(list[Import], "Newest first; the Link header has the next page.")},
)
def find_imports(
    start_date: From = None,
    end_date: Until = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response[str]:
    """List imports, newest first."""
    given = app.current_event.query_string_parameters
    found, next_cursor = records.find(ImportFilter(start_date, end_date, limit, cursor))
    return json_response(HTTPStatus.OK, adapter(list[Import]).dump_json(found), next_page(PATH, given, next_cursor))


@app.get(
    f"{PATH}/formats",
    scope="trades:read",
    summary="List the formats of files",
    responses={200: described_json(list[KnownFormat], "All formats.")},
)
def list_formats() -> Response[str]:
    """List the supported broker formats, and the public samples against which they were checked."""
    return json_response(HTTPStatus.OK, adapter(list[KnownFormat]).dump_json(catalog.known()))


@app.get(
    f"{PATH}/<import_id>/rows",
    scope="trades:read",
    summary="List an import's rows",
    responses={
        200: described_json(list[ImportRow], "In file order; the Link header has the next page."),
        404: NO_IMPORT,
    },
)
def find_rows(
    import_id: Id,
    outcome: Annotated[Outcome | None, Query()] = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response[str]:
    """List the rows of an imported file with their outcomes."""
    given = app.current_event.query_string_parameters
    found, next_cursor = records.find_rows(RowFilter(import_id, outcome, limit=limit, cursor=cursor))
    headers = next_page(f"{PATH}/{import_id}/rows", given, next_cursor)
    return json_response(HTTPStatus.OK, adapter(list[ImportRow]).dump_json(found), headers)


@app.post(
    f"{PATH}/<import_id>/void",
    scope="trades:write",
    summary="Void an import",
    responses={200: described_json(Import, "The voided import; it may have been voided before."), 404: NO_IMPORT},
)
def void_import(import_id: Id, new: NewVoid) -> Response[str]:
    """Void an import and all trades that it recorded, with one notification."""
    voided, notification_id = records.void(import_id, new.reason, app.subject)
    if notification_id:
        outbox.announce([ImportVoided.of(voided, notification_id)])
    return json_response(HTTPStatus.OK, adapter(Import).dump_json(voided))


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle an API Gateway HTTP API event."""
    return app.resolve(event, context)
