"""Trades: recording one, a batch, the first after a cold start, reading a page at any size, and what it all weighs."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from trading import pages
from trading.trades import _NEW_TRADES, _RECORD, BATCH_LIMIT, PAGE_LIMIT, NewTrade

from benchmarks import services
from benchmarks.measure import (
    PEERS,
    ROOT,
    Figure,
    Handler,
    Rounds,
    first_answer,
    milliseconds,
    ratio,
    say,
    take_turns,
)
from local.gateway import http_event
from local.postgres import Postgres

OURS = "benchmarks.handlers.trades_api.handler"
WITH_BOTO3 = "functions.trades_api.app.handler"
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
SMALL = 10_000
POPULAR = "AAPL"
PAGE = 100
DEPTH = 1_000  # pages
MEGABYTE = 1_000_000
LAMBDA_LIMIT = 250 * 1024 * 1024  # of a function and its layers, unzipped


def figures(rows: int) -> list[Figure]:
    """Measure everything about trades; the large table has so many rows."""
    with services.postgres() as server, services.sqs() as queue:
        environment = _environment(services.new_database(server, "trades"), queue)
        return [
            *_warm_posts(environment),
            *_cold_starts(environment),
            *_batches(environment),
            *_memory(environment),
            *_pages(server, rows),
            *_sizes(),
        ]


def _environment(database: str, queue: str = "http://127.0.0.1:9") -> dict[str, str]:
    return {
        "DATABASE_URL": database,
        "NOTIFICATIONS_QUEUE_URL": f"{queue}/123456789012/notifications",
        "AWS_ENDPOINT_URL": queue,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "POWERTOOLS_SERVICE_NAME": "trades_api",
    }


def _warm_posts(environment: Mapping[str, str]) -> list[Figure]:
    say("  a warm POST")
    with (
        Handler(OURS, environment) as ours,
        Handler(FLOOR, environment) as floor,
        Handler(PEER, environment, PEERS) as peer,
    ):
        post = partial(ours.call, _posted(TRADE), 100, 201)
        taken = take_turns(
            {
                "ours": post,
                "floor": partial(floor.call, _statement(TRADE), 100, 201),
                "peer": partial(peer.call, _posted(TRADE), 100, 201),
            },
            rounds=21,
        )
    return [
        _against("A warm POST, against its SQL alone", taken, "ours", "floor", 2),
        _times_faster("A warm POST, against FastAPI", taken, 5),
    ]


def _cold_starts(environment: Mapping[str, str]) -> list[Figure]:
    say("  a cold start")
    contenders = {
        "ours": partial(first_answer, OURS, environment, _posted(TRADE), 201),
        "boto3": partial(first_answer, WITH_BOTO3, environment, _posted(TRADE), 201),
        "peer": partial(first_answer, PEER, environment, _posted(TRADE), 201, PEERS),
    }
    for start in contenders.values():
        start()  # compiles what is not compiled yet
    taken = take_turns({name: lambda start=start: [start()] for name, start in contenders.items()}, rounds=15)
    slower = ratio(taken, "boto3", "peer")
    return [
        _against("The first POST of a cold start, against FastAPI", taken, "ours", "peer", 0.5),
        Figure(
            "  the same, boto3 and its first message included",
            f"{milliseconds(taken['boto3'])}, {slower:.2f} x {milliseconds(taken['peer'])}",
        ),
    ]


def _batches(environment: Mapping[str, str]) -> list[Figure]:
    say("  a batch")
    trades = [TRADE] * BATCH_LIMIT
    with Handler(OURS, environment) as ours, Handler(FLOOR, environment) as floor:
        taken = take_turns(
            {
                "ours": partial(ours.call, _posted({"trades": trades}, "batch/"), 5, 201),
                "floor": partial(floor.call, _statement(*trades), 5, 201),
            },
            rounds=11,
        )
    per_second = BATCH_LIMIT / _median(taken["ours"])
    return [
        Figure.at_least(
            f"A batch of {BATCH_LIMIT:,}", per_second, 20_000, f"{per_second:,.0f} trades/s", ">= 20,000 trades/s"
        ),
        _against(f"A batch of {BATCH_LIMIT:,}, against its SQL alone", taken, "ours", "floor", 2),
    ]
