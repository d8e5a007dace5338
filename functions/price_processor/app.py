"""Processes the prices on their queue: records averages and alerts, and sends both to the socket."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading.core import correlation
from trading.core.database import DatabaseUnavailableError
from trading.notifications import outbox
from trading.notifications.events import PriceAlerted
from trading.prices import records, ticks
from trading.prices.records import Recorded
from trading.prices.ticks import Tick
from trading.streaming import broadcasts

# Seconds between attempts of a batch while the database is unavailable: a retry through the queue would wait longer.
WAITS = (0.5, 1.0, 2.0)

logger = Logger()
metrics = Metrics()


@dataclass
class Group:
    """The messages of one ticker, up to the first that cannot be read, and the ticks that they carry."""

    ticker: str
    correlation_id: str | None = None  # of its first message
    readable: list[str] = field(default_factory=list)  # message ids; `unreadable` too
    unreadable: list[str] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Process a batch of SQS FIFO messages and return those that failed, for SQS to retry.

    The first failure of a ticker and all its later messages are returned, to preserve their order; other tickers are
    not affected.
    """
    groups = list(_by_ticker(event["Records"]))
    recorded = _record([group for group in groups if group.readable])
    failed = [message for group in groups for message in group.unreadable]
    failed += [message for group in groups if group.ticker not in recorded for message in group.readable]
    _log(recorded, failed)
    _announce([group for group in groups if group.ticker in recorded], recorded)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _by_ticker(messages: Iterable[Mapping[str, Any]]) -> Iterable[Group]:
    def ticker(message: Mapping[str, Any]) -> str:
        return str(message["attributes"]["MessageGroupId"])

    for name, of_ticker in groupby(sorted(messages, key=ticker), key=ticker):  # sorting keeps the order of each ticker
        yield _read(Group(name), of_ticker)


def _read(group: Group, messages: Iterable[Mapping[str, Any]]) -> Group:
    for message in messages:
        group.correlation_id = group.correlation_id or correlation.of_record(message)
        if not group.unreadable:
            try:
                group.ticks += _ticks(group.ticker, message["body"])
            except ValueError:
                logger.exception("A message cannot be read", message_id=message["messageId"])
            else:
                group.readable.append(message["messageId"])
                continue
        group.unreadable.append(message["messageId"])
    return group


def _ticks(ticker: str, body: str) -> list[Tick]:
    published = ticks.read_message(body)
    if any(tick.ticker != ticker for tick in published):
        raise ValueError(f"a message of the group {ticker} has prices of another ticker")
    return published


def _record(groups: list[Group]) -> dict[str, Recorded]:
    """Record the ticks of all tickers in one transaction, and return the results of those that succeeded.

    If that fails, each ticker is recorded separately, so that one does not block the others.
    """
    waits = list(WAITS)
    while groups:
        try:
            return records.record({group.ticker: group.ticks for group in groups})
        except DatabaseUnavailableError:
            if not waits:
                logger.exception("The database is unavailable: the prices will be retried")
                return {}
            time.sleep(waits.pop(0))
        except Exception:
            if len(groups) > 1:
                return {name: each for group in groups for name, each in _record([group]).items()}
            logger.exception("Prices were not recorded", ticker=groups[0].ticker)
            return {}
    return {}


def _log(recorded: Mapping[str, Recorded], failed: list[str]) -> None:
    outcomes = Counter(counted=0, repeated=0, too_old=0)
    for each in recorded.values():
        outcomes.update(counted=each.counted, repeated=each.repeated, too_old=each.too_old)
    restarted = [ticker for ticker, each in recorded.items() if each.is_restarted]
    if restarted:
        logger.warning("The clock went back: the windows of these tickers were reset", tickers=restarted)
    alerts = [each.alert.id for of_ticker in recorded.values() for each in of_ticker.alerts]
    logger.info("processed", ticks=dict(outcomes), alerts=alerts, failed_messages=len(failed))
    metrics.add_metric("AlertsRaised", MetricUnit.Count, len(alerts))
    metrics.add_metric("TicksTooOld", MetricUnit.Count, outcomes["too_old"])
    metrics.add_metric("PriceWindowsRestarted", MetricUnit.Count, len(restarted))


def _announce(groups: list[Group], recorded: Mapping[str, Recorded]) -> None:
    """Announce each alert with the correlation id of its price's request, and send prices and alerts to the socket."""
    alerts = []
    for group in groups:
        if raised := recorded[group.ticker].alerts:
            correlation.begin(group.correlation_id)
            events = [PriceAlerted.of(each.alert, each.notification_id) for each in raised]
            outbox.announce(events)
            alerts += [event.data for event in events]
    newest = [tick for group in groups if (tick := recorded[group.ticker].newest)]
    if newest or alerts:
        correlation.begin(groups[-1].correlation_id)
        broadcasts.send(newest, alerts)
