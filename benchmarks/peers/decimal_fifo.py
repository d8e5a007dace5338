"""A straightforward FIFO: all trades of a ticker in a list, a queue of lots, and decimals, without checkpoints."""

import os
from collections import deque
from decimal import Decimal
from typing import Any

import psycopg2

connection = psycopg2.connect(os.environ["DATABASE_URL"])
connection.autocommit = True


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Compute the position of the event's ticker; 200 if it has one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select side, quantity, price, fee from trades where ticker = %(ticker)s order by timestamp, id", event
        )
        trades = cursor.fetchall()
    lots: deque[list[Decimal]] = deque()  # remaining shares, price, fee per share
    held = 0  # 1 if the lots were bought, -1 if they were sold
    profit = Decimal(0)
    for side, quantity, price, fee in trades:
        sign = 1 if side == "BUY" else -1
        fee_of_share = fee / quantity if fee else Decimal(0)
        left = quantity
        while left and lots and sign != held:
            lot = lots[0]
            met = min(left, lot[0])
            profit += met * (sign * (lot[1] - price) - lot[2] - fee_of_share)
            left -= met
            lot[0] -= met
            if not lot[0]:
                lots.popleft()
        if left:
            held = sign
            lots.append([left, price, fee_of_share])
    quantity = held * sum(lot[0] for lot in lots)
    return {"statusCode": 200 if trades else 404, "quantity": str(quantity), "realized_profit": str(profit)}
