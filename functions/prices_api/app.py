"""Prices over HTTP: publish prices, read averages and alerts, manage alert rules, and issue socket tickets."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field

from trading.core.values import PAGE_DEFAULT, AnyCaseTicker, adapter
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
from trading.prices import records, rule_records, ticks
from trading.prices.alert_rules import Alert
from trading.prices.records import PriceAverage, PriceFilter
from trading.prices.rule_records import AlertRuleChange, NewAlertRule, RecordedRule
from trading.prices.ticks import PRICES_LIMIT, NewPrice
from trading.streaming import connections
from trading.streaming.connections import Ticket

PATH = "/api/prices"
ALERTS_PATH = "/api/alerts"
RULES_PATH = "/api/alert-rules"

logger = Logger()
app = HttpApi()


class PriceBatch(BaseModel):
    """Prices to publish, oldest first."""

    model_config = ConfigDict(extra="forbid")

    # Without repr, because Powertools formats all arguments of a route for a debug log line, even if it is disabled.
    prices: list[NewPrice] = Field(min_length=1, max_length=PRICES_LIMIT, repr=False)


@dataclass(frozen=True)
class Accepted:
    """How many prices were accepted."""

    accepted: int


NO_RULE = described_problem("There is no such rule.")
TOO_MANY = described_problem("The ticker has 50 rules already, or there are 200.")


@app.post(
    PATH,
    scope="prices:publish",
    retry_hint="Prices are safe to send again: duplicates count once.",
    summary="Publish up to 500 prices",
    responses={
        202: described_json(Accepted, "The prices are accepted for the averages, the alert rules and the sockets.")
    },
)
def publish_prices(batch: PriceBatch) -> Response[str]:
    """Send prices to the queue; duplicates count once."""
    ticks.publish(batch.prices)
    return json_response(HTTPStatus.ACCEPTED, adapter(Accepted).dump_json(Accepted(len(batch.prices))))


@app.get(
    f"{PATH}/<ticker>/averages",
    scope="prices:read",
    summary="List a ticker's five-minute averages",
    responses={
        200: described_json(list[PriceAverage], "Newest first; the Link header has the next page."),
        404: described_problem("The path does not name a valid ticker."),
    },
)
def find_averages(
    ticker: Annotated[AnyCaseTicker, Path()],
    start_date: From = None,
    end_date: Until = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response[str]:
    """Find the averages of the five-minute intervals that begin between two dates."""
    given = app.current_event.query_string_parameters
    found, next_cursor = records.find_averages(PriceFilter(ticker, start_date, end_date, limit, cursor))
    headers = next_page(f"{PATH}/{ticker}/averages", given, next_cursor)
    return json_response(HTTPStatus.OK, adapter(list[PriceAverage]).dump_json(found), headers)


@app.get(
    ALERTS_PATH,
    scope="prices:read",
    summary="List alerts",
    responses={200: described_json(list[Alert], "Newest first; the Link header has the next page.")},
)
def find_alerts(
    ticker: Annotated[AnyCaseTicker | None, Query()] = None,
    start_date: From = None,
    end_date: Until = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response[str]:
    """Find alerts, each with a copy of its rule."""
    given = app.current_event.query_string_parameters
    found, next_cursor = records.find_alerts(PriceFilter(ticker, start_date, end_date, limit, cursor))
    return json_response(
        HTTPStatus.OK, adapter(list[Alert]).dump_json(found), next_page(ALERTS_PATH, given, next_cursor)
    )


@app.post(
    RULES_PATH,
    scope="alerts:write",
    retry_hint="List the rules first: this one may have been created.",
    summary="Create an alert rule",
    responses={201: described_json(RecordedRule, "The rule applies to prices from now on."), 409: TOO_MANY},
)
def create_rule(new: NewAlertRule) -> Response[str]:
    """Create a rule for a rise or fall by a percentage within a time window, or for a price above or below a limit."""
    rule = rule_records.create(new, app.subject)
    return json_response(
        HTTPStatus.CREATED, adapter(RecordedRule).dump_json(rule), {"Location": f"{RULES_PATH}/{rule.id}"}
    )


@app.get(
    RULES_PATH,
    scope="prices:read",
    summary="List alert rules",
    responses={200: described_json(list[RecordedRule], "Oldest first; deleted rules are not listed.")},
)
def find_rules() -> Response[str]:
    """List the rules; the first is the predefined one, unless it was deleted."""
    return json_response(HTTPStatus.OK, adapter(list[RecordedRule]).dump_json(rule_records.find()))


@app.get(
    f"{RULES_PATH}/<rule_id>",
    scope="prices:read",
    summary="Get an alert rule",
    responses={200: described_json(RecordedRule, "The rule."), 404: NO_RULE},
)
def get_rule(rule_id: Id) -> Response[str]:
    """Get one rule."""
    return json_response(HTTPStatus.OK, adapter(RecordedRule).dump_json(rule_records.get(rule_id)))


@app.patch(
    f"{RULES_PATH}/<rule_id>",
    scope="alerts:write",
    summary="Change, pause or resume an alert rule",
    responses={200: described_json(RecordedRule, "The updated rule."), 404: NO_RULE, 409: TOO_MANY},
)
def change_rule(rule_id: Id, change: AlertRuleChange) -> Response[str]:
    """Change a rule. If it watches something else or is resumed, it applies to prices from now on."""
    return json_response(HTTPStatus.OK, adapter(RecordedRule).dump_json(rule_records.change(rule_id, change)))


@app.delete(
    f"{RULES_PATH}/<rule_id>",
    scope="alerts:write",
    summary="Delete an alert rule",
    responses={200: described_json(RecordedRule, "The deleted rule. Its alerts are kept."), 404: NO_RULE},
)
def delete_rule(rule_id: Id) -> Response[str]:
    """Delete a rule; its alerts, each with a copy of it, are kept."""
    return json_response(HTTPStatus.OK, adapter(RecordedRule).dump_json(rule_records.delete(rule_id)))


@app.post(
    f"{PATH}/ticket",
    scope="prices:read",
    summary="Create a ticket for the price socket",
    responses={201: described_json(Ticket, "The ticket opens the socket once, within a minute.")},
)
def issue_ticket() -> Response[str]:
    """Issue a ticket, because a browser cannot send a token when it opens a WebSocket."""
    return json_response(HTTPStatus.CREATED, adapter(Ticket).dump_json(connections.issue_ticket(app.subject)))


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle an API Gateway HTTP API event."""
    return app.resolve(event, context)
