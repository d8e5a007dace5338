"""Trade files for benchmarks, generated from a fixed seed."""

from typing import Any

import duckdb

# A day in time order. Tickers, prices and quantities are random and uniformly distributed.
_TRADES = """
copy (
    select
        chr(65 + t // 26) || chr(65 + t % 26) as ticker,
        price,
        quantity,
        if(is_bought, 'BUY', 'SELL') as side,
        strftime(timestamp '2024-05-15' + to_microseconds(n * 86_400_000_000 // $rows), '%Y-%m-%dT%H:%M:%SZ')
            as timestamp{more}
    from (
        select
            n,
            floor(random() * $tickers)::int as t,
            (random() * 1_000)::decimal(18, 2) as price,
            1 + floor(random() * 1_000)::int as quantity,
            random() < 0.5 as is_bought
        from range($rows) as numbers(n)
    )
) to '{file}' (format csv, header)
"""
_EXPORTED = ", n + 1 as trade_id, 'main' as account, '0.35' as fee, 'USD' as currency"
# One of each kind of rejected line, to follow the ticker of the line that it replaces.
_BAD = (
    b"%b,abc,1,BUY,2024-05-15T10:00:00Z",
    b"%b,-1.50,1,BUY,2024-05-15T10:00:00Z",
    b"%b,1.1234567,1,BUY,2024-05-15T10:00:00Z",
    b"%b,1.50,x,BUY,2024-05-15T10:00:00Z",
    b"%b,1.50,1,HOLD,2024-05-15T10:00:00Z",
    b"x%b,1.50,1,BUY,2024-05-15T10:00:00Z",
    b"%b,1.50,1,BUY,2024-02-30T10:00:00Z",
    b"%b,1.50,1,BUY",
    b"%b,1,500.00,1,BUY,2024-05-15T10:00:00Z",
    b'%b,"1.50,1,BUY,2024-05-15T10:00:00Z',
    b"%b\xff,1.50,1,BUY,2024-05-15T10:00:00Z",
)
ONE_BAD_IN = 100


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Write a file with the event's number of rows, or a copy of an existing one with 1% bad lines."""
    if "clean" in event:
        _spoil(event["clean"], event["file"])
    else:
        with duckdb.connect(config={"threads": 1}) as connection:  # one thread: the same rows each time
            connection.execute("select setseed(0.5)")
            trades = _TRADES.format(file=event["file"], more=_EXPORTED if event["is_export"] else "")
            connection.execute(trades, {"rows": event["rows"], "tickers": event["tickers"]})
    return {"statusCode": 200}


def _spoil(clean: str, file: str) -> None:
    with open(clean, "rb") as lines, open(file, "wb") as spoilt:  # noqa: PTH123 - a name from an event
        for number, line in enumerate(lines):
            if number % ONE_BAD_IN == ONE_BAD_IN // 2:
                spoilt.write(_BAD[number // ONE_BAD_IN % len(_BAD)] % line.partition(b",")[0] + b"\n")
            else:
                spoilt.write(line)
