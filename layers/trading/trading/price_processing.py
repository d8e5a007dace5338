"""Processing prices: from the messages of a batch to what is recorded, announced and broadcast."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from trading.core.database import DatabaseUnavailableError
from trading.notifications import outbox
from trading.prices import records, ticks
from trading.prices.records import Recorded
from trading.prices.ticks import Tick
from trading.streaming import broadcasts

# Seconds between attempts, of all tickers of a batch together.
WAITS = (0.5, 1.0, 2.0)

logger = Logger(child=True)
metrics = Metrics()


@dataclass
class _Work:
    """What the messages of one ticker bring, up to the first that cannot be read."""

    ticker: str
    readable: list[str] = field(default_factory=list)  # message ids, as are the others
    unreadable: list[str] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)


def process(messages: Iterable[Mapping[str, Any]]) -> list[str]:
    """Process the SQS messages of a FIFO queue, and return the ids of those that failed.

    Each ticker is a group of its own, recorded in one transaction. Its first failure and all after it are returned, so
    that their order stays; other tickers are not held up by it.
    """
    failed, newest, alerts = [], [], []
    outcomes = Counter(counted=0, repeated=0, too_old=0)
    waits = list(WAITS)
    for work in _by_ticker(messages):
        failed += work.unreadable
        if not work.readable:
            continue
        try:
            recorded = _record(work, waits)
        except Exception:
            logger.exception("Prices were not recorded", ticker=work.ticker)
            failed += work.readable
            continue
        outcomes.update(counted=recorded.counted, repeated=recorded.repeated, too_old=recorded.too_old)
        alerts += recorded.alerts
        if recorded.newest:
            newest.append(recorded.newest)
    alert_ids = [alert.data.id for alert in alerts]
    logger.info("processed", ticks=dict(outcomes), alerts=alert_ids, failed_messages=len(failed))
    metrics.add_metric("AlertsRaised", MetricUnit.Count, len(alerts))
    metrics.add_metric("TicksTooOld", MetricUnit.Count, outcomes["too_old"])
    metrics.flush_metrics()
    if newest or alerts:
        outbox.announce(alerts)
        broadcasts.send(newest, [alert.data for alert in alerts])
    return failed


def _record(work: _Work, waits: list[float]) -> Recorded:
    """Record a ticker's ticks, with some patience for a database that is about to be back: a message waits for longer.

    Raises:
        database.DatabaseUnavailableError: it is not back; for the tickers that follow there is no patience left.
    """
    while True:
        try:
            return records.record(work.ticker, work.ticks)
        except DatabaseUnavailableError:
            if not waits:
                raise
            time.sleep(waits.pop(0))


def _by_ticker(messages: Iterable[Mapping[str, Any]]) -> Iterable[_Work]:
    def group(message: Mapping[str, Any]) -> str:
        return str(message["attributes"]["MessageGroupId"])

    for ticker, of_ticker in groupby(sorted(messages, key=group), key=group):  # sorting keeps the order within a group
        yield _work(ticker, of_ticker)


def _work(ticker: str, messages: Iterable[Mapping[str, Any]]) -> _Work:
    work = _Work(ticker)
    for message in messages:
        if not work.unreadable:
            try:
                work.ticks += _ticks(ticker, message["body"])
            except ValueError:
                logger.exception("A message cannot be read", message_id=message["messageId"])
            else:
                work.readable.append(message["messageId"])
                continue
        work.unreadable.append(message["messageId"])
    return work


def _ticks(ticker: str, body: str) -> list[Tick]:
    published = ticks.read_message(body)
    if any(tick.ticker != ticker for tick in published):
        raise ValueError(f"a message of the group {ticker} has prices of another ticker")
    return published
