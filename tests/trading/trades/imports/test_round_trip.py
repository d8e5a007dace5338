"""Files of each format, written from random trades and read back; and files that something has gnawed at."""

import codecs
import csv
import io
import itertools
import os
import random
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Call
from tests.trading.trades.imports.files import NAMES, options, sample
from trading.core.errors import InvalidError
from trading.core.values import format_decimal
from trading.trades.imports import reading
from trading.trades.imports.catalog import FORMATS
from trading.trades.imports.reading import FileReading
from trading.trades.imports.records import OUTCOMES
from trading.trades.imports.rows import FileTrade

# By hand: IMPORT_MUTATIONS=10000 pytest tests/trading/trades/imports/test_round_trip.py
MUTATIONS = int(os.environ.get("IMPORT_MUTATIONS", "150"))


@dataclass(frozen=True)
class Told:
    """A trade that a file is to tell of; `local` is its time where the broker is."""

    local: datetime
    side: str
    ticker: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    currency: str


def american(number: Decimal) -> str:
    return f"{number:,f}"


def european(number: Decimal) -> str:
    return f"{number:,f}".translate(str.maketrans(",.", ".,"))


def signed(trade: Told) -> Decimal:
    return trade.quantity if trade.side == "BUY" else -trade.quantity


def word(trade: Told) -> str:
    return trade.side.capitalize()


# How each broker writes a trade: its cells by the names of its columns.
WRITERS: dict[str, Callable[[Told], dict[str, str]]] = {
    "schwab": lambda told: {
        "Date": f"{told.local:%m/%d/%Y}",
        "Action": word(told),
        "Symbol": told.ticker.replace(".", "/"),
        "Quantity": american(told.quantity),
        "Price": f"${american(told.price)}",
        "Fees & Comm": f"${american(told.fee)}" if told.fee else "",
    },
    "fidelity": lambda told: {
        "Run Date": f"{told.local:%m/%d/%Y}",
        "Action": "YOU BOUGHT X (Cash)" if told.side == "BUY" else "YOU SOLD X (Cash)",
        "Symbol": f" {told.ticker}",
        "Quantity": str(signed(told)),
        "Currency": told.currency,
        "Price": str(told.price),
        "Commission": str(told.fee),
        "Fees": "",
    },
    "ibkr-flex": lambda told: {
        "Buy/Sell": told.side,
        "TradeDate": f"{told.local:%Y%m%d}",
        "TradeTime": f"{told.local:%H%M%S}",
        "Symbol": told.ticker.replace(".", " "),
        "Quantity": str(signed(told)),
        "TradePrice": str(told.price),
        "CurrencyPrimary": told.currency,
        "IBCommission": str(-told.fee),
    },
    "ibkr-activity": lambda told: {
        "Trades": "Trades",
        "Header": "Data",
        "DataDiscriminator": "Order",
        "Currency": told.currency,
        "Symbol": told.ticker.replace(".", " "),
        "Date/Time": f"{told.local:%Y-%m-%d, %H:%M:%S}",
        "Quantity": american(signed(told)),
        "T. Price": str(told.price),
        "Comm/Fee": str(-told.fee),
    },
    "robinhood": lambda told: {
        "Activity Date": f"{told.local.month}/{told.local.day}/{told.local.year}",
        "Instrument": told.ticker,
        "Description": "Some company\nCUSIP: 1",
        "Trans Code": word(told),
        "Quantity": american(told.quantity),
        "Price": f"${american(told.price)}",
    },
    "trading212": lambda told: {
        "Action": f"Market {told.side.lower()}",
        "Time": f"{told.local:%Y-%m-%d %H:%M:%S}",
        "ISIN": "US0000000000",
        "Ticker": told.ticker,
        "No. of shares": f"{told.quantity:.10f}",
        "Price / share": str(told.price),
        "Currency (Price / share)": told.currency,
        "Finra fee": str(told.fee),
        "Currency (Finra fee)": told.currency,
    },
    "revolut": lambda told: {
        "Date": f"{told.local:%Y-%m-%dT%H:%M:%S}Z",
        "Ticker": told.ticker,
        "Type": f"{told.side} - MARKET",
        "Quantity": f"{told.quantity:f}",
        "Price per share": f"${told.price:.6f}",
        "Currency": told.currency,
    },
    "swissquote": lambda told: {
        "Date": f"{told.local:%d-%m-%Y %H:%M:%S}",
        "Order #": "00000000",
        "Transaction": word(told),
        "Symbol": told.ticker,
        "Quantity": american(told.quantity).replace(",", "'"),
        "Unit price": str(told.price),
        "Costs": str(told.fee),
        "Currency": told.currency,
    },
    "saxo": lambda told: {
        "Client ID": "1",
        "Trade Date": f"{told.local:%d-%b-%Y}",
        "Type": "Trade",
        "Instrument ISIN": "",
        "Instrument Symbol": f"{told.ticker}:xnas",
        "Event": f"{word(told)} {american(told.quantity)} @ {american(told.price)} {told.currency}",
    },
    "trades": lambda told: {
        "ticker": told.ticker,
        "price": str(told.price),
        "quantity": str(told.quantity),
        "side": told.side,
        "timestamp": f"{told.local:%Y-%m-%dT%H:%M:%S}Z",
        "fee": str(told.fee),
        "currency": told.currency,
    },
    "generic": lambda told: {
        "Symbol": told.ticker.lower(),
        "Day": f"{told.local:%d.%m.%Y}",
        "Clock": f"{told.local:%H:%M}",
        "Shares": european(signed(told)) + ",0" * ("." not in str(told.quantity)),
        "Unit cost": f"{european(told.price)} €",
        "Broker fee": european(told.fee),
        "Ccy": told.currency,
    },
}
OF_DAYS = {"schwab", "fidelity", "robinhood", "saxo"}
DOLLARS = {"schwab", "robinhood"}
WITHOUT_FEES = {"robinhood", "revolut", "saxo"}
TRADES = st.builds(
    Told,
    st.datetimes(datetime(2000, 1, 1), datetime(2025, 12, 31)).map(lambda at: at.replace(microsecond=0)),  # noqa: DTZ001
    st.sampled_from(["BUY", "SELL"]),
    st.from_regex(r"[A-Z]{1,5}(\.[AB])?", fullmatch=True),
    st.decimals("0.000001", 999_999_999, places=6, allow_nan=False).map(lambda each: Decimal(format_decimal(each))),
    st.decimals(0, 999_999, places=4, allow_nan=False),
    st.decimals(0, 999, places=2, allow_nan=False),
    st.sampled_from(["USD", "EUR", "CHF"]),
)


def expected(name: str, told: Told) -> tuple[object, ...]:
    """Return what is to be read of a trade, as far as its broker's file tells it."""
    zone = ZoneInfo(FORMATS[name].zone if name in FORMATS else "UTC")
    local = told.local.replace(hour=12, minute=0, second=0) if name in OF_DAYS else told.local
    if name == "generic":
        local = local.replace(second=0)
    at = local.replace(tzinfo=zone).astimezone(UTC)
    fee = Decimal(0) if name in WITHOUT_FEES else told.fee
    return at, told.side, told.ticker, told.quantity, told.price, fee, "USD" if name in DOLLARS else told.currency


def written(name: str, trades: list[Told]) -> bytes:
    rows = [WRITERS[name](told) for told in trades]
    text = io.StringIO()
    file = csv.DictWriter(text, rows[0], delimiter=";" if name in {"swissquote", "generic"} else ",")
    file.writeheader()
    file.writerows(rows)
    return text.getvalue().encode()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20, deadline=None)
@given(trades=st.lists(TRADES, min_size=1, max_size=8))
def test_what_a_broker_writes_is_read_back_exactly(name: str, trades: list[Told]) -> None:
    file = reading.read(written(name, trades), options(name))
    assert file.left_out == []
    read = sorted(((trade.timestamp, trade) for trade in file.trades), key=lambda each: each[1].line)
    assert [
        (at, trade.side, trade.ticker, trade.quantity, trade.price, trade.fee, trade.currency) for at, trade in read
    ] == [expected(name, told) for told in trades]
    assert [trade.timestamp for trade in file.trades] == sorted(trade.timestamp for trade in file.trades)


# Files that something has gnawed at


JUNK = [
    "",
    ",",
    ";",
    '"',
    "\n",
    "\r",
    "\0",
    "\t",
    "-",
    ".",
    "'",
    "$",
    "€",
    "1",
    "9",
    "e5",
    "(",
    "Buy",
    "Sell",
    "\ufeff",
    "é",
]
NUMBERS = re.compile(r"[.,]?[0-9][0-9.,'\u2019\u00a0\u2009\u202f ]*(?:[eE][+-]?[0-9]+)?")


# How a spreadsheet may have saved the rest.
SAVED: list[Callable[[bytes], bytes]] = [
    lambda data: data,
    lambda data: codecs.BOM_UTF8 + data,
    lambda data: data.replace(b"\n", b"\r\n"),
    lambda data: data.decode("utf-8", "replace").encode("utf-16"),
]


def mutated(name: str, chance: random.Random) -> bytes:
    data = bytearray(sample(name))
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data))
        match chance.randrange(5):
            case 0:
                data[at : at + chance.randint(1, 4)] = b""
            case 1:
                data[at:at] = chance.choice(JUNK).encode()
            case 2:
                data[at] = chance.randrange(256)
            case 3:
                lines = bytes(data).split(b"\n")
                first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
                lines[first], lines[second] = lines[second], lines[first]
                data = bytearray(b"\n".join(lines))
            case 4:
                data[at:at] = data[at : at + chance.randint(1, 40)]
    return chance.choice(SAVED)(bytes(data))


def spelled(text: str) -> set[Decimal]:
    """Return every number that a text may spell and a trade may have, by a reader that knows nothing of formats."""
    found: set[Decimal] = {Decimal(0)}
    for match in NUMBERS.findall(text):
        for piece in itertools.chain([match], match.split(), re.split(r"[,;]", match)):
            bare = re.sub(r"['\u2019\u00a0\u2009\u202f ]", "", piece)
            for mark, other in ((".", ","), (",", ".")):
                with suppress(ArithmeticError):
                    found.add(Decimal(bare.replace(other, "").replace(mark, ".").strip(".,") or "0"))
                with suppress(ArithmeticError):
                    found.add(Decimal("0" + bare.replace(other, "").replace(mark, ".")))
    return {number for number in found if number.copy_abs() < 10**15}


def rounded(number: Decimal) -> Decimal:
    return number.quantize(Decimal("0.000001"), ROUND_HALF_EVEN)


def check(file: FileReading, data: bytes) -> None:
    """Hold what was read against the bytes of its rows."""
    assert file.rows_read == len(file.trades) + len(file.left_out)
    lines = [*(trade.line for trade in file.trades), *(each.line for each in file.left_out)]
    assert len(set(lines)) == len(lines)
    ends = dict(itertools.pairwise([*sorted(lines), 10**9]))
    try:
        text = data.decode("utf-16" if data.startswith(codecs.BOM_UTF16) else "utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    physical = text.split("\n")
    assert max(lines, default=0) <= len(physical)
    for trade in file.trades:
        check_trade(trade, "\n".join(physical[trade.line - 1 : ends[trade.line] - 1]))


def check_trade(trade: FileTrade, row: str) -> None:
    numbers = spelled(row)
    assert trade.quantity in numbers, (trade, row)
    assert trade.price in {rounded(number) for number in numbers}, (trade, row)
    sums = {rounded(sum(some, Decimal(0))) for count in range(3) for some in itertools.combinations(numbers, count)}
    assert trade.fee in sums, (trade, row)
    assert trade.ticker.replace(".", "") in re.sub(r"[ ./\n\r\0]", "", row.upper()), (trade, row)


def test_no_number_is_other_than_the_one_that_its_row_spells() -> None:
    chance = random.Random(20250603)  # noqa: S311 - the same files each time
    for _ in range(MUTATIONS):
        name = chance.choice(NAMES)
        data = mutated(name, chance)
        with suppress(InvalidError):
            check(reading.read(data, options(name)), data)


@settings(max_examples=MUTATIONS, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.one_of(st.binary(max_size=200), st.integers(0, 10**9).map(lambda seed: mutated(*seeded(seed)))))
def test_whatever_is_sent_gets_an_answer(call: Call, data: bytes) -> None:
    answer = call("POST", "/api/imports", raw=data, content_type="application/octet-stream")
    assert answer.status in {200, 400}
    if answer.status == 200:
        body = answer.body
        counts = {name: body[name] for name in OUTCOMES}
        assert body["rows_read"] == sum(counts.values())
        assert {name: len(body["rows"][name]) for name in OUTCOMES} == counts
        lines = [row["line"] for name in OUTCOMES for row in body["rows"][name]]
        assert len(set(lines)) == len(lines)


def seeded(seed: int) -> tuple[str, random.Random]:
    chance = random.Random(seed)  # noqa: S311
    return chance.choice(list(FORMATS)), chance
