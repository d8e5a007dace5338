"""On deploy: bring the database's schema up to date."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading import database, migrations

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[str]]:
    """Apply the migrations that the database lacks and return their names."""
    applied = database.run(migrations.migrate, repeatable=False, atomic=True)
    logger.info("migrated", applied=applied)
    return {"applied": applied}
