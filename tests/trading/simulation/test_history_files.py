import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.simulation import history_files
from trading.simulation.bars import At, Bar, History, ReadingNotes
from trading.simulation.history_files import HistoryError

HEADER = "date,open,high,low,close,volume\n"
FIRST = "2024-01-02,10.10,11,9.5,10.25,100\n"

# The same eleven days, as each of these exports them.
SAMPLES = sorted((Path(__file__).parent / "samples").iterdir())
DAYS = [date(2024, 1, day) for day in (2, 3, 4, 5, 8, 9, 10, 11, 12, 16, 17)]
OPENS = [1000, 1000, 900, 800, 800, 1100, 1200, 1400, 1300, 900, 800]
CLOSES = [1000, 1000, 900, 800, 800, 1100, 1300, 1400, 1300, 900, 900]


def read(text: str, *, adjusted: bool = False) -> History:
    return history_files.read_csv(text.encode(), adjusted=adjusted)


def days(*texts: str) -> list[At]:
    """Return the times of rows with these dates."""
    rows = "".join(f'"{text}",{10 + number}\n' for number, text in enumerate(texts))
    return [bar.at for bar in read(f"date,close\n{rows}").bars]


def sampled_bars(times: list[At]) -> list[Bar]:
    prices = zip(times, OPENS, CLOSES, strict=True)
    return [
        Bar(
            at,
            opened + Decimal("0.25"),
            max(opened, closed) + Decimal("4.75"),
            min(opened, closed) - Decimal(5),
            closed + Decimal("0.25"),
        )
        for at, opened, closed in prices
    ]


# Files as they are exported


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_each_export_of_the_same_days_is_the_same_history(sample: Path) -> None:
    history = history_files.read_csv(sample.read_bytes())
    times: list[At] = list(DAYS)
    if sample.stem == "tradingview_epoch":  # where the market opens at half past two, in UTC
        times = [datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC) for day in DAYS]
    assert history.bars == sampled_bars(times)
    assert history.frequency == "1 day"
    changed = {
        "yfinance_three_rows": ReadingNotes(rounded_prices=2),
        "yahoo": ReadingNotes(skipped_rows=1),
    }
    assert history.notes == changed.get(sample.stem, ReadingNotes())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("change", ["crlf", "utf-16", "blank rows", "preamble", "oldest or newest first"])
def test_an_export_may_have_been_saved_by_a_spreadsheet(sample: Path, change: str) -> None:
    lines = sample.read_text("utf-8-sig").splitlines()
    heads = {"yfinance_three_rows": 3, "binance": 0, "binance_microseconds": 0}.get(sample.stem, 1)
    changed = {
        "crlf": "\r\n".join(lines),
        "utf-16": "\n".join(lines),
        "blank rows": "\n\n" + "\n , \n\n".join(lines),
        "preamble": "Prices of MSFT\nsep=,\n" + "\n".join(lines),
        "oldest or newest first": "\n".join([*lines[:heads], *lines[: heads - 1 if heads else None : -1]]),
    }[change]
    read_back = history_files.read_csv(changed.encode("utf-16" if change == "utf-16" else "utf-8"))
    assert read_back == history_files.read_csv(sample.read_bytes())


def test_european_spreadsheets_separate_by_semicolons_and_write_decimal_commas() -> None:
    history = read(
        "Date;Open;High;Low;Close\n02.01.2024;1.234,5;1.240;1.230;1.235,25\n03.01.2024;1.235;1.240;1.230;1.236\n"
    )
    assert history.bars[0] == Bar(date(2024, 1, 2), Decimal("1234.5"), Decimal(1240), Decimal(1230), Decimal("1235.25"))
    assert history.bars[1].close == 1236


def test_the_decimal_mark_of_whole_prices_is_told_by_other_numbers() -> None:
    rows = ['"Jan 03, 2020","3,748","190.28M","0.13%"', '"Jan 02, 2020","3,744","-","0.1%"']
    text = "\n".join(['"Date","Price","Vol.","Change %"', *rows])
    assert [bar.close for bar in read(text).bars] == [3744, 3748]
    assert read(text.replace("0.13%", "0,13%").replace("190.28M", "-")).bars[0].close == Decimal("3.744")


def test_adjusted_closes_are_taken_on_request_and_the_other_prices_are_scaled_as_they_are() -> None:
    text = "Date,Open,High,Low,Close,Adj Close\n2024-01-02,9,11,8,10,5.0000005\n2024-01-03,null,null,null,null,null\n"
    assert read(text).bars[0].close == 10
    history = read(text, adjusted=True)
    prices = [Decimal(text) for text in ("4.5", "5.500001", "4", "5")]
    assert history.bars == [Bar(date(2024, 1, 2), *prices)]
    assert history.notes == ReadingNotes(adjusted=True, rounded_prices=1, skipped_rows=1)
    with pytest.raises(HistoryError, match="line 1: has no column with adjusted closes, such as Adj Close"):
        read(HEADER + FIRST, adjusted=True)
    with pytest.raises(HistoryError, match="line 2: adjusted close is missing"):
        read("date,close,adjusted_close\n2024-01-02,10,\n", adjusted=True)


def test_a_file_of_several_tickers_is_refused() -> None:
    with pytest.raises(HistoryError, match="line 1: has the column Close twice, for several tickers: save each alone"):
        read("Price,Close,Close\nTicker,AAPL,MSFT\nDate,,\n2024-01-02,1,2\n")


def test_a_day_and_a_time_of_day_may_have_columns_of_their_own() -> None:
    text = "Date,Time,Open,High,Low,Close,Volume,OpenInt\n2024-01-02,15:35:00,7,8,6,7.5,100,0\n"
    history = read(text + "2024-01-02,15:40:00,7,8,6,7.25,100,0\n")
    assert [bar.at for bar in history.bars] == [datetime(2024, 1, 2, 15, minute, tzinfo=UTC) for minute in (35, 40)]
    assert history.frequency == "5 minutes"


def test_prices_that_would_be_none_once_adjusted_are_refused() -> None:
    with pytest.raises(HistoryError, match=r"line 2: low cannot be adjusted: it would be 0\.000000$"):
        read("date,low,close,adj close\n2024-01-02,0.000001,1,0.1\n", adjusted=True)
    with pytest.raises(HistoryError, match="line 2: open cannot be adjusted: it would be 500000000000000000"):
        read("date,open,close,adj close\n2024-01-02,1,0.000001,500000000000\n", adjusted=True)


# Rows


def test_a_row_is_a_bar_with_the_digits_that_were_sent() -> None:
    [bar] = read(HEADER + FIRST).bars
    assert bar == Bar(date(2024, 1, 2), Decimal("10.10"), Decimal(11), Decimal("9.5"), Decimal("10.25"))
    assert str(bar.open) == "10.10"


def test_close_alone_is_enough_and_other_columns_in_any_order_are_left_alone() -> None:
    history = read("\ufeffAdj Close,Close , DATE\r\nx,10,2024-01-02\r\n,11,2024-01-03\r\n\r\n")
    assert [(f"{bar.at}", f"{bar.close}") for bar in history.bars] == [("2024-01-02", "10"), ("2024-01-03", "11")]
    assert not history.has_opens


@pytest.mark.parametrize("unknown", ["0", "0.00", "", "null", "N/A"])
def test_an_open_of_zero_or_none_is_unknown(unknown: str) -> None:
    history = read(HEADER + FIRST.replace("10.10", unknown) + FIRST.replace("01-02", "01-03"))
    assert [bar.open for bar in history.bars] == [None, Decimal("10.10")]
    assert not history.has_opens


def test_lines_end_at_newlines_alone() -> None:
    for character in ("\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"):
        history = read(f"date,close,note\n2024-01-02,10,a{character}b\n2024-01-03,11,c\n")
        assert [bar.close for bar in history.bars] == [10, 11]


def test_prices_may_be_the_high_and_the_low_of_their_bar_or_beyond_them_by_a_rounding() -> None:
    rising = read("date,open,high,low,close\n2024-01-02,5.0,6,5,6.00\n")
    assert (rising.bars[0].close, rising.notes) == (rising.bars[0].high, ReadingNotes())
    history = read("date,open,high,low,close\n2024-01-02,8.999991,10.999999,9,11.000000\n")
    assert history.bars[0].high == history.bars[0].close == 11
    assert history.bars[0].low == history.bars[0].open == Decimal("8.999991")
    assert history.notes == ReadingNotes(widened_bars=1)
    with pytest.raises(HistoryError, match=r"line 2: close 10\.000011 is above high 10"):
        read("date,high,close\n2024-01-02,10,10.000011\n")


def test_prices_are_rounded_half_even_to_six_decimals_and_counted() -> None:
    history = read("date,open,close\n2024-01-02,1.0000005,1.0000015\n2024-01-03,1.00000050000001,1e-05\n")
    assert [(bar.open, bar.close) for bar in history.bars] == [
        (1, Decimal("1.000002")),
        (Decimal("1.000001"), Decimal("0.00001")),
    ]
    assert history.notes == ReadingNotes(rounded_prices=3)


BAD_ROWS = [
    ("", "line 1: no header was recognized in the first 20 lines; the first row is '': name the columns date"),
    ("date,open\n", "line 1: no header was recognized in the first 20 lines; the first row is 'date,open': name"),
    ("Exceeded the limit", "line 1: no header was recognized in the first 20 lines; the first row is 'Exceeded the"),
    ("date,close,Close\n", "line 1: has the column close twice"),
    (HEADER, "line 2: there are no bars"),
    (HEADER + FIRST + FIRST, "line 3: 2024-01-02 occurs twice"),
    (
        HEADER + FIRST + FIRST.replace("2024", "2023") + FIRST.replace("2024", "2025"),
        "line 3: 2023-01-02 comes after 2024-01-02: sort",
    ),
    (
        HEADER + FIRST + FIRST.replace("2024", "2025") + FIRST.replace("2024", "2023"),
        "line 3: 2024-01-02 comes after 2025-01-02: sort",
    ),
    (HEADER + FIRST.replace("10.25", ""), "line 2: close is missing"),
    (HEADER + FIRST.replace("10.25", "0.00"), "line 2: close must be a price from 0.000001"),
    (HEADER + FIRST.replace("9.5", "-9.5"), "line 2: low must be a price from 0.000001"),
    (HEADER + FIRST.replace("9.5", "0"), "line 2: low must be a price from 0.000001"),
    (
        HEADER + FIRST.replace("11", "Inf"),
        "line 2: high must be a price from 0.000001 to 999999999999, such as 310.50, not 'Inf'",
    ),
    (HEADER + FIRST.replace("11", "1_1"), "line 2: high must be"),
    (HEADER + FIRST.replace("11", "\u0661\u0661"), "line 2: high must be"),
    (HEADER + FIRST.replace("11", "1000000000000"), "line 2: high must be"),
    (HEADER + FIRST + "2024-01-03,10,5,20,10,1\n", "line 3: open 10 is above high 5: have columns been swapped?"),
    (HEADER + FIRST.replace("10.10", "11.01"), "line 2: open 11.01 is above high 11:"),
    (HEADER + FIRST.replace("10.10", "9.49"), "line 2: open 9.49 is below low 9.5:"),
    (HEADER + FIRST.replace("10.25", "11.01"), "line 2: close 11.01 is above high 11:"),
    (HEADER + FIRST.replace("10.25", "9.49"), "line 2: close 9.49 is below low 9.5:"),
    ("date,high,close\n2024-01-02,5,6\n", "line 2: close 6 is above high 5:"),
    ("date,close,low\n2024-01-02,5,6\n", "line 2: close 5 is below low 6:"),
    ("date,close\n2024-01-02,0.0000004\n", "line 2: close must be a price from 0.000001"),
    ('date,close\n2024-01-02,950\n2024-01-03,"1,050"\n', "line 3: '1,050' is ambiguous: its comma"),
    (HEADER + FIRST + "2024-01-03,1,1\n" + FIRST, "line 3: has 3 values, but the header has 6"),
    (HEADER + FIRST.replace("100", "1,00"), "line 2: has 7 values, but the header has 6"),
    (HEADER + FIRST + '"2024', "line 3: is not CSV: unexpected end"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), BAD_ROWS)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(HistoryError) as refused:
        read(text)
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize("text", ["\x1b]0;x\x1b[2J", "date,close\n\x1b[2J,1\n", "date,close\n2024-01-02,\x1b[2J\n"])
def test_what_a_file_has_in_it_is_no_command_to_the_terminal(text: str) -> None:
    with pytest.raises(HistoryError, match=r"\\x1b\[2J") as refused:
        read(text)
    assert "\x1b" not in str(refused.value)


def test_bytes_that_are_no_text_are_refused_with_their_line() -> None:
    with pytest.raises(HistoryError, match="line 3: has 1 values"):
        history_files.read_csv((HEADER + FIRST).encode() + b"\xff\n")


def test_more_bars_than_allowed_are_refused_with_the_line_of_the_first_too_many() -> None:
    text = "date,close\n2024-01-02,1\n\n2024-01-03,2\n2024-01-04,null\n2024-01-05,3\n"
    assert len(history_files.read_csv(text.encode(), limit=3).bars) == 3
    with pytest.raises(HistoryError, match="line 6: a history must not exceed 2 bars"):
        history_files.read_csv(text.encode(), limit=2)


# Dates


NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("texts", "times"),
    [
        (["2024-01-02", "2024-01-03"], [date(2024, 1, 2), date(2024, 1, 3)]),
        (["2024-01-02 00:00:00-05:00", "2024-07-02 00:00:00-04:00"], [date(2024, 1, 2), date(2024, 7, 2)]),
        (["2024-01-02T00:00:00Z", "2024-01-03T00:00:00.000Z"], [date(2024, 1, 2), date(2024, 1, 3)]),
        (["2024-01-02T07:00:00-05:00", "2024-01-02T12:30:00Z"], [NOON, NOON.replace(minute=30)]),
        (["2024-01-02 12:00", "2024-01-03 00:00"], [NOON, datetime(2024, 1, 3, tzinfo=UTC)]),
        (["1704196800", "1704196860"], [NOON, NOON.replace(minute=1)]),
        (["1704196800000", "1704196860000000"], [NOON, NOON.replace(minute=1)]),  # as Binance did from 2025 on
        (["-3155673600", "1704153600"], [date(1870, 1, 1), date(2024, 1, 2)]),
        (["Jan 02, 2024", "Jan 3, 2024"], [date(2024, 1, 2), date(2024, 1, 3)]),
        (["02.01.2024", "03.01.2024"], [date(2024, 1, 2), date(2024, 1, 3)]),
        (["1/12/2024", "1/16/2024"], [date(2024, 1, 12), date(2024, 1, 16)]),
        (["12/1/2024", "16/1/2024"], [date(2024, 1, 12), date(2024, 1, 16)]),
        (["12-01-2024", "16-01-2024"], [date(2024, 1, 12), date(2024, 1, 16)]),
        (["05/05/2024"], [date(2024, 5, 5)]),
        (["01/05/2024", "01/08/2024", "01/09/2024"], [date(2024, 1, day) for day in (5, 8, 9)]),
        (["01/11/2023", "01/12/2023", "01/01/2024"], [date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1)]),
    ],
)
def test_dates_are_read_as_they_are_exported(texts: list[str], times: list[At]) -> None:
    assert days(*texts) == times
    assert days(*reversed(texts)) == times


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["2024-02-30"], "line 2: date must be a day, such as 2025-06-03, or an instant, such as 2025-06-03T14:30"),
        (["2024-01-02", "2024-01-03T10:00:00Z"], "line 3: date must be a day"),
        (["2024-01-02T10:00:00Z", "2024-01-03"], "line 3: date must be a day"),
        (["1704196800", "x"], "line 3: date must be a day"),
        (["-99999999999", "1704196800"], "line 2: date must be a day"),
        (["20240102", "20240103"], "line 2: date must not be 20240102: write days as 2025-06-03"),
        (["01/13/2024", "x"], "line 3: date must be a day"),
        (["Foo 02, 2024"], "line 2: date must be a day"),
        (["02.01.2024", "02.13.2024"], "line 3: date must be a day"),
        (["01/02/2024", "01/03/2024"], "line 2: dates such as 01/02/2024 may be month/day/year or day/month/year"),
        (["01/13/2024", "14/01/2024"], "line 2: dates such as 01/13/2024 may not be both, or are out of order: write"),
    ],
)  # fmt: skip
def test_dates_that_are_none_or_could_be_others_are_refused(texts: list[str], said: str) -> None:
    with pytest.raises(HistoryError) as refused:
        days(*texts)
    assert str(refused.value).startswith(said)


def test_nasdaqs_dates_are_american_even_where_they_could_be_others() -> None:
    text = "Date,Close/Last\n01/03/2024,$2\n01/02/2024,$1\n"
    assert [bar.at for bar in read(text).bars] == [date(2024, 1, 2), date(2024, 1, 3)]


# Whatever is read


prices = st.decimals("0.000001", 10**11, places=6)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw histories of days or of minutes, with all prices or only closes."""
    start = draw(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1))).replace(microsecond=0, tzinfo=UTC)  # noqa: DTZ001
    step = draw(st.sampled_from([timedelta(minutes=1), timedelta(days=1), timedelta(days=7)]))
    is_intraday = step < timedelta(days=1)
    bars = []
    for number in range(draw(st.integers(1, 8))):
        low, *between, high = sorted(draw(st.tuples(prices, prices, prices, prices)))
        opened, close = draw(st.permutations(between))
        instant = start.replace(hour=9) + number * step
        at = instant if is_intraday else instant.date()
        bars.append(Bar(at, *draw(st.sampled_from([(opened, high, low, close), (None, None, None, close)]))))
    return History(bars)


@given(histories())
def test_a_history_is_read_as_it_was_written(history: History) -> None:
    assert history_files.read_csv(history_files.write_csv(history).encode()) == history


def numbers(line: str) -> set[Decimal]:
    """Return all numbers that the cells of a line may be said to spell, to six decimals."""
    cells = [cell for delimiter in ",;|\t" for cell in line.split(delimiter)] + re.findall(r'"([^"]*)"', line)
    found = set()
    for cell in cells:
        for decimal, thousands in ((".", ","), (",", ".")):
            digits = re.sub(rf"[^0-9eE{decimal}{thousands}+-]", "", cell).replace(thousands, "").replace(decimal, ".")
            with suppress(ArithmeticError):
                found.add(abs(Decimal(digits)).quantize(Decimal("0.000001"), ROUND_HALF_EVEN))
    return found


@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from(b"\n\r\"',.;$-()0123456789eE \x00\xff\xc2\xa0")), max_size=4),
    st.booleans(),
)
def test_a_damaged_file_is_refused_or_read_as_its_rows_spell(
    sample: Path,
    damages: list[tuple[float, int]],
    inserts: bool,  # noqa: FBT001
) -> None:
    data = bytearray(sample.read_bytes())
    for where, byte in damages:
        position = int(where * (len(data) - 1))
        data[position : position if inserts else position + 1] = bytes([byte])
    with suppress(HistoryError):
        history = history_files.read_csv(bytes(data))
        lines = data.decode(errors="replace").split("\n")
        # A newline in quotes does not end a row.
        spelled = [numbers(line) for line in [*lines, *map("\n".join, pairwise(lines))]]
        for bar in history.bars:
            known = {price for price in (bar.open, bar.high, bar.low, bar.close) if price is not None}
            assert any(known <= line for line in spelled), bar
