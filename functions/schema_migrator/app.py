"""On deploy: bring the database's schema up to date, and tell CloudFormation how that went."""

import json
import time
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading.core import database, migrations

# Left over after the last moment at which the schema may still change: to say that it did not.
RESERVE_SECONDS = 30

ATTEMPTS = 3
TIMEOUT_SECONDS = 10
REASON_LIMIT = 1_000  # characters; the whole answer may have 4 KB

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[str]]:
    """Apply the migrations that the database lacks and return their names.

    Woken by hand it answers that; woken by CloudFormation, which waits for a custom resource, it tells CloudFormation
    too, of a failure at once. Nothing is done when that resource is deleted: the data are not its. A stack that is
    updated has had a schema since it was created, so it is not given a second one in a database that is empty.
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
    """Tell CloudFormation that a request was met, or why not, at the address that came with it.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref.html

    Raises:
        OSError, http.client.HTTPException: the address took no answer in three attempts, and CloudFormation waits on.
    """
    body = json.dumps(
        {
            "Status": "FAILED" if failure else "SUCCESS",
            "Reason": (failure or "")[:REASON_LIMIT],
            "PhysicalResourceId": event.get("PhysicalResourceId", physical_id),
            **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
        }
    ).encode()
    # The address is signed for a request without a type.
    request = urllib.request.Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT")  # noqa: S310
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310
                return
        except (OSError, HTTPException):  # refused, timed out, hung up, or answered with something else than HTTP
            if attempt == ATTEMPTS:
                raise
            time.sleep(attempt)
