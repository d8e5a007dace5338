"""Prices: what a tick is, and how ticks are written on a socket."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

PRICES_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Tick:
    """The price of a ticker, above zero, at an instant in UTC; no ticker has two at the same one."""

    ticker: str
    price: Decimal
    timestamp: datetime


def frame(ticks: Iterable[Tick]) -> str:
    """Return ticks as a JSON array, their prices as numbers with the digits that they have."""
    return f"[{','.join(map(_written, ticks))}]"


def _written(tick: Tick) -> str:
    # By hand, for no JSON library writes a decimal's own digits as a number. A ticker has no character to escape.
    return f'{{"ticker":"{tick.ticker}","price":{tick.price:f},"timestamp":"{written_instant(tick.timestamp)}"}}'


def written_instant(instant: datetime) -> str:
    """Return an instant in UTC as ISO 8601 with its Z."""
    return instant.isoformat().replace("+00:00", "Z")
