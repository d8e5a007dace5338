"""`python -m local.tools.openapi`: the HTTP API's description (OpenAPI 3.1), made from the code that answers."""

import json
from typing import Any

from aws_lambda_powertools.event_handler.openapi.models import License

from functions.prices_api.app import app as prices_api
from functions.strategy_simulator.app import app as strategy_simulator
from functions.trade_analyzer.app import app as trade_analyzer
from functions.trades_api.app import app as trades_api
from trading.http.api import HttpApi

APPS = (trades_api, prices_api, trade_analyzer, strategy_simulator)
WITHOUT_DATABASE = (trade_analyzer,)
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def description() -> dict[str, Any]:
    """Return the description of every route of every function."""
    api: dict[str, Any] = {}
    for app in APPS:
        part = _described(app)
        if not api:
            api = part
        else:
            api["paths"] |= part["paths"]
            api["components"]["schemas"] |= part["components"]["schemas"]
    return api


def _described(app: HttpApi) -> dict[str, Any]:
    """Return the description of a function's routes.

    The resolver announces its own 422 everywhere; the problems that any route may answer stand there instead.
    """
    text = app.get_openapi_json_schema(
        title="Trading",
        version="1",
        description="Record trades and find them, publish prices and find rises, read what a day's trades come to,"
        " simulate a strategy. Errors are problems (RFC 9457) that name the field.",
        license_info=License(name="MIT"),
    )
    api: dict[str, Any] = json.loads(text)
    for operations in api["paths"].values():
        for operation in operations.values():
            del operation["responses"]["422"]
            for status, meaning in _common_problems(operation, has_database=app not in WITHOUT_DATABASE).items():
                operation["responses"][status] = {"description": meaning, "content": PROBLEM}
            for parameter in operation.get("parameters", []):
                _forget_null(parameter["schema"])
    for name in ("HTTPValidationError", "ResponseValidationError", "ValidationError"):
        del api["components"]["schemas"][name]
    return api


def _common_problems(operation: dict[str, Any], *, has_database: bool) -> dict[str, str]:
    problems = {
        "400": "Something is malformed or out of range: `errors` names each field.",
        "500": "Something went wrong here; the request id is in `detail`.",
    }
    if has_database:
        problems["503"] = "The database is away: try again after the seconds in Retry-After."
    if "requestBody" in operation:
        [media_type] = operation["requestBody"]["content"]
        problems |= {"413": "The body is too large.", "415": f"The body is not {media_type}."}
    return problems


def _forget_null(schema: dict[str, Any]) -> None:
    """Leave the null of an optional parameter out: in a query there is no such thing."""
    options = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1:
        del schema["anyOf"]
        schema.update(options[0])


if __name__ == "__main__":
    print(json.dumps(description(), indent=2))
