"""What a price feed sends, ours or another: read generously in its form, and exactly in its numbers."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import TypeAdapter, ValidationError

from trading.core.values import parse_instant, read_json
from trading.prices.alert_rules import Alert
from trading.prices.ticks import Tick

# What is shown on a terminal, and written by hand into JSON, has nothing in it that means something there.
_TICKER = re.compile(r"[A-Za-z0-9._:^=/-]{1,32}")
_PRICES = (Decimal("1e-9"), Decimal("1e12"))  # whatever is beyond has more digits than a line
_EPOCH = re.compile(r"[0-9]{9,13}(\.[0-9]{1,9})?", re.ASCII)
_MILLISECONDS = 10**11  # a number of seconds as large as this is in the year 5138
_ALERT = TypeAdapter(Alert)


@dataclass(frozen=True)
class Prices:
    """Prices that came together, the numbers that they have where the feed counts, and what was no price."""

    ticks: list[Tick]
    seqs: dict[str, int]
    unreadable: list[str]


@dataclass(frozen=True)
class Answer:
    """Anything else that a feed says, such as `subscribed`, `error` or `gap`."""

    type: str
    members: dict[str, Any]


class UnreadableError(ValueError):
    """A message that is nothing a price feed sends; the text says why."""


def read(message: str | bytes, received: datetime) -> Prices | Alert | Answer:
    """Return what a message says; a price without a time has the one at which it was received.

    Prices are objects with `ticker`, `price` (a number, or one in quotes) and `timestamp` (ISO 8601, in UTC where it
    does not say, or a number of seconds or milliseconds since 1970, in quotes or not), in an array or alone.

    Raises:
        UnreadableError: it is none of this.
    """
    try:
        value = read_json(message if isinstance(message, str) else message.decode())
    except ValueError as error:
        raise UnreadableError(f"not JSON: {error}") from None
    if isinstance(value, dict) and "type" in value:
        return _alert(value) if value["type"] == "alert" else Answer(str(value["type"]), value)
    if isinstance(value, dict) and "message" in value:  # in which API Gateway says that something failed
        return Answer("error", value)
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise UnreadableError("neither an array of prices nor an object")
    prices = Prices([], {}, [])
    for row in value:
        try:
            tick = _tick(row, received)
        except ValueError as error:
            prices.unreadable.append(str(error))
            continue
        prices.ticks.append(tick)
        if type(row.get("seq")) is int:
            prices.seqs[tick.ticker] = row["seq"]
    return prices


def _alert(value: dict[str, Any]) -> Alert:
    try:
        alert = _ALERT.validate_python(value)
    except ValidationError as error:
        raise UnreadableError(f"no alert: {error.errors()[0]['msg']}") from None
    _ticker(alert.ticker)
    return alert


def _tick(row: Any, received: datetime) -> Tick:
    if not isinstance(row, dict):
        raise UnreadableError("a price is an object with ticker, price and timestamp")
    stamp = row.get("timestamp")
    return Tick(_ticker(row.get("ticker")), _price(row.get("price")), received if stamp is None else _instant(stamp))


def _ticker(value: Any) -> str:
    if isinstance(value, str) and _TICKER.fullmatch(value):
        return value
    raise UnreadableError("ticker: is none")


def _price(value: Any) -> Decimal:
    try:
        price = Decimal(value) if isinstance(value, str | Decimal) or type(value) is int else Decimal("NaN")
    except InvalidOperation:
        price = Decimal("NaN")
    if price.is_finite() and _PRICES[0] <= price < _PRICES[1]:
        return price
    raise UnreadableError("price: must be a number above zero")


def _instant(value: Any) -> datetime:
    try:
        if isinstance(value, str) and _EPOCH.fullmatch(value):
            value = Decimal(value)
        if isinstance(value, str):
            return parse_instant(value)
        if type(value) is int or isinstance(value, Decimal):
            # A time of day may pass through a float: it is no price.
            return datetime.fromtimestamp(float(value / 1_000 if value >= _MILLISECONDS else value), UTC)
    except (ValueError, OverflowError, OSError, ArithmeticError):
        pass
    raise UnreadableError("timestamp: must be ISO 8601 or a number of seconds since 1970")
