"""Prices: judging a tick, and recording what a batch of them comes to."""

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import batched, count
from statistics import median
from typing import Any

from benchmarks import services
from benchmarks.handlers import price_broadcaster, price_processor
from benchmarks.measure import Figure, Handler, Rounds, say, take_turns
from benchmarks.peers.rise_detector import RiseDetector
from benchmarks.peers.window_scan import WindowScan
from local.host.gateway import http_event
from trading.core import queues
from trading.prices.alert_rules import DEFAULT_RULE, ActiveRule, AlertRule, Detector
from trading.prices.ticks import PRICES_LIMIT, Tick, frame
from trading.streaming import broadcasts

NOON = datetime(2025, 6, 3, 12, tzinfo=UTC)
WINDOW_SECONDS = 60
TICKS = 20_000
TICKERS = 10
MESSAGES = 10  # of a batch, as many as Lambda takes off a FIFO queue
TICKS_OF_A_MESSAGE = 50
_INSERT_RULE = (
    "insert into alert_rules (ticker, kind, percent, window_seconds, price, active_from, created_by)"
    " values ('AAPL', %s, %s, %s, %s, '0001-01-01T00:00:00Z', 'benchmark')"
)


def figures(_: int) -> Iterator[Figure]:
    """Measure everything about prices."""
    yield from _rule()
    yield from _rules()
    yield from _publisher()
    yield from _processor()
    yield from _processor_of_rules()
    yield from _broadcaster()


def _rule() -> Iterator[Figure]:
    say("  the rule")
    ticks = _rising(in_window=1_000)
    text = frame(ticks)
    few, many = _rising(in_window=10), _rising(in_window=10_000)
    rounds = take_turns(
        11,
        ours=lambda: _judged(ticks),
        json=lambda: _timed(partial(json.loads, text)),
        few=lambda: _judged(few),
        many=lambda: _judged(many),
        peer=lambda: _scanned(ticks[:3_000]),
    )
    per_second = TICKS / median(rounds.seconds["ours"])
    as_json = median(ours / theirs for ours, theirs in zip(rounds.seconds["ours"], rounds.seconds["json"], strict=True))
    yield Figure(
        "Ticks judged, on one processor",
        f"{per_second:,.0f}/s, {as_json:.2f} x reading them as JSON",
        ">= 400,000/s or <= 2 x",
        per_second >= 400_000 or as_json <= 2,
    )
    yield rounds.at_most("A tick with 10,000 in its window, against one with 10", 1.2, "many", "few")
    each = Rounds(
        {
            "ours": [seconds / TICKS for seconds in rounds.seconds["ours"]],
            "peer": [seconds / 2_000 for seconds in rounds.seconds["peer"]],
        }
    )
    yield each.times_as_fast("A tick with 1,000 in its window, against scanning the window", 100, "ours", "peer")


def _rules() -> Iterator[Figure]:
    say("  fifty rules")
    rising, walking = _rising(in_window=1_000), _walking()
    one, fifty = [ActiveRule(DEFAULT_RULE)], [ActiveRule(rule) for rule in _fifty_rules()]
    rounds = take_turns(
        21,
        floor=lambda: _updated(RiseDetector().update, rising),
        one=lambda: _judged(rising, one),
        fifty=lambda: _judged(rising, fifty),
        floor_walking=lambda: _updated(RiseDetector().update, walking),
        one_walking=lambda: _judged(walking, one),
        fifty_walking=lambda: _judged(walking, fifty),
    )
    yield rounds.at_most("The default rule alone, against a detector of nothing else", 1.1, "one", "floor")
    yield rounds.at_most("- prices that walk at random", 1.1, "one_walking", "floor_walking")
    yield rounds.at_most("50 rules on one ticker, against the default rule alone", 5, "fifty", "one")
    yield rounds.at_most("- prices that walk at random", 5, "fifty_walking", "one_walking")


def _publisher() -> Iterator[Figure]:
    say("  the publisher")
    with services.sqs() as queue:
        environment = {**services.environment("", queue), "PRICES_QUEUE_URL": f"{queue}/123456789012/prices.fifo"}
        with Handler("functions.prices_api.app.handler", environment) as publisher:
            few, many = (_publication(tickers) for tickers in (TICKERS, PRICES_LIMIT))
            rounds = take_turns(21, few=lambda: publisher.call(few, 1, 202), many=lambda: publisher.call(many, 1, 202))
    for name, tickers in (("few", TICKERS), ("many", PRICES_LIMIT)):
        milliseconds = median(rounds.seconds[name]) * 1_000
        calls = -(-tickers // queues.BATCH_LIMIT)
        yield Figure(
            f"A POST of {PRICES_LIMIT} prices of {tickers} tickers: calls of SQS",
            f"{calls}, {milliseconds:.1f} ms in all",
        )


def _publication(tickers: int) -> dict[str, Any]:
    prices = [
        {"ticker": f"W{chr(65 + number % tickers // 26)}{chr(65 + number % tickers % 26)}", "price": "100.10"}
        for number in range(PRICES_LIMIT)
    ]
    body = {"prices": [{**price, "timestamp": NOON.isoformat()} for price in prices]}
    headers = [("Content-Type", "application/json")]
    return http_event("POST", "/api/prices", headers=headers, body=json.dumps(body).encode())


def _processor() -> Iterator[Figure]:
    say("  the processor")
    with services.postgres() as server, services.sqs() as queue:
        databases = [services.new_database(server, name) for name in ("prices", "prices_of_floor", "floor")]
        environment, of_floor = (
            {
                **services.environment(database, queue),
                "BROADCAST_QUEUE_URL": f"{queue}/123456789012/broadcasts",
                "FLOOR_URL": databases[2],
            }
            for database in databases[:2]
        )
        with (
            Handler(f"{price_processor.__name__}.handler", environment) as processor,
            Handler("benchmarks.handlers.prices_floor.handler", of_floor) as floor,
        ):

            def statements_alone(batch: dict[str, Any]) -> list[float]:
                floor.call(batch, 1, 200)
                return floor.call({}, 1, 200)

            batches, wide_batches = ([make(number) for number in range(55)] for make in (_batch, _wide_batch))
            mine, theirs, my_wide, their_wide = map(iter, (batches, batches, wide_batches, wide_batches))
            rounds = take_turns(
                55,
                ours=lambda: processor.call(next(mine), 1, 200),
                floor=lambda: statements_alone(next(theirs)),
                wide=lambda: processor.call(next(my_wide), 1, 200),
                floor_wide=lambda: statements_alone(next(their_wide)),
            )
    ticks = MESSAGES * TICKS_OF_A_MESSAGE
    for name, floor_name, tickers, target in (
        ("ours", "floor", TICKERS, 25_000),
        ("wide", "floor_wide", ticks, 10_000),
    ):
        per_second = ticks / median(rounds.seconds[name])
        yield Figure(
            f"Ticks recorded by one process, {ticks} of {tickers} tickers at a time",
            f"{per_second:,.0f}/s",
            f">= {target:,}/s",
            per_second >= target,
        )
        yield rounds.at_most("- against its SQL alone", None, name, floor_name)


def _processor_of_rules() -> Iterator[Figure]:
    say("  the processor of fifty rules")
    with services.postgres() as server, services.sqs() as queue, ExitStack() as stack:
        processors = {}
        for name, rules in (("one", []), ("fifty", _fifty_rules())):
            database = services.new_database(server, f"rules_{name}")
            with services.cursor_of(database) as cursor:
                cursor.executemany(
                    _INSERT_RULE, [(rule.kind, rule.percent, rule.window_seconds, rule.price) for rule in rules]
                )
            environment = {
                **services.environment(database, queue),
                "BROADCAST_QUEUE_URL": f"{queue}/123456789012/broadcasts",
            }
            processors[name] = stack.enter_context(Handler(f"{price_processor.__name__}.handler", environment))
        walking = _walking()
        batches = {name: map(partial(_batch_of_one, walking), count()) for name in processors}
        rounds = take_turns(
            35,
            one=lambda: processors["one"].call(next(batches["one"]), 1, 200),
            fifty=lambda: processors["fifty"].call(next(batches["fifty"]), 1, 200),
        )
    ticks = MESSAGES * TICKS_OF_A_MESSAGE
    yield rounds.at_most(f"{ticks} ticks of one ticker recorded with 50 rules, against one", 5, "fifty", "one")


def _broadcaster() -> Iterator[Figure]:
    say("  the broadcaster")
    ticks = [Tick(f"T{chr(65 + number)}", Decimal("100.10"), NOON) for number in range(TICKERS)]
    told = [
        {"ticker": each.ticker, "price": str(each.price), "timestamp": each.timestamp.isoformat()} for each in ticks
    ]
    body = json.dumps({"type": "prices.broadcast.v1", "prices": told, "alerts": []})
    fresh = {"ApproximateReceiveCount": "1", "SentTimestamp": "0", "ApproximateFirstReceiveTimestamp": "10"}
    event = {"Records": [{"messageId": "1", "body": body, "attributes": fresh}]}
    frames = {"frame": frame(ticks), "sockets": services.CONNECTIONS, "at_once": broadcasts.POSTS_AT_ONCE}
    with services.sockets() as there:
        environment = {**services.environment("", there), "CONNECTIONS_TABLE": "connections", "SOCKETS_URL": there}
        with (
            Handler(f"{price_broadcaster.__name__}.handler", environment) as broadcaster,
            Handler("benchmarks.handlers.sockets_floor.handler", environment) as floor,
            Handler("benchmarks.handlers.sockets_boto3.handler", environment) as peer,
        ):
            broadcaster.call(event, 1, 200)
            before = broadcaster.processor_seconds()
            rounds = take_turns(
                11,
                ours=lambda: broadcaster.call(event, 1, 200),
                floor=lambda: floor.call(frames, 1, 200),
                peer=lambda: peer.call(frames, 1, 200),
            )
            processor_seconds = (broadcaster.processor_seconds() - before) / len(rounds.seconds["ours"])
    per_second = services.CONNECTIONS / median(rounds.seconds["ours"])
    yield Figure(
        f"Sockets posted to by one process, {services.CONNECTIONS:,} at a time",
        f"{per_second:,.0f}/s",
        ">= 4,000/s",
        per_second >= 4_000,
    )
    per_second = services.CONNECTIONS / processor_seconds
    yield Figure("- for each second of its processor", f"{per_second:,.0f}", ">= 4,000", per_second >= 4_000)
    yield rounds.at_most("- against the same bytes, signed once for all", None, "ours", "floor")
    yield rounds.times_as_fast("- against boto3's client", None, "ours", "peer")


def _rising(in_window: int) -> list[Tick]:
    """Return ticks so many to a window, each a little higher than the last: no low leaves the queue before its time."""
    step = timedelta(seconds=WINDOW_SECONDS) / in_window
    rise = Decimal("0.01") / in_window  # one percent a window: no alert
    return [
        Tick("AAPL", (100 + number * rise).quantize(Decimal("0.000001")), NOON + number * step)
        for number in range(TICKS)
    ]


def _walking() -> list[Tick]:
    """Return ticks that walk at random, a minute of them by about half a percent."""
    steps = random.Random("prices")  # noqa: S311 - a walk that must be repeatable
    price, step = 100.0, timedelta(seconds=0.06)
    ticks = []
    for number in range(TICKS):
        price *= 1 + steps.gauss(0, 0.0002)
        ticks.append(Tick("AAPL", Decimal(f"{price:.6f}"), NOON + number * step))
    return ticks


def _fifty_rules() -> list[AlertRule]:
    """Return rules of all four kinds, with ten windows."""
    moves = [
        AlertRule(None, "AAPL", kind, Decimal(percent), seconds)
        for seconds in (5, 10, 20, 30, 60, 90, 120, 300, 600, 900)
        for kind in ("rise", "fall")
        for percent in (1, 2)
    ]
    levels = [
        AlertRule(None, "AAPL", kind, price=Decimal(price))
        for kind in ("above", "below")
        for price in (90, 95, 100, 105, 110)
    ]
    return [replace(rule, id=number) for number, rule in enumerate(moves + levels, 2)]


def _judged(ticks: Sequence[Tick], rules: Sequence[ActiveRule] = (ActiveRule(DEFAULT_RULE),)) -> list[float]:
    return _updated(Detector("AAPL", rules).update, ticks)


def _updated(update: Callable[[Tick], object], ticks: Sequence[Tick]) -> list[float]:
    def work() -> None:
        for tick in ticks:
            update(tick)

    return _timed(work)


def _scanned(ticks: Sequence[Tick]) -> list[float]:
    """Return the seconds of the peer for all but the first thousand ticks, which fill its window."""
    peer = WindowScan(WINDOW_SECONDS, 1.02)
    points = [(tick.timestamp, float(tick.price)) for tick in ticks]
    for point in points[:1_000]:
        peer.add(*point)

    def scan() -> None:
        for point in points[1_000:]:
            peer.add(*point)

    return _timed(scan)


def _timed(work: Callable[[], Any]) -> list[float]:
    started = time.perf_counter()
    work()
    return [time.perf_counter() - started]


def _batch(number: int) -> dict[str, Any]:
    """Return the event of a batch that follows the one before it, a message for each ticker."""
    start = NOON + timedelta(seconds=number * TICKS_OF_A_MESSAGE)
    return _event(
        [
            Tick(f"T{chr(65 + message)}", Decimal(f"{100 + second % 7 / 100:.2f}"), start + timedelta(seconds=second))
            for second in range(TICKS_OF_A_MESSAGE)
        ]
        for message in range(MESSAGES)
    )


def _wide_batch(number: int) -> dict[str, Any]:
    """Return the event of a batch of one tick of each of many tickers, a second after the one before it."""
    at = NOON + timedelta(seconds=number)
    return _event(
        [Tick(f"W{chr(65 + ticker // 26)}{chr(65 + ticker % 26)}", Decimal(f"{100 + number % 7 / 100:.2f}"), at)]
        for ticker in range(MESSAGES * TICKS_OF_A_MESSAGE)
    )


def _batch_of_one(ticks: Sequence[Tick], number: int) -> dict[str, Any]:
    """Return the event of a batch of one ticker, the part of the ticks with this number."""
    size = MESSAGES * TICKS_OF_A_MESSAGE
    return _event(batched(ticks[number * size : (number + 1) * size], TICKS_OF_A_MESSAGE, strict=True))


def _event(messages: Iterable[Sequence[Tick]]) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"{ticks[0].ticker} {ticks[0].timestamp}",
                "attributes": {"MessageGroupId": ticks[0].ticker},
                "body": json.dumps(
                    {
                        "type": "prices.published.v1",
                        "ticks": [
                            {
                                "ticker": tick.ticker,
                                "price": str(tick.price),
                                "timestamp": tick.timestamp.isoformat(),
                            }
                            for tick in ticks
                        ],
                    }
                ),
            }
            for ticks in messages
        ]
    }
