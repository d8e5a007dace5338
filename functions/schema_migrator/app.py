"""On deploy: bring the database's schema up to date, and tell CloudFormation how that went."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading import cloudformation
from trading.core import database, migrations

# Left over after the last moment at which the schema may still change: to say that it did not.
RESERVE_SECONDS = 30

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
        cloudformation.answer(event, "schema", f"{type(error).__name__}: {error} - the log has request {_id(context)}")
        raise
    cloudformation.answer(event, "schema")
    return {"applied": applied}


def _migrate(context: LambdaContext, *, may_begin: bool = True) -> list[str]:
    seconds = context.get_remaining_time_in_millis() / 1_000 - RESERVE_SECONDS
    applied = database.run(
        lambda cursor: migrations.migrate(cursor, seconds, may_begin=may_begin),
        repeatable=False,
        atomic=True,
    )
    logger.info("migrated", applied=applied)
    return applied


def _id(context: LambdaContext) -> str:
    return str(context.aws_request_id)
