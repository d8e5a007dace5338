"""The output of the alerter: a live table, plain lines, or JSON for other programs."""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from trading.prices.alert_rules import Alert
from trading.prices.ticks import Tick, frame
from trading.streaming.protocol import alerted

if TYPE_CHECKING:
    from decimal import Decimal

REFRESH_SECONDS = 0.1


def headline(alert: Alert) -> str:
    """Return an alert in one line: `ALERT AAPL +2.14 % in 41 s: 98.00 at 12:00:03 → 100.10 at 12:00:44`."""
    origin = alert.origin()
    before = f"{origin[0]:f} at {origin[1]:%H:%M:%S} → " if origin else ""
    return f"{alert.headline()}: {before}{alert.price:f} at {alert.timestamp:%H:%M:%S}"


class Display(ABC):
    """Shows prices, alerts and the state of the connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    @abstractmethod
    def prices(self, ticks: Sequence[Tick]) -> None:
        """Show prices that arrived together."""

    @abstractmethod
    def alert(self, alert: Alert) -> None:
        """Show an alert, prominently."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Report a change of the connection."""


class Lines(Display):
    """A line for each array of prices, alert and event."""

    def __init__(self, write: Callable[[str], None], *, shows_prices: bool = True) -> None:
        self._write = write
        self._shows_prices = shows_prices

    def prices(self, ticks: Sequence[Tick]) -> None:
        """Write them in a line, after the time of the newest."""
        if self._shows_prices:
            texts = (f"{tick.ticker} {tick.price:f}" for tick in ticks)
            self._write(f"{max(tick.timestamp for tick in ticks):%H:%M:%S}  {'  '.join(texts)}")

    def alert(self, alert: Alert) -> None:
        """Write its headline."""
        self._write(headline(alert))

    def say(self, text: str) -> None:
        """Write it."""
        self._write(text)


class JsonLines(Display):
    """Each message in one line, as on the socket; changes of the connection have the type `status`."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def prices(self, ticks: Sequence[Tick]) -> None:
        """Write an array."""
        self._write(frame(ticks))

    def alert(self, alert: Alert) -> None:
        """Write an object."""
        self._write(alerted(alert))

    def say(self, text: str) -> None:
        """Write an object."""
        self._write(json.dumps({"type": "status", "message": text}))


class LiveTable(Display):
    """A table of the latest prices at the foot of a terminal, under the alerts."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)
        self._opening: dict[str, Decimal] = {}
        self._previous: dict[str, Decimal] = {}
        self._latest: dict[str, Tick] = {}
        self._shown = 0.0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.update(self._table(), refresh=True)
        self._live.stop()

    def prices(self, ticks: Sequence[Tick]) -> None:
        """Update the table."""
        for tick in ticks:
            before = self._latest.get(tick.ticker, tick)
            self._opening.setdefault(tick.ticker, tick.price)
            self._previous[tick.ticker], self._latest[tick.ticker] = before.price, tick
        if time.monotonic() - self._shown > REFRESH_SECONDS:
            self._shown = time.monotonic()
            self._live.update(self._table(), refresh=True)

    def alert(self, alert: Alert) -> None:
        """Write its headline above the table."""
        self._live.console.print(Text(headline(alert), style="bold white on red"))

    def say(self, text: str) -> None:
        """Write it above the table."""
        self._live.console.print(Text(text, style="dim"))

    def _table(self) -> Table:
        table = Table("ticker", box=box.SIMPLE, padding=(0, 1))
        for column in ("price", "since the start", "at"):
            table.add_column(column, justify="right")
        for ticker, tick in sorted(self._latest.items()):
            move = tick.price - self._previous[ticker]
            style = "green" if move > 0 else "red" if move < 0 else ""
            change = (tick.price / self._opening[ticker] - 1) * 100
            table.add_row(ticker, Text(f"{tick.price:,f}", style), f"{change:+.2f} %", f"{tick.timestamp:%H:%M:%S}")
        return table
