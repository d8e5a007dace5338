"""Prices: what a tick is, how ticks are written on a socket, and publishing them to who works on them."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from trading.core import queues, values
from trading.core.settings import setting
from trading.core.values import Instant, PositivePrice, Ticker, adapter

PRICES_LIMIT = 500
PUBLISH_CALL_SECONDS = 5.0
PUBLISH_SECONDS = 7.0  # no call starts later, so that the last one ends before Lambda's timeout of 15 seconds
# A clock may be a little ahead of ours; no more than a tick may be late, or who is ahead makes all others too old.
AHEAD = timedelta(seconds=5)


def _not_ahead(instant: datetime) -> datetime:
    if instant > datetime.now(UTC) + AHEAD:
        raise ValueError("must not be in the future")
    return instant


class NewPrice(BaseModel):
    """A price as its publisher sends it; other keys, such as a feed's `seq`, are ignored."""

    model_config = ConfigDict(frozen=True)

    ticker: Ticker = Field(examples=["AAPL"])
    price: PositivePrice
    timestamp: Annotated[Instant, AfterValidator(_not_ahead)] = Field(examples=["2025-06-03T12:00:00Z"])


@dataclass(frozen=True, slots=True)
class Tick:
    """The price of a ticker, above zero, at an instant in UTC; no ticker has two at the same one."""

    ticker: Ticker
    price: PositivePrice
    timestamp: Instant


def frame(ticks: Iterable[Tick]) -> str:
    """Return ticks as a JSON array, their prices as numbers with the digits that they have."""
    return f"[{','.join(map(_written, ticks))}]"


def _written(tick: Tick) -> str:
    # By hand, for no JSON library writes a decimal's own digits as a number. A ticker has no character to escape.
    timestamp = tick.timestamp.isoformat().replace("+00:00", "Z")
    return f'{{"ticker":"{tick.ticker}","price":{tick.price:f},"timestamp":"{timestamp}"}}'


@dataclass(frozen=True, slots=True)
class PricesPublished:
    """The message that carries ticks of one ticker, in the order in which they came."""

    type: Literal["prices.published.v1"]
    ticks: list[Tick]


def read_message(text: str) -> list[Tick]:
    """Return the ticks of a message.

    Raises:
        ValueError: the text is no such message (pydantic's ValidationError is one).
    """
    return adapter(PricesPublished).validate_python(values.read_json(text)).ticks


def publish(new: Sequence[NewPrice]) -> None:
    """Put prices on their queue, a message for each ticker.

    Raises:
        queues.QueueUnavailableError: some may not be on it; all of them are safe to publish again.
    """
    deadline = time.monotonic() + PUBLISH_SECONDS
    by_ticker: dict[str, list[Tick]] = {}
    for each in new:
        by_ticker.setdefault(each.ticker, []).append(Tick(each.ticker, each.price, each.timestamp))
    for batch in batched(by_ticker.items(), queues.BATCH_LIMIT, strict=False):
        if time.monotonic() > deadline:
            raise queues.QueueUnavailableError("the queue takes messages too slowly")
        bodies = [
            adapter(PricesPublished).dump_json(PricesPublished("prices.published.v1", ticks)).decode()
            for _, ticks in batch
        ]
        groups = [ticker for ticker, _ in batch]
        refused = queues.send(setting("PRICES_QUEUE_URL"), bodies, PUBLISH_CALL_SECONDS, groups)
        if refused:
            raise queues.QueueUnavailableError(f"{len(refused)} of {len(bodies)} messages were not taken")
