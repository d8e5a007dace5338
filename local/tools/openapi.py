"""`python -m local.tools.openapi`: generates the OpenAPI 3.1 description of the HTTP API from the code."""

import json
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer, License

from functions.imports_api.app import app as imports_api
from functions.positions_api.app import app as positions_api
from functions.prices_api.app import app as prices_api
from functions.strategy_simulator.app import app as strategy_simulator
from functions.trade_analyzer.app import app as trade_analyzer
from functions.trades_api.app import app as trades_api
from functions.webhooks_api.app import app as webhooks_api
from trading.http.api import SECURITY_SCHEME, HttpApi
from trading.notifications import events

APPS = (trades_api, imports_api, positions_api, prices_api, trade_analyzer, strategy_simulator, webhooks_api)
VALIDATION_MODELS = ("HTTPValidationError", "ResponseValidationError", "ValidationError")  # Powertools' own
WITHOUT_DATABASE = (trade_analyzer,)
# Of https://www.standardwebhooks.com.
WEBHOOK_HEADERS = {
    "webhook-id": "The event's id, the same at each attempt.",
    "webhook-timestamp": "The time of this attempt, in seconds since 1970.",
    "webhook-signature": "The signature of the id, the timestamp and the body.",
}
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


class SchemaNameError(Exception):
    """Two functions have different models of the same name."""


def description() -> dict[str, Any]:
    """Return the description of every route of every function, and of what webhooks receive."""
    api: dict[str, Any] = {}
    for app in APPS:
        part = _described(app)
        if not api:
            api = part
        else:
            api["paths"] |= part["paths"]
            add_schemas(api["components"]["schemas"], part["components"]["schemas"])
    api["webhooks"], schemas = _webhooks()
    add_schemas(api["components"]["schemas"], schemas)
    return api


def add_schemas(schemas: dict[str, Any], others: dict[str, Any]) -> None:
    """Add the schemas of another function.

    Raises:
        SchemaNameError: two different schemas have the same name, so one would be lost.
    """
    for name, schema in others.items():
        if schemas.setdefault(name, schema) != schema:
            raise SchemaNameError(f"two models are called {name}, and differ: rename one")


def _webhooks() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the requests that a webhook receives, by event type, and the schemas of their bodies."""
    app = APIGatewayHttpResolver(enable_validation=True)
    for kind, event in events.KINDS.items():

        def send() -> None: ...

        send.__annotations__ = {"return": event}  # the body is described as an answer would be
        app.get(f"/{kind}", summary=str(event.__doc__).partition(".")[0])(send)
    api: dict[str, Any] = json.loads(app.get_openapi_json_schema())
    parameters = [
        {"name": name, "in": "header", "required": True, "description": meaning, "schema": {"type": "string"}}
        for name, meaning in WEBHOOK_HEADERS.items()
    ]
    webhooks = {
        path.removeprefix("/"): {
            "post": {
                "summary": operation["get"]["summary"],
                "tags": ["webhooks"],
                "parameters": parameters,
                "requestBody": {"required": True, "content": operation["get"]["responses"]["200"]["content"]},
                "responses": {
                    "2XX": {"description": "The event is delivered; after any other answer it is sent again."},
                    "410": {"description": "The webhook is paused."},
                },
            }
        }
        for path, operation in api["paths"].items()
    }
    schemas = api["components"]["schemas"]
    return webhooks, {name: schema for name, schema in schemas.items() if name not in VALIDATION_MODELS}


def _described(app: HttpApi) -> dict[str, Any]:
    """Return the description of a function's routes.

    The 422 that the resolver adds to every route is replaced with the problems that any route may return.
    """
    text = app.get_openapi_json_schema(
        title="Trading",
        version="1",
        description="Record, import and list trades, read positions and profit, publish prices and list alerts, read"
        " daily analyses, backtest a strategy, and subscribe to events. Errors are problems (RFC 9457) that name the"
        " field.",
        license_info=License(name="MIT"),
        security_schemes={
            SECURITY_SCHEME: HTTPBearer(bearerFormat="JWT", description="An access token with the route's scope.")
        },
    )
    api: dict[str, Any] = json.loads(text)
    for operations in api["paths"].values():
        for operation in operations.values():
            del operation["responses"]["422"]
            for status, meaning in _common_problems(operation, has_database=app not in WITHOUT_DATABASE).items():
                operation["responses"][status] = {"description": meaning, "content": PROBLEM}
            for parameter in operation.get("parameters", []):
                _forget_null(parameter["schema"])
    for name in VALIDATION_MODELS:
        del api["components"]["schemas"][name]
    return api


def _common_problems(operation: dict[str, Any], *, has_database: bool) -> dict[str, str]:
    problems = {
        "400": "Something is malformed or out of range: `errors` names each field.",
        "500": "An unexpected error occurred; the request id is in `detail`.",
    }
    if operation.get("security"):
        problems["401"] = "There is no valid access token."
        problems["403"] = "The access token does not have the route's scope."
    if has_database:
        problems["503"] = "The system is temporarily unavailable; try again after the seconds in Retry-After."
    if "requestBody" in operation:
        accepted = " or ".join(operation["requestBody"]["content"])
        problems |= {"413": "The body is too large.", "415": f"The body is not {accepted}."}
    return problems


def _forget_null(schema: dict[str, Any]) -> None:
    """Remove null from the type of an optional parameter, because query strings have no null."""
    options = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1:
        del schema["anyOf"]
        schema.update(options[0])


if __name__ == "__main__":
    print(json.dumps(description(), indent=2))
