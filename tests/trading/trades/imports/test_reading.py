import codecs
import random
from collections.abc import Callable
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from tests.trading.trades.imports.files import (
    NAMES,
    delimiter,
    header_of,
    read,
    rewritten,
    sample,
    told,
)
from trading.core.errors import InvalidError
from trading.trades.imports import reading
from trading.trades.imports.catalog import FORMATS
from trading.trades.imports.options import GivenOptions, Options

# The trades of each sample, the oldest first.
TRADES = {
    "schwab": [
        "2025-01-10 17:00:00 BUY 1250.5 SWVXX 1.00 0 USD main",
        "2025-01-27 17:00:00 BUY 1.6531 BRK.B 470.10 0 USD main",
        "2025-01-31 17:00:00 BUY 20 AAPL 235.1234 0 USD main",
        "2025-01-31 17:00:00 SELL 15 AAPL 236.00 0.05 USD main",
    ],
    "fidelity": [
        "2025-03-03 17:00:00 BUY 41 VVV 33.44 0 USD main",
        "2025-03-04 17:00:00 BUY 9.598 BND 73.29 0 USD main",
        "2025-03-04 17:00:00 SELL 41 VVV 34.4 5.10 USD main",
    ],
    "ibkr-flex": [
        "2025-03-03 14:31:05 BUY 200 SPY 555.20 1.001235 USD main",
        "2025-03-04 20:02:00 SELL 3 BRK.B 498.5 1.25 USD main",
        "2025-03-06 19:00:00 BUY 10 SAP 250.15 0 EUR main",
    ],
    "ibkr-activity": [
        "2025-03-10 14:15:00 BUY 10 AAPL 230.5 1 USD main",
        "2025-03-14 13:41:55 BUY 4091 NAKD 0.693754 30.6825 USD main",
        "2025-03-18 13:30:01 SELL 4091 NAKD 0.6616 28.377889 USD main",
    ],
    "robinhood": [
        "2025-01-31 17:00:00 BUY 1200 NVDA 121.50 0 USD main",
        "2025-02-04 17:00:00 BUY 0.615384 F 10.66 0 USD main",
        "2025-02-21 17:00:00 SELL 0.615384 F 12.07 0 USD main",
    ],
    "trading212": [
        "2025-01-18 14:30:03 BUY 0.029053 CSCO 49.96 0 USD main",
        "2025-01-26 14:30:05 SELL 0.029053 CSCO 51.26 0 USD main",
        "2025-01-27 09:00:00 BUY 10 DGE 2410.5 120 GBX main",
    ],
    "revolut": [
        "2025-01-22 14:30:10 BUY 1.63453043 O 52.07 0 USD main",
        "2025-02-14 14:30:00 SELL 0.1998348 O 54.13 0 USD main",
        "2025-03-08 08:29:03 BUY 0.76672417 MSFT 366.09 0 EUR main",
    ],
    "swissquote": [
        "2025-02-05 08:12:00 BUY 15 NESN 86.12 9.85 CHF main",
        "2025-02-10 09:58:19 BUY 1600 VEUD 39.808 46.10 USD main",
        "2025-02-10 09:58:19 BUY 1600 VEUD 39.808 46.10 USD main",
        "2025-02-10 14:30:02 SELL 200 VEUD 39.85 15.96 USD main",
    ],
    "saxo": [
        "2024-12-30 11:00:00 BUY 3 VWRA 137.85 0 USD main",
        "2025-01-02 11:00:00 SELL 3 VWRA 139.74 0 USD main",
        "2025-03-20 11:00:00 BUY 1 VUSA 98.41 0 EUR main",
    ],
    "trades": [
        "2025-05-15 10:00:00 BUY 100 AAPL 170.50 0 USD main",
        "2025-05-15 10:01:00 BUY 0.5 SPYL.DE 12.3456 1.5 EUR Desk 7",
        "2025-05-15 10:05:00 SELL 30 AAPL 171.00 0.35 USD main",
    ],
    "generic": [
        "2025-03-15 09:30:00 BUY 10 AAPL 231.55 1.50 USD main",
        "2025-03-16 16:00:00 SELL 4 AAPL 1233.5 0 USD main",
    ],
}
# The other rows of each: the line, s for skipped or r for rejected, and how the reason begins.
OTHERS = {
    "schwab": ["6 s is not recorded as a trade: 'Reinvest Dividend'", "7 s is a stock split", "8 s is not recorded",
               "10 r ticker must be a ticker", "11 s is not a trade"],
    "fidelity": ["8 s is not recorded as a trade: 'DIVIDEND RECEIVED", "10 s is an option", "13 s is not a trade"],
    "ibkr-flex": ["4 r ISIN CH0111762537 has no ticker", "5 s is not recorded as a trade: 'CASH'"],
    "ibkr-activity": ["2 s is in the section 'Statement'", "3 s is in the section", "7 s is a 'SubTotal' of Trades",
                      "9 s is not recorded as a trade: 'ClosedLot'", "10 s is not recorded as a trade: 'Equity and",
                      "12 s is in the section 'Dividends'"],
    "robinhood": ["4 s is not recorded as a trade: 'STC'", "8 s is not recorded as a trade: 'CDIV'", "11 s is not a"],
    "trading212": ["2 s is not recorded as a trade: 'Deposit'", "6 s is not recorded", "7 s is a stock split"],
    "revolut": ["2 s is not recorded as a trade: 'CASH TOP-UP'", "6 s is not recorded", "7 s is a stock split",
                "8 r quantity '1,250' is ambiguous: its mark"],
    "swissquote": ["5 s is not recorded as a trade: 'Forex debit'", "6 s is not recorded as a trade: 'Debit'"],
    "saxo": ["2 s is not recorded as a trade: 'Corporate action'", "6 s is not recorded as a trade: 'Cash Transfer'"],
    "trades": [],
    "generic": ["5 r price is missing"],
}  # fmt: skip


def tell(name: str, data: bytes | None = None) -> list[str]:
    return [told(trade) for trade in read(name, data).trades]


# Files as brokers write them


@pytest.mark.parametrize("name", NAMES)
def test_the_sample_of_each_format_is_read_exactly(name: str) -> None:
    file = read(name)
    assert file.format == name
    assert [told(trade) for trade in file.trades] == TRADES[name]
    found = [f"{each.line} {each.outcome[0]} {each.reason}" for each in file.left_out]
    assert len(found) == len(OTHERS[name])
    assert all(each.startswith(wanted) for each, wanted in zip(found, OTHERS[name], strict=True)), found
    assert file.rows_read == len(file.trades) + len(file.left_out)


@pytest.mark.parametrize("name", FORMATS)
def test_a_header_is_of_one_format_only(name: str) -> None:
    for other in FORMATS.keys() - {name}:
        assert "has no header with the columns" in refused(sample(name), Options(format=other))


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_of_a_broker_names_public_samples(name: str) -> None:
    assert FORMATS[name].sources or name == "trades"
    for source in FORMATS[name].sources:
        assert len(source.commit) == 40
        assert source.repository.count("/") == 1


def shuffled(name: str) -> bytes:
    def shuffle(rows: list[list[str]]) -> list[list[str]]:
        start = header_of(name, rows)
        fixed = 2 if name == "ibkr-activity" else 0
        order = list(range(fixed, len(rows[start])))
        random.Random(7).shuffle(order)  # noqa: S311 - nothing depends on it
        order = [*range(fixed), *order]
        width = len(order)
        return [
            [row[each] for each in order] if len(row) == width and (not fixed or row[0] == "Trades") else row
            for row in rows
        ]

    return rewritten(name, shuffle)


def reversed_rows(name: str) -> bytes:
    """Return a sample whose oldest trade comes first if its newest did, and the other way round."""

    def reverse(rows: list[list[str]]) -> list[list[str]]:
        start = header_of(name, rows)
        places = [
            place for place, row in enumerate(rows) if place > start and (name != "ibkr-activity" or row[0] == "Trades")
        ]
        turned = dict(zip(places, reversed(places), strict=True))
        return [rows[turned.get(place, place)] for place in range(len(rows))]

    return rewritten(name, reverse)


WAYS: dict[str, Callable[[str], bytes]] = {
    "in the other order": reversed_rows,
    "with a byte order mark": lambda name: codecs.BOM_UTF8 + sample(name),
    "with CRLF": lambda name: sample(name).replace(b"\n", b"\r\n"),
    "as UTF-16": lambda name: sample(name).decode().encode("utf-16"),
    "as big-endian UTF-16": lambda name: codecs.BOM_UTF16_BE + sample(name).decode().encode("utf-16-be"),
    "below a preamble": lambda name: b"Exported for you\n\n" + sample(name),
    "with a total at its end": lambda name: sample(name) + f"Total{delimiter(name) * 3}\n".encode(),
    "with its columns shuffled": shuffled,
    "separated by tabs": lambda name: rewritten(name, lambda rows: rows).replace(b"\t", b" "),
    "with columns that nobody asked for": lambda name: rewritten(
        name, lambda rows: [[*row, ""] if len(row) > 1 else row for row in rows]
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_read_the_same(name: str, way: str) -> None:
    data = WAYS[way](name)
    if way == "below a preamble" and name == "ibkr-activity":
        data = sample(name)
    assert tell(name, data) == TRADES[name]
    assert [trade.key for trade in read(name, data).trades] == [trade.key for trade in read(name).trades]


def test_windows_letters_and_thin_spaces_are_read() -> None:
    data = sample("swissquote").replace(b"1'600.0", "1\u2019600.0".encode("cp1252"))
    assert tell("swissquote", data) == TRADES["swissquote"]


# The order in which trades were made


SCHWAB = "Date,Action,Symbol,Quantity,Price,Fees & Comm\n"
DAY = ["03/05/2025,Sell,AAPL,15,11,", "03/05/2025,Buy,AAPL,15,10,"]


def test_of_a_file_of_one_day_the_formats_own_order_counts() -> None:
    assert [line.split()[2] for line in tell("schwab", (SCHWAB + "\n".join(DAY)).encode())] == ["BUY", "SELL"]


def test_a_file_that_begins_with_its_oldest_trade_is_in_order() -> None:
    rows = ["03/04/2025,Buy,AAPL,1,9,", *DAY]
    assert [line.split()[2] for line in tell("schwab", (SCHWAB + "\n".join(rows)).encode())] == ["BUY", "SELL", "BUY"]


# What makes a trade the same in another file


def keys(text: str, account: str = "main") -> list[bytes]:
    return [trade.key for trade in reading.read(text.encode(), Options(account=account)).trades]


def test_equal_trades_of_a_file_are_told_apart_by_how_many_there_are() -> None:
    once, twice = keys(SCHWAB + DAY[1]), keys(SCHWAB + f"{DAY[1]}\n{DAY[1]}\n")
    assert len(set(twice)) == 2
    assert once[0] in twice


def test_a_trade_of_another_account_is_another_trade() -> None:
    assert keys(SCHWAB + DAY[1]) != keys(SCHWAB + DAY[1], account="ira")


def test_a_fee_does_not_make_another_trade_of_it() -> None:
    assert keys(SCHWAB + DAY[1]) == keys(SCHWAB + f"{DAY[1]}0.65")


TRADING212 = "Action,Time,ISIN,Ticker,No. of shares,Price / share,Currency (Price / share),ID\n"


def test_the_brokers_own_id_makes_a_trade_whatever_else_the_file_says() -> None:
    rows = ["Market buy,2025-01-18 14:30:03,,CSCO,1,49,USD,A1", "Market buy,2025-01-18 14:30:03,,CSCO,2,50,USD,A1"]
    first, second = keys(TRADING212 + rows[0]), keys(TRADING212 + rows[1])
    assert first == second
    file = reading.read((TRADING212 + "\n".join([rows[0], *rows])).encode(), Options())
    assert [(each.line, each.outcome, each.reason) for each in file.left_out] == [
        (3, "skipped", "repeats line 2"),
        (4, "rejected", "has the broker's id of line 2, and is another trade"),
    ]


# What is asked of the request


def refused(data: bytes, wanted: Options) -> str:
    with pytest.raises(InvalidError) as refusal:
        reading.read(data, wanted)
    return refusal.value.detail


def test_an_unknown_file_is_told_what_was_seen_and_what_to_do() -> None:
    detail = refused(b"When,What,Much\n1,2,3\n", Options())
    assert "'When,What,Much'" in detail
    assert "schwab, fidelity" in detail
    assert "format=generic&columns=ticker:" in detail


def test_a_file_that_is_not_of_the_named_format_is_told_its_columns() -> None:
    assert "Date, Action, Symbol" in refused(sample("revolut"), Options(format="schwab"))


def test_a_generic_file_needs_its_columns_named() -> None:
    assert "the column of ticker and quantity" in refused(
        sample("generic"), Options(format="generic", columns={"price": "Unit cost", "timestamp": "Day"})
    )
    wrong = {"ticker": "Symbol", "price": "Price", "quantity": "Shares", "timestamp": "Day"}
    assert "no header with the columns Symbol, Price" in refused(sample("generic"), Options(columns=wrong))


def test_a_column_that_is_there_twice_is_refused() -> None:
    assert "has the column Price twice" in refused(b"Date,Action,Symbol,Quantity,Price,Fees & Comm,Price\n", Options())


def test_trades_of_several_accounts_are_not_mixed() -> None:
    data = sample("fidelity").replace(b'"100200300","YOU BOUGHT VALV', b'"100200301","YOU BOUGHT VALV')
    assert "'100200300', '100200301'" in refused(data, Options())
    one = reading.read(data, Options(source_account="100200301"))
    assert [told(trade) for trade in one.trades] == ["2025-03-03 17:00:00 BUY 41 VVV 33.44 0 USD main"]
    assert all(each.outcome == "skipped" for each in one.left_out)


def test_isins_without_a_ticker_are_said_and_can_be_named() -> None:
    assert read("ibkr-flex").isins_without_ticker == ["CH0111762537"]
    named = reading.read(sample("ibkr-flex"), Options(tickers={"CH0111762537": "ZGLD.SW"}))
    assert named.isins_without_ticker == []
    assert "2025-03-05 15:15:00 BUY 7 ZGLD.SW 282.7 5 CHF main" in [told(trade) for trade in named.trades]


def test_dates_without_an_offset_are_of_the_zone_that_is_named() -> None:
    file = reading.read(sample("schwab"), Options(zone=ZoneInfo("Asia/Tokyo")))
    assert [f"{trade.timestamp:%H:%M}" for trade in file.trades] == ["03:00"] * 4


def given(**changed: str) -> GivenOptions:
    plain = GivenOptions("auto", "main", None, None, "USD", None, None, None)
    return replace(plain, **changed)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"format": "etrade"}, "format"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"timezone": "America"}, "timezone"),
        ({"timezone": "\0"}, "timezone"),
        ({"tickers": "US1:toolong1"}, "tickers"),
        ({"tickers": ":AAPL"}, "tickers"),
        ({"columns": "colour:Red"}, "columns"),
        ({"columns": "ticker"}, "columns"),
        ({"date_format": "%Y-%j"}, "date_format"),
        ({"date_format": "%Y-%m"}, "date_format"),
        ({"date_format": "%d.%d.%Y"}, "date_format"),
    ],
)
def test_options_that_mean_nothing_are_named(changed: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidError) as refusal:
        given(**changed).read()
    assert [error.field for error in refusal.value.errors] == [field]


def test_options_are_read() -> None:
    wanted = given(timezone="Europe/Zurich", tickers="A1:AAPL, B2:MSFT", columns="price:Price").read()
    assert wanted.zone == ZoneInfo("Europe/Zurich")
    assert wanted.tickers == {"A1": "AAPL", "B2": "MSFT"}
    assert wanted.columns == {"price": "Price"}


def test_the_name_of_a_column_may_have_commas_and_colons() -> None:
    wanted = given(columns="price:Price, USD: net,ticker:Symbol, fee:Fee,").read()
    assert wanted.columns == {"price": "Price, USD: net", "ticker": "Symbol", "fee": "Fee"}


# Rows that cannot be read


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("13/05/2025,Buy,AAPL,1,10,", "date must be written as %m/%d/%Y, not '13/05/2025'"),
        ("03/05/25,Buy,AAPL,1,10,", "date must be"),
        ("02/30/2025,Buy,AAPL,1,10,", "date must be"),
        ("03/05/2999,Buy,AAPL,1,10,", "date must be at most a day in the future"),
        ("01/01/0001,Buy,AAPL,1,10,", None),
        ("03/05/2025,Buy,AAPL,-1,10,", "quantity must not be negative where shares are bought"),
        ("03/05/2025,Buy,AAPL,0,10,", "quantity must not be 0"),
        ("03/05/2025,Buy,AAPL,1.12345678901,10,", "quantity must have at most 10 digits after the decimal point"),
        ("03/05/2025,Buy,AAPL,1234567890,10,", "quantity must have at most 9 digits before the decimal point"),
        ("03/05/2025,Buy,AAPL,1e300,10,", "quantity is too large"),
        ("03/05/2025,Buy,AAPL,1,,", "price is missing"),
        ("03/05/2025,Buy,AAPL,1,-10,", "price must not be negative"),
        ("03/05/2025,Buy,AAPL,1,($10),", "price must not be negative"),
        ('03/05/2025,Buy,AAPL,1,"1,23",', "price must be a number, not '1,23'"),
        ("03/05/2025,Buy,AAPL,1,1000000000000,", "price must have at most 12 digits before the decimal point"),
        ("03/05/2025,Buy,AAPL,1,NaN,", "price must be a number"),
        (f"03/05/2025,Buy,AAPL,1,0.{'1' * 80},", "price must have at most 60 characters"),
        ("03/05/2025,Buy,AAPL,1,10,1e999", "fee is too large"),
        ("03/05/2025,Buy,,1,10,", "ticker is missing"),
        ("03/05/2025,Buy,TOOLONG,1,10,", "ticker must be a ticker"),
        ("03/05/2025,Buy,AAPL,1,10,0,more", "has 7 values, but the header has 6"),
        ('03/05/2025,Buy,"AAPL"x,1,10,0', "is not CSV"),
    ],
)
def test_a_row_that_cannot_be_read_is_rejected_with_its_line_and_reason(row: str, reason: str | None) -> None:
    file = reading.read((SCHWAB + f"{row}\n{DAY[1]}\n").encode(), Options())
    assert len(file.trades) == (1 if reason else 2)
    for each in file.left_out:
        assert (each.line, each.outcome) == (2, "rejected")
        assert each.reason.startswith(reason or "")


def test_what_cannot_be_stored_is_not_repeated_in_a_reason() -> None:
    file = reading.read((SCHWAB + "03/05/2025,Buy,A\0\x1b,1,10,\n03/05/2025,\0,A,1,10,\n").encode(), Options())
    assert not any("\0" in each.reason or "\x1b" in each.reason for each in file.left_out)


def test_what_is_rounded_is_counted_and_said() -> None:
    file = reading.read((SCHWAB + "03/05/2025,Buy,AAPL,1,10.0000005,0.1234565\n").encode(), Options())
    [trade] = file.trades
    assert (str(trade.price), str(trade.fee), trade.is_adjusted) == ("10.000000", "0.123456", True)
    assert trade.remark == "price 10.0000005 was rounded to 10.000000; fee 0.1234565 was rounded to 0.123456"


def test_zeros_at_the_end_are_not_rounded() -> None:
    file = reading.read((SCHWAB + "03/05/2025,Buy,AAPL,1.50000000000,10.00000000,\n").encode(), Options())
    [trade] = file.trades
    assert (str(trade.quantity), trade.is_adjusted, trade.remark) == ("1.5", False, None)
