"""The floor of summarizing a file: a plain DuckDB query without validation."""

from typing import Any

import duckdb

_READ = """
select
    ticker, count(*), sum(quantity), sum(price * quantity), sum(price), max(price), min(price),
    sum(quantity) filter (where side = 'BUY'), sum(quantity) filter (where side = 'SELL'),
    min(timestamp), arg_min(price, timestamp), max(timestamp), arg_max(price, timestamp)
from read_csv(
    $file, auto_detect = false, header = true, columns = {
        'ticker': 'VARCHAR', 'price': 'DECIMAL(18, 6)', 'quantity': 'DECIMAL(19, 10)', 'side': 'VARCHAR',
        'timestamp': 'TIMESTAMP'
    }
)
group by ticker
"""


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Read the event's file with the event's number of threads; 200 if it has the expected rows."""
    with duckdb.connect(config={"threads": event["threads"]}) as connection:
        rows = connection.execute(_READ, {"file": event["file"]}).fetchall()
    return {"statusCode": 200 if sum(row[1] for row in rows) == event["rows"] else 500}
