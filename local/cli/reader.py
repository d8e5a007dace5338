"""Parsing the messages of this and other price feeds: lenient about their format, exact about numbers."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import TypeAdapter, ValidationError

from trading.core.values import parse_instant, read_json
from trading.prices.alert_rules import Alert
from trading.prices.ticks import Tick

# Without characters that are special on a terminal or in JSON, which is written by hand.
_TICKER = re.compile(r"[A-Za-z0-9._:^=/-]{1,32}")
_PRICES = (Decimal("1e-9"), Decimal("1e12"))  # prices outside this range would not fit into a line
_EPOCH = re.compile(r"[0-9]{9,13}(\.[0-9]{1,9})?", re.ASCII)
_MILLISECONDS = 10**11  # as seconds, this would be in the year 5138
_ALERT = TypeAdapter(Alert)


@dataclass(frozen=True)
class Prices:
    """Prices that arrived together, their sequence numbers if the feed has them, and the invalid entries."""

    ticks: list[Tick]
    seqs: dict[str, int]
    unreadable: list[str]


@dataclass(frozen=True)
class Answer:
    """Any other message of a feed, such as `subscribed`, `error` or `gap`."""

    type: str
    members: dict[str, Any]


class UnreadableError(ValueError):
    """A message is not one of a price feed; the text says why."""


def read(message: str | bytes, received: datetime) -> Prices | Alert | Answer:
    """Parse a message; a price without a time has the time of reception.

    Prices are objects with `ticker`, `price` (a number, or one in quotes) and `timestamp` (ISO 8601, in UTC without an
    offset, or a number of seconds or milliseconds since 1970, also in quotes), in an array or single.

    Raises:
        UnreadableError: it is not such a message.
    """
    try:
        value = read_json(message if isinstance(message, str) else message.decode())
    except ValueError as error:
        raise UnreadableError(f"not JSON: {error}") from None
    if isinstance(value, dict) and "type" in value:
        return _alert(value) if value["type"] == "alert" else Answer(str(value["type"]), value)
    if isinstance(value, dict) and "message" in value:  # an error of API Gateway
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
            # A float is exact enough for a time.
            return datetime.fromtimestamp(float(value / 1_000 if value >= _MILLISECONDS else value), UTC)
    except (ValueError, OverflowError, OSError, ArithmeticError):
        pass
    raise UnreadableError("timestamp: must be ISO 8601 or a number of seconds since 1970")
