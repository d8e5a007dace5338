"""The floor of recording trades: only the statement that is sent to PostgreSQL."""

import os
from typing import Any

import psycopg2

connection = psycopg2.connect(os.environ["DATABASE_URL"])
connection.autocommit = True


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Execute the event's statement and read its rows."""
    with connection.cursor() as cursor:
        if event["atomic"]:
            cursor.execute("begin")
        cursor.execute(event["statement"], event["parameters"])
        cursor.fetchall()
        if event["atomic"]:
            cursor.execute("commit")
    return {"statusCode": 201}
