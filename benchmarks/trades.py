"""Trades: recording a trade, a batch, and the first trade after a cold start, pages, and memory and package sizes."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from statistics import median
from typing import Any

from benchmarks import services
from benchmarks.measure import (
    PEERS,
    ROOT,
    Figure,
    Handler,
    Rounds,
    first_answer,
    megabytes,
    say,
    take_turns,
)
from local.host.gateway import http_event
from local.host.postgres import Postgres
from trading.core import pagination
from trading.core.values import PAGE_LIMIT
from trading.trades.ledger import _NEW_TRADES, _RECORD, BATCH_LIMIT

OURS = "benchmarks.handlers.trades_api.handler"
OURS_ANNOUNCED = "functions.trades_api.app.handler"
FLOOR = "benchmarks.handlers.trades_floor.handler"
PAGES = "benchmarks.handlers.trades_pages.handler"
PEER = "benchmarks.peers.fastapi_trades.handler"

TRADE = {
    "ticker": "MSFT",
    "price": "310.50",
    "quantity": 50,
    "side": "BUY",
    "timestamp": "2025-06-03T12:00:00Z",
}
BATCH = [TRADE] * BATCH_LIMIT
PAGE = 100
DEEP = 100_000  # rows above the thousandth page
SMALL = 10_000
POPULAR = "AAPL"

# A year of trades in time order. One ticker of 522 has a twentieth of them, which is realistic, and gives it full pages
# in a small table and a thousandth page in a large one.
_LOAD = """
insert into trades (ticker, price, quantity, side, timestamp, recorded_by, recorded_at)
select
    case when n %% 20 = 0 then %(popular)s else 'T' || chr(65 + n %% 521 / 26) || chr(65 + n %% 521 %% 26) end,
    (100 + n %% 9973 * 0.01)::numeric(18, 2),
    1 + n %% 500,
    case n %% 2 when 0 then 'BUY' else 'SELL' end,
    at,
    'local',
    at
from
    generate_series(1, %(rows)s) as n,
    lateral (select timestamptz '2025-01-01 00:00Z' + n * (interval '365 days' / %(rows)s) as at)
"""


def figures(rows: int) -> Iterator[Figure]:
    """Measure trades; the large table has `rows` rows."""
    with services.postgres() as server, services.sqs() as queue:
        environment = services.environment(services.new_database(server, "trades"), queue)
        yield from _warm_posts(environment)
        yield from _cold_starts(environment)
        yield from _batches(environment)
        yield from _memory(environment)
        yield from _pages(server, rows)
    yield from _sizes()


def _warm_posts(environment: Mapping[str, str]) -> Iterator[Figure]:
    say("  a warm POST")
    rounds = _rounds_of_posts(environment)
    yield rounds.at_most("Warm POST, against its SQL alone", 1.6, "ours", "floor")
    yield rounds.times_as_fast("Warm POST, against FastAPI and SQLAlchemy", 5, "ours", "peer")
    # The disk adds the same time to each; without it, only the programs are compared.
    hasty = f"{environment['DATABASE_URL']}?options=-csynchronous_commit%3Doff"
    rounds = _rounds_of_posts({**environment, "DATABASE_URL": hasty})
    yield rounds.at_most("- no commit waiting for the disk, against its SQL alone", None, "ours", "floor")
    yield rounds.times_as_fast("- no commit waiting for the disk, against FastAPI and SQLAlchemy", None, "ours", "peer")


def _rounds_of_posts(environment: Mapping[str, str]) -> Rounds:
    with (
        Handler(OURS, environment) as ours,
        Handler(FLOOR, environment) as floor,
        Handler(PEER, environment, PEERS) as peer,
    ):
        return take_turns(
            21,
            ours=partial(ours.call, _post(TRADE), 100, 201),
            floor=partial(floor.call, _statement([TRADE]), 100, 201),
            peer=partial(peer.call, _post(TRADE), 100, 201),
        )


def _cold_starts(environment: Mapping[str, str]) -> Iterator[Figure]:
    say("  a cold start")
    starts = {
        "ours": partial(first_answer, OURS, environment, _post(TRADE), 201),
        "announced": partial(first_answer, OURS_ANNOUNCED, environment, _post(TRADE), 201),
        "peer": partial(first_answer, PEER, environment, _post(TRADE), 201, PEERS),
    }
    for start in starts.values():
        start()  # compiles bytecode
    rounds = take_turns(15, **starts)
    yield rounds.at_most("Cold start to the first answered POST, against FastAPI and SQLAlchemy", 0.4, "ours", "peer")
    yield rounds.at_most("- with a message sent, while they send none", 0.6, "announced", "peer")


def _batches(environment: Mapping[str, str]) -> Iterator[Figure]:
    say("  a batch")
    with Handler(OURS, environment) as ours, Handler(FLOOR, environment) as floor:
        rounds = take_turns(
            11,
            ours=partial(ours.call, _post({"trades": BATCH}, "batch/"), 5, 201),
            floor=partial(floor.call, _statement(BATCH), 5, 201),
        )
    per_second = BATCH_LIMIT / median(rounds.seconds["ours"])
    yield Figure(f"Batch of {BATCH_LIMIT:,}", f"{per_second:,.0f} trades/s", ">= 20,000/s", per_second >= 20_000)
    yield rounds.at_most(f"Batch of {BATCH_LIMIT:,}, against its SQL alone", 2, "ours", "floor")


def _memory(environment: Mapping[str, str]) -> Iterator[Figure]:
    say("  memory")
    with Handler(OURS_ANNOUNCED, environment) as ours:
        ours.call(_post(TRADE), 500, 201)
        ours.call(_post({"trades": BATCH}, "batch/"), 1, 201)
        ours.call(http_event("GET", "/api/trades/", query=f"limit={PAGE_LIMIT}"), 1, 200)
        peak = ours.peak_bytes()
    yield Figure(
        f"Peak memory: 500 POSTs, a batch, a page of {PAGE_LIMIT:,}; with messages sent",
        megabytes(peak),
        "<= 120 MB",
        peak <= 120e6,
    )


def _pages(server: Postgres, rows: int) -> Iterator[Figure]:
    small = services.environment(_loaded(server, "small", SMALL))
    large = services.environment(_loaded(server, "large", rows))
    say("  pages")
    with Handler(PAGES, small) as of_small, Handler(PAGES, large) as of_large:
        for ticker, what in ((None, "page"), (POPULAR, f"page of {POPULAR} (5 % of all)")):
            for depth, which, other in ((0, "First", "first"), (DEEP, "Thousandth", "deepest")):
                rounds = take_turns(
                    21,
                    large=partial(of_large.call, _page(large["DATABASE_URL"], ticker, depth), 20, 200),
                    small=partial(of_small.call, _page(small["DATABASE_URL"], ticker, depth), 20, 200),
                )
                name = f"{which} {what} at {rows:,} rows, against the {other} at {SMALL:,}"
                yield rounds.at_most(name, 1.2, "large", "small")


def _loaded(server: Postgres, name: str, rows: int) -> str:
    """Return the URL of a new database with `rows` trades."""
    say(f"  loading {rows:,} trades")
    return services.loaded(server, name, _LOAD, rows=rows, popular=POPULAR)


def _sizes() -> Iterator[Figure]:
    layers = sorted((ROOT / ".aws-sam" / "build").glob("*/python"))
    if not layers:
        yield Figure("Layers, unzipped", "not built: run `make build` first")
    for layer in layers:
        size = sum(path.stat().st_size for path in layer.rglob("*") if path.is_file())
        yield Figure(f"{layer.parent.name}, unzipped", megabytes(size))


def _post(body: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    return http_event(
        "POST",
        f"/api/trades/{path}",
        headers=[("Content-Type", "application/json")],
        body=json.dumps(body).encode(),
    )


def _statement(trades: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the statement of the floor: the one that `ledger.record` sends for the same trades."""
    new = _NEW_TRADES.dump_json(_NEW_TRADES.validate_python(trades)).decode()
    parameters = {"trades": new, "recorded_by": "local"}
    return {"statement": _RECORD, "parameters": parameters, "atomic": len(trades) > 1}


def _page(database: str, ticker: str | None, depth: int) -> dict[str, Any]:
    """Return the filter of a full page `depth` rows down, or as deep as the table allows."""
    event = {"limit": PAGE, **({"ticker": ticker} if ticker else {})}
    if not depth:
        return event
    where = "where ticker = %(ticker)s" if ticker else ""
    with services.cursor_of(database) as cursor:
        cursor.execute(f"select count(*) from trades {where}", event)  # noqa: S608 - one of two constants
        (count,) = cursor.fetchone() or (0,)
        cursor.execute(
            f"select timestamp, id from trades {where} order by timestamp desc, id desc"  # noqa: S608
            " offset %(above)s - 1 limit 1",
            # A page reads one row more than it returns, which the deepest page needs too.
            {**event, "above": min(depth, count - PAGE - 1)},
        )
        timestamp, row_id = cursor.fetchone() or (None, None)
    return {**event, "cursor": pagination.encode_cursor(timestamp, row_id)}
