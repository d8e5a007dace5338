"""Options: how a file is to be read, according to the request."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from trading.core.errors import FieldError, InvalidError
from trading.core.values import PATTERN_PHRASES, TICKER_PATTERN
from trading.trades.imports import dates
from trading.trades.imports.catalog import FORMATS
from trading.trades.imports.format import ISO, Field

AUTO, GENERIC = "auto", "generic"
# The fields that `columns` may name for a generic file.
GENERIC_FIELDS: Mapping[str, Field] = {
    "ticker": "ticker",
    "isin": "isin",
    "price": "price",
    "quantity": "quantity",
    "side": "kind",
    "timestamp": "date",
    "time": "time",
    "currency": "currency",
    "account": "account",
    "id": "id",
}
GENERIC_FEE = "fee"

_SEEN = 40  # characters quoted from a refused value
_TICKER = re.compile(TICKER_PATTERN)
_COMMA = re.compile(",")
_COMMA_BEFORE_FIELD = re.compile(r",(?= *(?:[a-z]+:|$))")  # column names may contain commas: Price, USD


@dataclass(frozen=True, slots=True)
class Options:
    """How a file is to be read.

    Attributes:
        format: a format's name, `auto` or `generic`.
        account: the account in this system, if the file does not name it.
        source_account: the account at the broker to import, if the file has several.
        zone: the time zone of dates without an offset; None for the format's default.
        currency: the currency of trades if neither the file nor its format defines it.
        tickers: the tickers for ISINs or other symbols in the file.
        columns: the column names of a generic file.
        date_format: the date format of a generic file.
    """

    format: str = AUTO
    account: str = "main"
    source_account: str | None = None
    zone: ZoneInfo | None = None
    currency: str = "USD"
    tickers: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    date_format: str = ISO


@dataclass(frozen=True, slots=True)
class GivenOptions:
    """The options as strings, as in the parameters of a request."""

    format: str
    account: str
    source_account: str | None
    timezone: str | None
    currency: str
    tickers: str | None
    columns: str | None
    date_format: str | None

    def read(self) -> Options:
        """Parse the options.

        Raises:
            InvalidError: some parameters are invalid; it names each of them.
        """
        errors: list[FieldError] = []
        zone = None
        if self.format not in {AUTO, GENERIC, *FORMATS}:
            errors.append(FieldError("format", f"must be one of {', '.join([AUTO, GENERIC, *FORMATS])}"))
        if self.timezone:
            try:
                zone = ZoneInfo(self.timezone)
            except (ValueError, KeyError, OSError):
                errors.append(FieldError("timezone", "must be the name of a time zone, such as Europe/Zurich"))
        if self.date_format:
            try:
                dates.pattern(self.date_format)
            except ValueError as error:
                errors.append(FieldError("date_format", str(error)))
        tickers = dict(_pairs(self.tickers, _COMMA))
        errors += _wrong_tickers(tickers)
        columns = dict(_pairs(self.columns, _COMMA_BEFORE_FIELD))
        errors += _wrong_columns(columns)
        if errors:
            raise InvalidError(*errors)
        date_format = self.date_format or ISO
        return Options(
            self.format, self.account, self.source_account, zone, self.currency, tickers, columns, date_format
        )


def _pairs(text: str | None, separator: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    for pair in separator.split(text or ""):
        if pair.strip():
            name, _, value = pair.partition(":")
            yield name.strip(), value.strip()


def _wrong_tickers(tickers: Mapping[str, str]) -> Iterable[FieldError]:
    for name, ticker in tickers.items():
        if not name or not _TICKER.fullmatch(ticker):
            phrase = PATTERN_PHRASES[TICKER_PATTERN]
            yield FieldError("tickers", f"{name[:_SEEN]}:{ticker[:_SEEN]} is not ISIN:TICKER, and TICKER {phrase}")


def _wrong_columns(columns: Mapping[str, str]) -> Iterable[FieldError]:
    for name, column in columns.items():
        if not column or name not in {*GENERIC_FIELDS, GENERIC_FEE}:
            known = ", ".join([*GENERIC_FIELDS, GENERIC_FEE])
            yield FieldError(
                "columns", f"{name[:_SEEN]}:{column[:_SEEN]} is not FIELD:COLUMN, and FIELD one of {known}"
            )
