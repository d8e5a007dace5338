"""Replays a recording of a price feed and evaluates the rules."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from local.cli import reader
from local.cli.display import Display
from local.cli.reader import Prices, UnreadableError
from local.cli.watches import Watches
from trading.prices.alert_rules import EPOCH

if TYPE_CHECKING:
    from datetime import datetime


def replay(lines: Iterable[str], watches: Watches, display: Display, tickers: Collection[str] = ()) -> str:
    """Show each alert of a recording with one message per line, and return the totals, as text.

    Only the prices of these tickers, or of all, are used: alerts in the recording are ignored and detected again.
    """
    prices = alerts = unreadable = 0
    first: datetime | None = None
    last = EPOCH
    for line in lines:
        if not line.strip():
            continue
        try:
            heard = reader.read(line, last)  # a price without a time gets the time of the one before it
        except UnreadableError:
            unreadable += 1
            continue
        if not isinstance(heard, Prices):
            continue
        unreadable += len(heard.unreadable)
        for tick in heard.ticks:
            if tickers and tick.ticker.upper() not in tickers:
                continue
            prices += 1
            first, last = min(first or tick.timestamp, tick.timestamp), max(last, tick.timestamp)
            detection, _ = watches.update(tick)
            for alert in detection.alerts:
                alerts += 1
                display.alert(alert)
    span = f" from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC" if first else ""
    rest = f", unreadable {unreadable:,}" if unreadable else ""
    return f"Replayed{span}: tickers {len(watches)}, prices {prices:,}, alerts {alerts:,}{rest}."
