"""The floor of recording prices: only the statements that the function sends to PostgreSQL for the same batch."""

import os
from typing import Any

import psycopg2

from functions.price_processor import app
from trading.core import database

connection = psycopg2.connect(os.environ["FLOOR_URL"])
connection.autocommit = True
statements: list[bytes] = []


class _Recording(database._Cursor):  # noqa: SLF001 - statements with their parameters are known here only
    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 - the name is the base class's
        super().execute(query, vars)
        statements.append(self.query or b"")


database._Cursor = _Recording  # type: ignore[misc]  # noqa: SLF001


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process a batch and keep its statements; without a batch, execute those in another database and read the rows."""
    if event:
        statements.clear()
        failed = app.handler(event, context)["batchItemFailures"]
        return {"statusCode": 500 if failed else 200}
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
            if cursor.description:
                cursor.fetchall()
    return {"statusCode": 200}
