import base64
import json
import re
from copy import deepcopy
from datetime import UTC, date, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema_rs
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from local.host import template
from local.host.gateway import http_event
from local.tools import openapi
from tests.conftest import GATEWAY, Call, api_answer
from trading.analysis.announcements import AnalysisCompleted, CompletedAnalysis
from trading.core import aws
from trading.notifications import events
from trading.notifications.events import Event, PriceAlerted
from trading.prices.alert_rules import Alert

DESCRIPTION = openapi.description()
OPERATIONS = [(method, path) for path, operations in DESCRIPTION["paths"].items() for method in operations]
METHODS = {"get", "post", "put", "patch", "delete", "head", "trace"}

# Without tokens: `tests/functions/test_edge.py` tries those. A copy, because links are added to it.
schema = schemathesis.openapi.from_dict(
    deepcopy(
        DESCRIPTION
        | {
            "paths": {
                path: {method: operation | {"security": []} for method, operation in operations.items()}
                for path, operations in DESCRIPTION["paths"].items()
            }
        }
    )
)
# What JSON Schema cannot say of a request, in the words that refuse it.
BEYOND_SCHEMAS = re.compile(
    "is not a valid cursor|must not be after end_date|in the future|at least a minute ago|digits|must be a whole number"
    "|must be 0 if the quantity is 0|must be less than slow|must rise|pair|has no (history|five-minute)|line [0-9]+"
    "|is required for|is not a setting of|must be below 100 for fall|must name a ticker for"
    "|is in none of the formats|has no header|must be one of auto|a time zone|ISIN:TICKER|FIELD:COLUMN|name the column"
    "|must have a year|and may have %|must be an https URL"
)


def test_the_committed_description_is_the_codes() -> None:
    committed = json.loads((template.ROOT / "docs" / "openapi.json").read_text())
    assert committed == DESCRIPTION, "run `make openapi` and commit docs/openapi.json"


def test_two_models_of_one_name_that_differ_are_refused() -> None:
    schemas = {"Trade": {"type": "object"}}
    openapi.add_schemas(schemas, {"Trade": {"type": "object"}, "Alert": {"type": "object"}})
    with pytest.raises(openapi.SchemaNameError, match="Trade"):
        openapi.add_schemas(schemas, {"Trade": {"type": "string"}})


NOON = datetime(2025, 6, 3, 12, tzinfo=UTC)
SENT: list[Event] = [
    *(
        events.read(record["body"])
        for name in ("announced", "announced_changes")
        for record in json.loads((template.ROOT / f"events/notification_publisher/{name}.json").read_text())["Records"]
    ),
    PriceAlerted.of(Alert("id", "AAPL", Decimal("100.10"), NOON, Decimal("98.00"), NOON, Decimal("2.14")), "id"),
    AnalysisCompleted(
        "id",
        "analysis.completed.v1",
        NOON,
        CompletedAnalysis(date(2025, 6, 3), "2025/06/03/trades.csv", "2025/06/03/analysis_2025-06-03.csv", 2, 0, 1, 1),
    ),
]


@pytest.mark.parametrize("event", SENT, ids=lambda event: str(event.type))
def test_what_webhooks_receive_is_as_described(event: Event) -> None:
    webhook = DESCRIPTION["webhooks"][event.type]["post"]
    body = webhook["requestBody"]["content"]["application/json"]["schema"]
    described = jsonschema_rs.Draft202012Validator({**body, "components": DESCRIPTION["components"]})
    sent = json.loads(events.write(event))
    assert described.is_valid(sent)
    assert not described.is_valid({**sent, "data": {}})


@pytest.mark.parametrize(
    ("name", "body", "is_valid"),
    [
        ("NewCorrection", {"reason": "Wrong price", "price": "1"}, True),
        ("NewCorrection", {"reason": "Wrong price", "client_trade_id": "order-1"}, False),
        ("NewAlertRule", {"ticker": "*", "kind": "fall", "percent": "3", "window_seconds": 60, "price": None}, True),
        ("NewAlertRule", {"ticker": "AAPL", "kind": "above", "price": 180}, True),
        ("NewAlertRule", {"ticker": "AAPL", "kind": "rise", "percent": "3"}, False),
        ("NewAlertRule", {"ticker": "AAPL", "kind": "below", "price": None}, False),
        ("NewAlertRule", {"ticker": "AAPL", "kind": "below", "price": 1, "percent": 1}, False),
    ],
)
def test_the_description_says_which_fields_belong_together(name: str, body: dict[str, Any], *, is_valid: bool) -> None:
    described = {"$ref": f"#/components/schemas/{name}", "components": DESCRIPTION["components"]}
    assert jsonschema_rs.Draft202012Validator(described).is_valid(body) is is_valid


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_route_that_is_described_is_deployed(method: str, path: str) -> None:
    found = GATEWAY.find(method.upper(), path.rstrip("/"))
    assert found is not None
    assert found[0].key != "$default"


@pytest.mark.parametrize("path", DESCRIPTION["paths"])
def test_a_method_that_is_not_described_answers_405(call: Call, path: str) -> None:
    described = set(DESCRIPTION["paths"][path])
    answered = described | {"options"} | ({"head"} if "get" in described else set())
    for method in METHODS - answered:
        answer = call(
            method.upper(),
            path.rstrip("/").format(
                trade_id=1,
                split_id=1,
                import_id=1,
                rule_id=1,
                simulation_id=1,
                date="2024-05-15",
                ticker="AAPL",
                webhook_id="0f3b2c1d-9e8f-4a7b-8c6d-5e4f3a2b1c0d",
                delivery_id="0f3b2c1d-9e8f-4a7b-8c6d-5e4f3a2b1c0d",
            ),
        )
        assert answer.status == 405
        assert answer.headers["allow"] == ", ".join(sorted(each.upper() for each in answered))


class Queue:
    """A queue that takes everything at once."""

    def post(self, *_: object) -> bytes:
        return b"{}"


@pytest.fixture
def silent_queue(database_url: str, shared_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database to record in, a bucket and tables, and nobody who hears of it."""
    del database_url, shared_environment
    monkeypatch.setattr(aws, "sqs", lambda *_: Queue())


# Each has an id of its own, by which several processes share the tests out; those of `schema.parametrize()` have one.
@pytest.mark.filterwarnings("default")  # the library's own
@pytest.mark.usefixtures("silent_queue")
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_whatever_is_sent_the_answer_is_as_described_and_no_server_error(method: str, path: str) -> None:
    operation = schema[path][method]
    cases = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

    @given(st.one_of(cases))
    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    def is_as_described(case: schemathesis.Case[Any]) -> None:
        assert_described(case, answered(case))

    is_as_described()


def assert_described(case: schemathesis.Case[Any], answer: schemathesis.Response) -> None:
    """Assert that an answer is as described, and refuses what the description refuses and nothing else."""
    assert case.meta is not None
    if case.meta.generation.mode is GenerationMode.NEGATIVE:
        is_sent = [] not in case.query.values()  # a list without values is nothing in a query
        refused = answer.status_code >= HTTPStatus.BAD_REQUEST
        assert refused or not is_sent, f"the description refuses {case.query!r} {case.body!r}"
    elif answer.status_code == HTTPStatus.BAD_REQUEST:
        errors = answer.json()["errors"]
        assert all(BEYOND_SCHEMAS.search(f"{error['field']} {error['message']}") for error in errors), errors
    case.validate_response(
        answer,
        checks=[not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance],
    )


def answered(case: schemathesis.Case[Any]) -> schemathesis.Response:
    """Return what the handler answers to a case, by way of an event of API Gateway's."""
    request = requests.Request(**case.as_transport_kwargs(base_url="http://localhost")).prepare()
    address = urlsplit(str(request.url))
    body = request.body
    event = http_event(
        str(request.method),
        unquote(address.path),
        query=address.query,
        headers=[(name, value) for name, value in request.headers.items() if isinstance(value, str)],
        body=body.encode() if isinstance(body, str) else bytes(body or b""),  # type: ignore[arg-type]  # no streams here
    )
    result = api_answer(event)
    return schemathesis.Response(
        status_code=result["statusCode"],
        headers={name: [value] for name, value in result["headers"].items()},
        content=base64.b64decode(result["body"]) if result["isBase64Encoded"] else result["body"].encode(),
        request=request,
        elapsed=0,
        verify=False,
    )
