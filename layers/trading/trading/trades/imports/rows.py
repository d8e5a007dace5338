"""Rows of broker files: each row becomes a trade, or a reason why it is not one."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from zoneinfo import ZoneInfo

from trading.core import tables
from trading.core.tables import Row
from trading.core.values import (
    ACCOUNT_PATTERN,
    AHEAD,
    CURRENCY_PATTERN,
    FRACTION_DIGITS,
    PATTERN_PHRASES,
    TICKER_PATTERN,
    Side,
    exact_quantity,
    format_decimal,
)
from trading.trades.imports.catalog import Layout
from trading.trades.imports.dates import Dates
from trading.trades.imports.format import Field, Format
from trading.trades.imports.options import Options

_SEEN = 40  # characters of a cell quoted in a reason
_SIX_DECIMALS = Decimal(1).scaleb(-FRACTION_DIGITS)
_WHOLE_DIGITS = 12  # of a price
_LONGEST = 60  # characters of a number: fewer than the digits of PRECISION
_TOO_LARGE = Decimal(10) ** _WHOLE_DIGITS
_TICKER, _ACCOUNT, _CURRENCY = (re.compile(each) for each in (TICKER_PATTERN, ACCOUNT_PATTERN, CURRENCY_PATTERN))
_CLASS_MARK = re.compile(r"(?<=[A-Z])[ /](?=[A-Z])")  # BRK/B and BRK B are BRK.B
# Option symbols as written by the OCC and by Interactive Brokers.
_OPTION = re.compile(r"-?[A-Z.]{1,6} *[0-9]{6}[CP][0-9.]+|[A-Z.]{1,6} +[0-9]{2}[A-Z]{3}[0-9]{2} +[0-9.]+ +[CP]")
_MINUS = ("-", "(", "\N{MINUS SIGN}")


@dataclass(slots=True)
class FileTrade:
    """A trade of a file, the key that identifies it in every file, and remarks about its row."""

    line: int
    account: str
    ticker: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    currency: str
    timestamp: datetime
    broker_id: str
    is_adjusted: bool
    remark: str | None
    key: bytes = b""

    def content(self) -> tuple[object, ...]:
        """Return the values in which two trades with the same key must agree."""
        return self.ticker, self.side, self.quantity, self.price, self.fee, self.currency, self.timestamp


@dataclass(frozen=True, slots=True)
class FileSplit:
    """A stock split in a file; `quantity` is that of its row: for most brokers, the number of added shares."""

    line: int
    ticker: str
    effective_at: datetime
    quantity: Decimal | None


def shown(text: str) -> str:
    """Return a cell for use in a reason: truncated, with only printable characters."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text[:_SEEN])


class SkippedError(Exception):
    """A row is not a trade; the message says why."""


class RowReader:
    """Reads the rows of a format and collects what concerns the file as a whole.

    Attributes:
        splits: the stock splits among the rows.
        isins: the ISINs without a known ticker.
        source_accounts: the broker's accounts whose trades were read.
    """

    def __init__(self, format_: Format, options: Options, marks: Sequence[str]) -> None:
        self.splits: list[FileSplit] = []
        self.isins: set[str] = set()
        self.source_accounts: set[str] = set()
        self._options = options
        self._marks = marks
        self._default_currency = format_.currency or options.currency
        zone = options.zone or ZoneInfo(format_.zone)
        self._dates = Dates(format_.dates, zone, format_.date_part, format_.months or {})
        self._buys, self._sells, self._splits = (
            re.compile(each, re.DOTALL) for each in (format_.buys, format_.sells, format_.splits)
        )
        self._event = re.compile(format_.event, re.IGNORECASE) if format_.event else None
        self._symbol = re.compile(format_.symbol, re.DOTALL)
        self._rebates_are_positive = format_.charges_are_negative
        self._latest = datetime.now(UTC) + AHEAD

    def trade(self, row: Row, layout: Layout) -> FileTrade:
        """Return the trade of a row.

        Raises:
            SkippedError: the row is not a trade, or not a requested one.
            ValueError: it is a trade that cannot be read.
        """
        if row.fault:
            raise ValueError(row.fault)
        cells = row.cells
        if len(cells) < layout.width:
            cells = [*cells, *[""] * (layout.width - len(cells))]

        def cell(name: Field) -> str:
            position = layout.fields.get(name)
            return "" if position is None else cells[position]

        for position, wanted in layout.only:
            if not wanted.fullmatch(cells[position]):
                raise SkippedError(f"is not recorded as a trade: {shown(cells[position])!r}")
        kind, quantity, price, currency = cell("kind"), cell("quantity"), cell("price"), cell("currency")
        if self._event and (event := self._event.fullmatch(kind)):
            kind, quantity, price, currency = event.group("kind", "quantity", "price", "currency")
        self._check_source_account(cell("source_account"))
        if "kind" not in layout.fields:
            side = self._signed(quantity, price)
        elif self._splits.fullmatch(kind.lower()):
            self._note_split(row.line, quantity, cell)
            raise SkippedError("is a stock split: record it with POST /api/splits")
        else:
            side = self._side(kind, quantity, price)
        if any(row.cells[layout.width :]):
            raise ValueError(f"has {len(row.cells)} values, but the header has {layout.width}")
        remarks: list[str] = []
        trade_currency = self._currency(currency)
        exact_price = self._money(price, "price", remarks)
        fee = self._fee(
            [(cells[fee], cells[at] if at is not None else "") for fee, at in layout.fees], trade_currency, remarks
        )
        trade = FileTrade(
            row.line,
            self._account(cell("account")),
            self._ticker(cell),
            side,
            self._quantity(quantity, side),
            exact_price,
            fee,
            trade_currency,
            self._timestamp(cell),
            cell("id"),
            any("rounded" in each for each in remarks),
            "; ".join(remarks) or None,
        )
        self.source_accounts.add(cell("source_account"))
        return trade

    def _side(self, kind: str, quantity: str, price: str) -> Side:
        word = kind.lower()
        if self._buys.fullmatch(word):
            return "BUY"
        if self._sells.fullmatch(word):
            return "SELL"
        if not word and not quantity and not price:
            raise SkippedError("is not a trade")
        raise SkippedError(f"is not recorded as a trade: {shown(kind)!r}")

    @staticmethod
    def _signed(quantity: str, price: str) -> Side:
        """Return the side from the sign of the quantity, for formats without a column of kinds."""
        if not quantity and not price:
            raise SkippedError("is not a trade")
        return "SELL" if quantity.startswith(_MINUS) else "BUY"

    def _note_split(self, line: int, quantity: str, cell: Callable[[Field], str]) -> None:
        """Keep a split whose ticker and date can be read; the other values may be missing."""
        try:
            shares = self._number(quantity, "quantity") if quantity else None
            self.splits.append(FileSplit(line, self._ticker(cell), self._timestamp(cell), shares))
        except (SkippedError, ValueError):
            return

    def _check_source_account(self, name: str) -> None:
        wanted = self._options.source_account
        if wanted is not None and name != wanted:
            raise SkippedError(f"belongs to the account {shown(name)!r}")

    def _account(self, name: str) -> str:
        if name and not _ACCOUNT.fullmatch(name):
            raise ValueError(f"account {PATTERN_PHRASES[ACCOUNT_PATTERN]}")
        return name or self._options.account

    def _currency(self, code: str) -> str:
        if code and not _CURRENCY.fullmatch(code):
            raise ValueError(f"currency {PATTERN_PHRASES[CURRENCY_PATTERN]}, not {shown(code)!r}")
        return code or self._default_currency

    def _ticker(self, cell: Callable[[Field], str]) -> str:
        part = self._symbol.fullmatch(cell("ticker"))
        symbol = (part[1] if part else cell("ticker")).strip()
        isin = cell("isin").upper()
        tickers = self._options.tickers
        if known := tickers.get(symbol) or tickers.get(isin):
            return known
        if not symbol and isin:
            self.isins.add(shown(isin))
            raise ValueError(f"ISIN {shown(isin)} has no ticker: name it with tickers={shown(isin)}:TICKER")
        if not symbol:
            raise ValueError("ticker is missing")
        ticker = _CLASS_MARK.sub(".", symbol.upper()) if symbol.isascii() else symbol
        if _OPTION.fullmatch(ticker) or _OPTION.fullmatch(symbol):
            raise SkippedError(f"is an option: {shown(symbol)!r}")
        if not _TICKER.fullmatch(ticker):
            phrase = PATTERN_PHRASES[TICKER_PATTERN]
            raise ValueError(f"ticker {phrase}, not {shown(symbol)!r}: name it with tickers={shown(symbol)}:TICKER")
        return ticker

    def _timestamp(self, cell: Callable[[Field], str]) -> datetime:
        timestamp = self._dates.read(f"{cell('date')} {cell('time')}".strip())
        if timestamp > self._latest:
            raise ValueError("date must be at most a day in the future")
        return timestamp

    def _quantity(self, text: str, side: Side) -> Decimal:
        number = self._number(text, "quantity")
        if side == "BUY" and number < 0:
            raise ValueError(
                f"quantity must not be negative where shares are bought, as in a cancellation: {shown(text)!r}"
            )
        if not number:
            raise ValueError("quantity must not be 0")
        if abs(number) >= _TOO_LARGE:  # would exceed the decimal precision
            raise ValueError(f"quantity is too large: {shown(text)!r}")
        try:
            return exact_quantity(Decimal(format_decimal(abs(number))))  # without trailing zeros, which count as digits
        except ValueError as error:
            raise ValueError(f"quantity {error}") from None

    def _money(self, text: str, name: str, remarks: list[str]) -> Decimal:
        number = self._number(text, name)
        if number < 0:
            raise ValueError(f"{name} must not be negative: {shown(text)!r}")
        return self._rounded(number, name, remarks)

    def _fee(self, cells: Sequence[tuple[str, str]], currency: str, remarks: list[str]) -> Decimal:
        """Return the sum of the fees in the trade's currency; add a remark for each other one."""
        total = Decimal(0)
        for text, of in cells:
            amount = self._number(text, "fee") if text else Decimal(0)
            if not amount:
                continue
            if abs(amount) >= _TOO_LARGE:
                raise ValueError(f"fee is too large: {shown(text)!r}")
            if of and of != currency:
                remarks.append(f"a fee of {shown(text)} {shown(of)} is left out: the trade is in {currency}")
            elif self._rebates_are_positive and amount > 0:
                remarks.append(f"a rebate of {shown(text)} is left out")
            else:
                total += abs(amount)
        return self._rounded(total, "fee", remarks)

    @staticmethod
    def _rounded(number: Decimal, name: str, remarks: list[str]) -> Decimal:
        if number >= _TOO_LARGE:
            raise ValueError(f"{name} must have at most {_WHOLE_DIGITS} digits before the decimal point")
        exponent = number.as_tuple().exponent
        assert isinstance(exponent, int)  # noqa: S101 - the number is finite
        if exponent < -FRACTION_DIGITS:
            rounded = number.quantize(_SIX_DECIMALS, ROUND_HALF_EVEN)
            if rounded != number:
                remarks.append(f"{name} {number} was rounded to {rounded}")
            return rounded
        return Decimal(f"{number:f}") if exponent > 0 else abs(number)  # neither 1E+2 nor -0

    def _number(self, text: str, name: str) -> Decimal:
        """Return the number in a cell, with any decimal mark that the file uses."""
        if not text:
            raise ValueError(f"{name} is missing")
        if len(text) > _LONGEST:
            raise ValueError(f"{name} must have at most {_LONGEST} characters")
        if len(self._marks) == 1:
            try:
                return tables.number(text, self._marks[0])
            except ValueError as error:
                raise ValueError(f"{name} {error}") from None
        found: set[Decimal] = set()
        for mark in self._marks:
            try:
                found.add(tables.number(text, mark))
            except ValueError:
                continue
        if not found:
            raise ValueError(f"{name} must be a number, not {shown(text)!r}")
        if len(found) > 1:
            raise ValueError(f"{name} {shown(text)!r} is ambiguous: its mark may separate thousands or decimals")
        return found.pop()
