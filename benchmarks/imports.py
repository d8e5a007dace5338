"""Imports: a dry run, an import, a repeated import and a comparison of a file with 50,000 trades."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from benchmarks import services
from benchmarks.measure import Figure, Handler, megabytes, say
from local.host.gateway import http_event

OURS = "functions.imports_api.app.handler"
ROWS = 50_000
SECONDS = 10
PEAK_BYTES = 200e6
TICKERS = ("AAPL", "MSFT", "TSLA", "NVDA", "JPM")
REQUESTS = {
    "Dry run": "dry_run=true",
    "Import": "",
    "The same file again": "",
    "Comparison": "mode=compare",
}


def figures(rows: int) -> Iterator[Figure]:
    """Measure all operations on a file, whose length does not depend on `rows`."""
    del rows
    with services.postgres() as server:
        environment = services.environment(services.new_database(server, "imports"))
        say(f"  a file of {ROWS:,} trades")
        with Handler(OURS, environment) as ours:
            for name, query in REQUESTS.items():
                [seconds] = ours.call(_request(query), 1, 200)
                yield Figure(f"{name}, {ROWS:,} rows", f"{seconds:.1f} s", f"<= {SECONDS} s", seconds <= SECONDS)
            peak = ours.peak_bytes()
    yield Figure("Peak memory of one process for all of these", megabytes(peak), "<= 200 MB", peak <= PEAK_BYTES)


def _request(query: str) -> dict[str, Any]:
    headers = [("Content-Type", "application/octet-stream")]
    return http_event("POST", "/api/imports", query=query, headers=headers, body=_file())


def _file() -> bytes:
    """Return a file in the format with the longest rows, which have broker ids."""
    first = date(2020, 1, 1)
    lines = ["Action,Time,ISIN,Ticker,No. of shares,Price / share,Currency (Price / share),ID"]
    for number in range(ROWS):
        day = first + timedelta(days=number * 1_800 // ROWS)
        side = "sell" if number % 2 else "buy"
        clock = f"10:{number % 60:02}:00"
        price = f"{100 + number % 900}.{number % 100:02}"
        ticker = TICKERS[number % len(TICKERS)]
        lines.append(f"Market {side},{day} {clock},,{ticker},{1 + number % 900},{price},USD,E{number:07}")
    return "\n".join(lines).encode()
