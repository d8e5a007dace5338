"""On deployment: migrates the database schema and reports the result to CloudFormation."""

import json
import time
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading.core import database, migrations

# Reserved after the deadline of the migrations, to report a failure.
RESERVE_SECONDS = 30

ATTEMPTS = 3
TIMEOUT_SECONDS = 10
REASON_LIMIT = 1_000  # characters; the whole response is limited to 4 KB

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[str]]:
    """Apply pending migrations and return their names.

    If invoked by CloudFormation for the custom resource, also report success or failure to it. Deleting that resource
    does nothing, because the data must stay. When a stack is updated, an empty database is refused, because the stack
    has had a schema since its creation.
    """
    kind = event.get("RequestType")
    if kind is None:
        return {"applied": _migrate(context)}
    try:
        applied = [] if kind == "Delete" else _migrate(context, may_begin=kind == "Create")
    except Exception as error:
        _answer(event, "schema", f"{type(error).__name__}: {error} - the log has request {_id(context)}")
        raise
    _answer(event, "schema")
    return {"applied": applied}


def _migrate(context: LambdaContext, *, may_begin: bool = True) -> list[str]:
    seconds = context.get_remaining_time_in_millis() / 1_000 - RESERVE_SECONDS
    applied = database.run(lambda cursor: migrations.migrate(cursor, seconds, may_begin=may_begin), repeatable=False)
    logger.info("migrated", applied=applied)
    return applied


def _id(context: LambdaContext) -> str:
    return str(context.aws_request_id)


def _answer(event: Mapping[str, Any], physical_id: str, failure: str | None = None) -> None:
    """Report success or failure to CloudFormation at the request's ResponseURL.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref.html

    Raises:
        OSError, http.client.HTTPException: three attempts failed; CloudFormation waits until it times out.
    """
    body = json.dumps(
        {
            "Status": "FAILED" if failure else "SUCCESS",
            "Reason": (failure or "")[:REASON_LIMIT],
            "PhysicalResourceId": event.get("PhysicalResourceId", physical_id),
            **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
        }
    ).encode()
    # The URL is signed for a request without a content type.
    request = urllib.request.Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT")  # noqa: S310
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310
                return
        except (OSError, HTTPException):  # refused, timed out, closed, or not HTTP
            if attempt == ATTEMPTS:
                raise
            time.sleep(attempt)
