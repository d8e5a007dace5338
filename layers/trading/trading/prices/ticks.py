"""Ticks: their validation, their format on the WebSocket, and publishing them to the queue."""

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
# The allowed clock skew. Not more than a tick may be late, or a publisher ahead would make all other ticks too old.
AHEAD = timedelta(seconds=5)


def _not_ahead(instant: datetime) -> datetime:
    if instant > datetime.now(UTC) + AHEAD:
        raise ValueError("must not be in the future")
    return instant


class NewPrice(BaseModel):
    """A price as sent by a publisher; other keys, such as a feed's `seq`, are ignored."""

    model_config = ConfigDict(frozen=True)

    ticker: Ticker = Field(examples=["AAPL"])
    price: PositivePrice
    timestamp: Annotated[Instant, AfterValidator(_not_ahead)] = Field(examples=["2025-06-03T12:00:00Z"])


@dataclass(frozen=True, slots=True)
class Tick:
    """The price of a ticker, above zero, at an instant in UTC; a ticker has at most one tick per instant."""

    ticker: Ticker
    price: PositivePrice
    timestamp: Instant


def frame(ticks: Iterable[Tick]) -> str:
    """Return ticks as a JSON array, with prices as numbers that keep their digits."""
    return f"[{','.join(map(_written, ticks))}]"


def _written(tick: Tick) -> str:
    # By hand, because JSON libraries do not write a decimal exactly as a number. Tickers need no escaping.
    timestamp = tick.timestamp.isoformat().replace("+00:00", "Z")
    return f'{{"ticker":"{tick.ticker}","price":{tick.price:f},"timestamp":"{timestamp}"}}'


@dataclass(frozen=True, slots=True)
class PricesPublished:
    """A message with ticks of one ticker, in order of arrival."""

    type: Literal["prices.published.v1"]
    ticks: list[Tick]


def read_message(text: str) -> list[Tick]:
    """Return the ticks of a message.

    Raises:
        ValueError: the text is not a valid message (pydantic's ValidationError is a ValueError).
    """
    return adapter(PricesPublished).validate_python(values.read_json(text)).ticks


def publish(new: Sequence[NewPrice]) -> None:
    """Send prices to the queue, one message for each ticker.

    Raises:
        queues.QueueUnavailableError: some may not have been sent; it is safe to publish all of them again.
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
