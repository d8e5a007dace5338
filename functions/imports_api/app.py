"""Imports over HTTP: record what a broker's file holds, or say what that would do, or compare it, or take it back."""

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
FILE = Body(("text/csv", "application/octet-stream"), 4_000_000)  # in base64, which a request of 6 MB has room for
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
            "What came of the file's rows, or would come of them; with mode=compare how it and the ledger agree.",
        ),
        409: described_problem("The import was voided while this request went on with it."),
    },
)
def import_file(  # noqa: PLR0913, PLR0917 - a file can be read in so many ways
    file_format: Annotated[
        str, Query(alias="format", description="`auto`, `generic`, or one that is listed.")
    ] = "auto",
    account: Annotated[Account, Query(description="Where trades are recorded for which the file names none.")] = "main",
    source_account: Annotated[
        str | None, Query(description="The broker's account whose trades are wanted, where a file has several.")
    ] = None,
    timezone: Annotated[
        str | None, Query(description="Of dates without an offset, such as Europe/Zurich; by default the format's.")
    ] = None,
    currency: Annotated[Currency, Query(description="Of trades whose currency the file does not tell.")] = "USD",
    tickers: Annotated[str | None, Query(description="The tickers of ISINs: ISIN:TICKER,ISIN:TICKER,…")] = None,
    columns: Annotated[
        str | None, Query(description="Of a file of no known format: ticker:Symbol,price:Price,…")
    ] = None,
    date_format: Annotated[
        str | None, Query(description="How such a file writes dates, such as %d.%m.%Y; by default ISO 8601.")
    ] = None,
    dry_run: Annotated[Flag, Query(description="Whether to record nothing, and say what would be.")] = "false",
    mode: Annotated[Literal["import", "compare"], Query()] = "import",
) -> Response[str]:
    """Record the trades of a broker's file that are not recorded yet; each row is accounted for."""
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
    summary="Find imports",
    responses={200: described_json(list[Import], "The newest first; the Link header leads to the next page.")},
)
def find_imports(
    start_date: From = None,
    end_date: Until = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response[str]:
    """Find imports, the newest first."""
    given = app.current_event.query_string_parameters
    found, next_cursor = records.find(ImportFilter(start_date, end_date, limit, cursor))
    return json_response(HTTPStatus.OK, adapter(list[Import]).dump_json(found), next_page(PATH, given, next_cursor))


@app.get(
    f"{PATH}/formats",
    scope="trades:read",
    summary="List the formats of files",
    responses={200: described_json(list[KnownFormat], "All of them.")},
)
def list_formats() -> Response[str]:
    """List the brokers' formats that are known, and the public samples against which they were checked."""
    return json_response(HTTPStatus.OK, adapter(list[KnownFormat]).dump_json(catalog.known()))


@app.get(
    f"{PATH}/<import_id>/rows",
    scope="trades:read",
    summary="Find what came of an import's rows",
    responses={
        200: described_json(list[ImportRow], "In the order of the file; the Link header leads to the next page."),
        404: NO_IMPORT,
    },
)
def find_rows(
    import_id: Id,
    outcome: Annotated[Outcome | None, Query()] = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response[str]:
    """Find what came of each row of an imported file."""
    given = app.current_event.query_string_parameters
    found, next_cursor = records.find_rows(RowFilter(import_id, outcome, limit=limit, cursor=cursor))
    headers = next_page(f"{PATH}/{import_id}/rows", given, next_cursor)
    return json_response(HTTPStatus.OK, adapter(list[ImportRow]).dump_json(found), headers)


@app.post(
    f"{PATH}/<import_id>/void",
    scope="trades:write",
    summary="Void an import",
    responses={200: described_json(Import, "The import, voided now or before."), 404: NO_IMPORT},
)
def void_import(import_id: Id, new: NewVoid) -> Response[str]:
    """Take back all trades that an import recorded, and announce that once."""
    voided, notification_id = records.void(import_id, new.reason, app.subject)
    if notification_id:
        outbox.announce([ImportVoided.of(voided, notification_id)])
    return json_response(HTTPStatus.OK, adapter(Import).dump_json(voided))


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer an API Gateway HTTP API event."""
    return app.resolve(event, context)
