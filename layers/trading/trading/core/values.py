"""Values: exact parsing and formatting of the numbers, instants and names that clients send."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext
from functools import cache, partial
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    PlainSerializer,
    StringConstraints,
    TypeAdapter,
    WithJsonSchema,
)

FRACTION_DIGITS = 6
QUANTITY_FRACTION_DIGITS = 10
QUANTITY_SIGNIFICANT_DIGITS = 15  # exact in a double, because quantities are JSON numbers
PAGE_DEFAULT = 1_000  # rows
PAGE_LIMIT = 5_000
ID_LIMIT = 2**53 - 1  # the largest integer that is exact in every JSON parser
PRECISION = 80  # more digits than any sum can have
# How far in the future a trade may be: clocks and time zones differ.
AHEAD = timedelta(days=1)
# A row recorded longer ago than this is committed or never will be, because of the timeouts of the database role.
SETTLED = timedelta(minutes=1)
TICKER_PATTERN = r"^[A-Z]{1,5}([.-][A-Z]{1,4})?$"
TICKER_PREFIX_PATTERN = r"^[A-Z]{1,5}([.-][A-Z]{0,4})?$"
TICKER_OR_EVERY_PATTERN = r"^(\*|[A-Z]{1,5}([.-][A-Z]{1,4})?)$"
CLIENT_ID_PATTERN = r"^[ -~]{1,100}$"
ACCOUNT_PATTERN = r"^[A-Za-z0-9._-]([A-Za-z0-9 ._-]{0,38}[A-Za-z0-9._-])?$"
CURRENCY_PATTERN = r"^[A-Z]{3}$"
TAG_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,39}$"
RATIO_PATTERN = r"^[1-9][0-9]{0,5}:[1-9][0-9]{0,5}$"
TEXT_PATTERN = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
UUID_PATTERN = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
CHAT_ID_PATTERN = r"^(-?[0-9]{1,20}|@[A-Za-z][A-Za-z0-9_]{4,31})$"
# An ISO 8601 instant; the pattern works in RE2 too.
INSTANT_PATTERN = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])?"
)
# The error message for each pattern.
PATTERN_PHRASES = {
    TICKER_PATTERN: "must be a ticker, such as MSFT or BRK.B",
    TICKER_PREFIX_PATTERN: "must be the beginning of a ticker, such as MS or BRK.",
    TICKER_OR_EVERY_PATTERN: "must be a ticker, such as MSFT or BRK.B, or *",
    CLIENT_ID_PATTERN: "must be 1 to 100 printable ASCII characters",
    ACCOUNT_PATTERN: "must be 1 to 40 letters, digits, spaces and . _ -, with no space at either end",
    CURRENCY_PATTERN: "must be three capital letters, such as USD",
    TAG_PATTERN: "must be a word of 1 to 40 lower-case letters, digits, underscores or hyphens",
    RATIO_PATTERN: "must be a ratio of two whole numbers below a million, such as 10:1",
    TEXT_PATTERN: "must not contain control characters",
    UUID_PATTERN: "must be an id, such as 0f3b2c1d-9e8f-4a7b-8c6d-5e4f3a2b1c0d",
    CHAT_ID_PATTERN: "must be the number of a chat, such as -1001234567890, or the name of a channel, such as @trades",
}

_SIX_DECIMALS = Decimal("0.000001")
_DECIMAL = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_INSTANT = re.compile(INSTANT_PATTERN, re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def adapter[Value](kind: type[Value]) -> TypeAdapter[Value]:
    """Return what reads and writes values of a type. Making one takes milliseconds: so it is made at its first use."""
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


_adapters: dict[Any, TypeAdapter[Any]] = {}


def exact_decimal(value: object, whole_digits: int, fraction_digits: int = FRACTION_DIGITS) -> Decimal:
    """Return a non-negative number exactly as its digits were sent, without an exponent.

    The limits on digits before and after the decimal point include trailing zeros.

    Raises:
        ValueError: it is not such a number, or is a binary float, which has lost its digits.
    """
    if isinstance(value, str) and _plain_decimal(whole_digits, fraction_digits).fullmatch(value):
        return Decimal(value)  # as nearly all are written, in a third of the time
    if isinstance(value, Decimal):
        number = value
    elif (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, str) and _DECIMAL.fullmatch(value)
    ):
        number = Decimal(value)
    else:
        raise ValueError("must be a decimal number, such as 310.50")
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError("must be a finite number")  # noqa: TRY004 - NaN and Infinity are decimals
    if number < 0:
        raise ValueError("must not be negative")
    if number >= 10**whole_digits:
        raise ValueError(f"must have at most {whole_digits} digits before the decimal point")
    if exponent < -fraction_digits:
        raise ValueError(f"must have at most {fraction_digits} digits after the decimal point")
    if exponent > 0 or number.is_signed():
        return Decimal(f"{abs(number):f}")  # 1E+2 is 100, and -0 is 0
    return number


@cache
def _plain_decimal(whole_digits: int, fraction_digits: int) -> re.Pattern[str]:
    return re.compile(rf"[0-9]{{1,{whole_digits}}}(?:\.[0-9]{{1,{fraction_digits}}})?")


def exact_quantity(value: object) -> Decimal:
    """Return a number of shares: at most 9 digits before the decimal point, 10 after it, 15 significant.

    Raises:
        ValueError: it is not such a number, or is a binary float, which has lost its digits.
    """
    number = exact_decimal(value, 9, QUANTITY_FRACTION_DIGITS)
    if len(number.normalize().as_tuple().digits) > QUANTITY_SIGNIFICANT_DIGITS:
        raise ValueError(f"must have at most {QUANTITY_SIGNIFICANT_DIGITS} significant digits")
    return number


def whole_number(value: object) -> int:
    """Return the integer in a string of digits.

    Raises:
        ValueError: it is anything else, even a form that Python's `int` accepts.
    """
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    raise ValueError("must be a whole number")


def parse_instant(value: object) -> datetime:
    """Parse an ISO 8601 instant and return it in UTC; without an offset it is taken as UTC.

    Digits beyond microseconds are truncated, because PostgreSQL cannot store them.

    Raises:
        ValueError: the text is not a valid instant.
    """
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        try:
            instant = datetime.fromisoformat(value.upper())
            return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise ValueError("must be an ISO 8601 date and time, such as 2025-06-03T12:00:00Z")


def parse_date(value: object) -> date:
    """Parse a date such as 2025-06-03.

    Raises:
        ValueError: it does not have that form, or there is no such day.
    """
    if isinstance(value, str) and _DATE.fullmatch(value):
        with suppress(ValueError):
            return date.fromisoformat(value)
    raise ValueError("must be a date, such as 2025-06-03")


def parse_boundary(value: object, at: time) -> datetime:
    """Parse the instant of a filter; a date without a time means `at` on that day (UTC).

    Raises:
        ValueError: the text is neither an instant nor a date.
    """
    with suppress(ValueError):
        return datetime.combine(parse_date(value), at, UTC)
    try:
        return parse_instant(value)
    except ValueError:
        raise ValueError("must be an ISO 8601 date (2025-06-03) or date and time (2025-06-03T12:00:00Z)") from None


def divided(dividend: Decimal, divisor: Decimal | int) -> Decimal:
    """Return a quotient rounded half-even to six decimals; 0 if the divisor is 0."""
    with localcontext(prec=PRECISION):
        return (dividend / divisor if divisor else Decimal(0)).quantize(_SIX_DECIMALS, ROUND_HALF_EVEN)


def format_decimal(number: Decimal) -> str:
    """Return a number in full, without an exponent and without trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _json_number(number: Decimal) -> int | float:
    # At most 15 significant digits, which a double keeps: the JSON has exactly the digits that were sent.
    return int(number) if number == number.to_integral_value() else float(number)


def _not_ahead(instant: datetime) -> datetime:
    if instant > datetime.now(UTC) + AHEAD:
        raise ValueError("must be at most a day in the future")
    return instant


def _not_zero(number: Decimal) -> Decimal:
    if not number:
        raise ValueError("must be more than 0")
    return number


def _settled(instant: datetime) -> datetime:
    if instant > datetime.now(UTC) - SETTLED:
        raise ValueError("must be at least a minute ago")
    return instant


def _decimal_schema(
    whole_digits: int, example: str | int, fraction_digits: int = FRACTION_DIGITS, *, positive: bool = False
) -> WithJsonSchema:
    number = {
        "type": "number",
        "exclusiveMinimum" if positive else "minimum": 0,
        "exclusiveMaximum": 10**whole_digits,
        "multipleOf": 10**-fraction_digits,
    }
    not_zero = r"(?!0+(\.0+)?$)" if positive else ""
    text = {"type": "string", "pattern": f"^{not_zero}[0-9]{{1,{whole_digits}}}(\\.[0-9]{{1,{fraction_digits}}})?$"}
    return WithJsonSchema({"anyOf": [number, text], "examples": [example]}, mode="validation")


def whole_number_schema(minimum: int, maximum: int) -> WithJsonSchema:
    """Return the JSON schema of a bounded `WholeNumber`, which pydantic cannot derive itself."""
    return WithJsonSchema({"type": "integer", "minimum": minimum, "maximum": maximum})


_BOUNDARY_SCHEMA = WithJsonSchema(
    {
        "anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}],
        "examples": ["2025-06-03", "2025-06-03T12:00:00Z"],
    }
)
Ticker = Annotated[str, StringConstraints(pattern=TICKER_PATTERN)]
TickerOrEvery = Annotated[str, StringConstraints(pattern=TICKER_OR_EVERY_PATTERN)]
_IN_CAPITALS = BeforeValidator(lambda value: value.upper() if isinstance(value, str) and value.isascii() else value)
AnyCaseTicker = Annotated[
    str,
    _IN_CAPITALS,
    StringConstraints(pattern=TICKER_PATTERN),
    WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z]{1,5}([.-][A-Za-z]{1,4})?$", "examples": ["MSFT"]}),
]
AnyCaseTickerPrefix = Annotated[
    str,
    _IN_CAPITALS,
    StringConstraints(pattern=TICKER_PREFIX_PATTERN),
    WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z]{1,5}([.-][A-Za-z]{0,4})?$", "examples": ["MS"]}),
]
AnyCaseTickerOrEvery = Annotated[
    str,
    _IN_CAPITALS,
    StringConstraints(pattern=TICKER_OR_EVERY_PATTERN),
]
Side = Literal["BUY", "SELL"]
Account = Annotated[str, StringConstraints(pattern=ACCOUNT_PATTERN)]
Currency = Annotated[str, StringConstraints(pattern=CURRENCY_PATTERN)]
Tag = Annotated[str, StringConstraints(pattern=TAG_PATTERN)]
Note = Annotated[str, StringConstraints(max_length=1_000, pattern=TEXT_PATTERN)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=TEXT_PATTERN)]
# A single validator each: these are the hot path of a batch.
Price = Annotated[
    Decimal,
    BeforeValidator(partial(exact_decimal, whole_digits=12)),
    _decimal_schema(12, "310.50"),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$", "examples": ["310.50"]}, mode="serialization"),
]
Quantity = Annotated[
    Decimal,
    BeforeValidator(exact_quantity),
    PlainSerializer(_json_number, return_type=int | float),
    _decimal_schema(9, 50, QUANTITY_FRACTION_DIGITS),
    WithJsonSchema({"type": "number", "minimum": 0, "examples": [50]}, mode="serialization"),
]
# Hundredths of a percent, below 100%.
BasisPoints = Annotated[Decimal, BeforeValidator(partial(exact_decimal, whole_digits=4)), _decimal_schema(4, "2.5")]
# A percentage of a price: above 0, at most four decimals.
Percent = Annotated[
    Decimal,
    BeforeValidator(partial(exact_decimal, whole_digits=4, fraction_digits=4)),
    AfterValidator(_not_zero),
    _decimal_schema(4, "2.5", 4, positive=True),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$", "examples": ["2.5"]}, mode="serialization"),
]
# A computed amount of money: it may be negative, and has as many digits as it needs.
Amount = Annotated[
    Decimal,
    PlainSerializer(format_decimal, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$", "examples": ["-12.5"]}),
]
PositivePrice = Annotated[
    Decimal,
    BeforeValidator(partial(exact_decimal, whole_digits=12)),
    AfterValidator(_not_zero),
    _decimal_schema(12, "310.50", positive=True),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$", "examples": ["310.50"]}, mode="serialization"),
]
WholeNumber = Annotated[int, BeforeValidator(whole_number)]
Day = Annotated[date, BeforeValidator(parse_date)]
Instant = Annotated[datetime, BeforeValidator(parse_instant)]
# The instant of a trade or split: at most a day in the future.
TradeInstant = Annotated[Instant, AfterValidator(_not_ahead)]
# For `as_of`: at least a minute ago, so that no row recorded before it can still be committed.
PastInstant = Annotated[Instant, AfterValidator(_settled)]
# Date filters are inclusive: a date without a time means the first or last microsecond of that day.
StartDate = Annotated[datetime, BeforeValidator(partial(parse_boundary, at=time.min)), _BOUNDARY_SCHEMA]
EndDate = Annotated[datetime, BeforeValidator(partial(parse_boundary, at=time.max)), _BOUNDARY_SCHEMA]


def read_json(text: str, *, object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """Parse JSON, with fractions and the constants NaN and Infinity as decimals.

    `object_pairs_hook` works as in `json.loads`.

    Raises:
        ValueError: the text is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(
            text,
            parse_float=_read_fraction,
            parse_int=_read_integer,
            parse_constant=Decimal,
            object_pairs_hook=object_pairs_hook,
        )
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _read_fraction(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation:  # an exponent of twenty digits: out of any range, like infinity
        return Decimal("Infinity")


def _read_integer(digits: str) -> int | Decimal:
    # `int` rejects more than 4,300 digits; as a decimal the number is refused by its range instead.
    return int(digits) if len(digits) < 20 else Decimal(digits)  # noqa: PLR2004 - 64 bits have 19 digits
