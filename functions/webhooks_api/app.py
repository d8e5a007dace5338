"""Webhooks over HTTP: create, list, change, test and delete webhooks; list and resend deliveries."""

from http import HTTPStatus
from typing import Annotated, Any, Literal

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from trading.core.values import CHAT_ID_PATTERN, ID_LIMIT, PAGE_DEFAULT, UUID_PATTERN, Account, Ticker, adapter
from trading.http.api import (
    Cursor,
    HttpApi,
    Limit,
    described_json,
    described_problem,
    json_response,
    next_page,
)
from trading.notifications.webhooks import deliveries, destinations, dispatch, subscriptions
from trading.notifications.webhooks.deliveries import Delivery
from trading.notifications.webhooks.messages import Kind
from trading.notifications.webhooks.subscriptions import EVENT_TYPES, CreatedWebhook, Webhook

PATH = "/api/webhooks"

logger = Logger()
app = HttpApi()


def _url(url: str) -> str:
    destinations.parse(url)
    return url


Url = Annotated[
    str,
    AfterValidator(_url),
    WithJsonSchema({"type": "string", "format": "uri", "maxLength": 2_000, "examples": ["https://example.com/hooks"]}),
]
ChatId = Annotated[str, StringConstraints(pattern=CHAT_ID_PATTERN)]
Events = Annotated[list[Literal[EVENT_TYPES]], Field(min_length=1, max_length=len(EVENT_TYPES))]  # type: ignore[valid-type]
RuleId = Annotated[int, Field(strict=True, ge=1, le=ID_LIMIT)]
Id = Annotated[str, StringConstraints(pattern=UUID_PATTERN), Path()]


class NewWebhook(BaseModel):
    """A webhook to create. `events`, `ticker`, `account` and `rule_id` select the events; omit them for all events."""

    model_config = ConfigDict(extra="forbid")

    url: Url
    kind: Kind = "standard"
    chat_id: ChatId | None = Field(None, description="The chat that a Telegram bot writes to; required for Telegram.")
    events: Events | None = None
    ticker: Ticker | None = None
    account: Account | None = None
    rule_id: RuleId | None = None


class WebhookChange(BaseModel):
    """The fields of a webhook to change; null removes a selection."""

    model_config = ConfigDict(extra="forbid")

    url: Url = ""
    chat_id: ChatId | None = None
    events: Events | None = None
    ticker: Ticker | None = None
    account: Account | None = None
    rule_id: RuleId | None = None
    paused: Annotated[bool, Field(strict=True)] = False


NO_WEBHOOK = described_problem("There is no such webhook.")


@app.post(
    PATH,
    scope="webhooks:write",
    retry_hint="List the webhooks first: this one may have been created.",
    summary="Create a webhook",
    responses={
        201: described_json(CreatedWebhook, "The webhook, and its secret, which is not shown again."),
        409: described_problem("There are 20 webhooks already."),
    },
)
def create_webhook(new: NewWebhook) -> Response[str]:
    """Create a webhook: the selected events are sent to its URL, as JSON or as a chat message."""
    created = subscriptions.create(new.model_dump(), app.subject)
    return json_response(
        HTTPStatus.CREATED,
        adapter(CreatedWebhook).dump_json(created),
        {"Location": f"{PATH}/{created.id}"},
    )


@app.get(
    PATH,
    scope="webhooks:write",
    summary="List webhooks",
    responses={200: described_json(list[Webhook], "Oldest first, without their secrets.")},
)
def find_webhooks() -> Response[str]:
    """List the webhooks. Slack and Telegram URLs are secrets, so only their hosts are shown."""
    found = [target.webhook for target in subscriptions.targets()]
    return json_response(HTTPStatus.OK, adapter(list[Webhook]).dump_json(found))


@app.get(
    f"{PATH}/<webhook_id>",
    scope="webhooks:write",
    summary="Get a webhook",
    responses={200: described_json(Webhook, "The webhook, without its secret."), 404: NO_WEBHOOK},
)
def get_webhook(webhook_id: Id) -> Response[str]:
    """Get one webhook."""
    return json_response(HTTPStatus.OK, adapter(Webhook).dump_json(subscriptions.get(webhook_id).webhook))


@app.patch(
    f"{PATH}/<webhook_id>",
    scope="webhooks:write",
    summary="Change, pause or resume a webhook",
    responses={200: described_json(Webhook, "The updated webhook."), 404: NO_WEBHOOK},
)
def change_webhook(webhook_id: Id, change: WebhookChange) -> Response[str]:
    """Change a webhook. While it is paused, no new events are recorded for it, and pending deliveries wait."""
    changed = subscriptions.change(webhook_id, change.model_dump(exclude_unset=True))
    return json_response(HTTPStatus.OK, adapter(Webhook).dump_json(changed))


@app.delete(
    f"{PATH}/<webhook_id>",
    scope="webhooks:write",
    summary="Delete a webhook",
    responses={200: described_json(Webhook, "The deleted webhook."), 404: NO_WEBHOOK},
)
def delete_webhook(webhook_id: Id) -> Response[str]:
    """Delete a webhook. Pending deliveries are not sent."""
    return json_response(HTTPStatus.OK, adapter(Webhook).dump_json(subscriptions.delete(webhook_id)))


@app.post(
    f"{PATH}/<webhook_id>/test",
    scope="webhooks:write",
    summary="Send a test event",
    responses={200: described_json(Delivery, "The delivery, with the receiver's answer."), 404: NO_WEBHOOK},
)
def test_webhook(webhook_id: Id) -> Response[str]:
    """Send an event of type `webhook.tested.v1` without retries; the webhook may be paused."""
    return json_response(HTTPStatus.OK, adapter(Delivery).dump_json(dispatch.test(webhook_id)))


@app.get(
    f"{PATH}/<webhook_id>/deliveries",
    scope="webhooks:write",
    summary="List the deliveries of a webhook",
    responses={
        200: described_json(
            list[Delivery], "The deliveries of the last thirty days, newest first; the Link header has the next page."
        ),
        404: NO_WEBHOOK,
    },
)
def find_deliveries(webhook_id: Id, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None) -> Response[str]:
    """List the deliveries, each with its latest twenty attempts."""
    given = app.current_event.query_string_parameters
    subscriptions.get(webhook_id)
    found, next_cursor = deliveries.find(webhook_id, limit, cursor)
    headers = next_page(f"{PATH}/{webhook_id}/deliveries", given, next_cursor)
    return json_response(HTTPStatus.OK, adapter(list[Delivery]).dump_json(found), headers)


@app.post(
    f"{PATH}/<webhook_id>/deliveries/<delivery_id>/resend",
    scope="webhooks:write",
    summary="Send a delivery again",
    responses={
        200: described_json(Delivery, "The delivery, with the receiver's answer."),
        404: described_problem("There is no such webhook or delivery."),
    },
)
def resend_delivery(webhook_id: Id, delivery_id: Id) -> Response[str]:
    """Send a delivery again, with the same `webhook-id`; if that fails, it is retried for a day."""
    return json_response(HTTPStatus.OK, adapter(Delivery).dump_json(dispatch.resend(webhook_id, delivery_id)))


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle an API Gateway HTTP API event."""
    return app.resolve(event, context)
