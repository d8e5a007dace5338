from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from trading.simulation import histories
from trading.simulation.histories import Bar, History, HistoryError

HEADER = "date,open,high,low,close,volume\n"
FIRST = "2024-01-02,10.10,11,9.5,10.25,100\n"


def test_a_row_is_a_bar_with_the_digits_that_were_sent() -> None:
    [bar] = histories.read_csv((HEADER + FIRST).encode()).bars
    assert bar == Bar(date(2024, 1, 2), Decimal("10.10"), Decimal(11), Decimal("9.5"), Decimal("10.25"))
    assert str(bar.open) == "10.10"


def test_close_alone_is_enough_and_other_columns_in_any_order_are_left_alone() -> None:
    history = histories.read_csv("\ufeffAdj Close,Close , DATE\r\nx,10,2024-01-02\r\n,11,2024-01-03\r\n\r\n".encode())
    assert [(bar.at.day, bar.close) for bar in history.bars] == [(2, Decimal(10)), (3, Decimal(11))]
    assert not history.has_opens


def test_prices_may_be_the_high_and_the_low_of_their_bar() -> None:
    rising = histories.read_csv(b"date,open,high,low,close\n2024-01-02,5.0,6,5,6.00\n")
    assert rising.bars[0].close == rising.bars[0].high


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: has no column date"),
        ("date,open\n", "line 1: has no column close"),
        ("date,close,Close\n", "line 1: has the column close twice"),
        (HEADER, "line 2: there is no bar"),
        (HEADER + FIRST + FIRST, "line 3: 2024-01-02 is there twice"),
        (HEADER + FIRST + FIRST.replace("2024", "2023"), "line 3: 2023-01-02 comes after 2024-01-02: sort"),
        (HEADER + FIRST.replace("10.25", ""), "line 2: close is missing"),
        (HEADER + FIRST.replace("10.10", " "), "line 2: open is missing"),
        (HEADER + FIRST.replace("10.25", "0.00"), "line 2: close must be a price above zero"),
        (HEADER + FIRST.replace("9.5", "-9.5"), "line 2: low must be a price above zero"),
        (HEADER + FIRST.replace("11", "NaN"), "line 2: high must be a price above zero, such as 310.50, not NaN"),
        (HEADER + FIRST.replace("11", "1e3"), "line 2: high must be"),
        (HEADER + FIRST.replace("11", "1_1"), "line 2: high must be"),
        (HEADER + FIRST.replace("11", "\u0661\u0661"), "line 2: high must be"),
        (HEADER + FIRST + "2024-01-03,10,5,20,10,1\n", "line 3: open 10 is above high 5: have columns been swapped?"),
        (HEADER + FIRST.replace("10.10", "11.01"), "line 2: open 11.01 is above high 11:"),
        (HEADER + FIRST.replace("10.10", "9.49"), "line 2: open 9.49 is below low 9.5:"),
        (HEADER + FIRST.replace("10.25", "11.01"), "line 2: close 11.01 is above high 11:"),
        (HEADER + FIRST.replace("10.25", "9.49"), "line 2: close 9.49 is below low 9.5:"),
        ("date,high,close\n2024-01-02,5,6\n", "line 2: close 6 is above high 5:"),
        ("date,close,low\n2024-01-02,5,6\n", "line 2: close 5 is below low 6:"),
        (HEADER + FIRST.replace("01-02", "02-30"), "line 2: date "),
        (HEADER + FIRST.replace("2024-01-02", "02/01/2024"), "line 2: date must be a day"),
        (HEADER + FIRST + "2024-01-03,1,1\n" + FIRST, "line 3: has 3 values, and the header 6"),
        (HEADER + FIRST + "\n" + FIRST, "line 3: has 0 values"),
        (HEADER + FIRST + '"2024', "line 3: unexpected end"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(HistoryError) as refused:
        histories.read_csv(text.encode())
    assert str(refused.value).startswith(said)


def test_bytes_that_are_no_text_are_refused_with_their_line() -> None:
    with pytest.raises(HistoryError, match="line 3: is not UTF-8 text"):
        histories.read_csv((HEADER + FIRST).encode() + b"\xff\n")


def closes(*prices: str) -> History:
    return History(
        [Bar(date.fromordinal(day), None, None, None, Decimal(price)) for day, price in enumerate(prices, 1)]
    )


def test_closes_are_whole_numbers_of_their_finest_decimal() -> None:
    assert closes("10", "10.5", "0.25").units.tolist() == [1000, 1050, 25]


def test_numbers_too_large_for_64_bits_stay_exact() -> None:
    units = closes("999999999999.999999999999999999", "1", "2").units
    assert units.dtype == object
    assert units.tolist()[0] == 10**30 - 1


def test_the_last_interval_of_a_day_ends_it() -> None:
    at = [datetime(2024, 1, 2, 10, tzinfo=UTC), datetime(2024, 1, 2, 11, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC)]
    history = History([Bar(each, None, None, None, Decimal(1)) for each in at])
    assert history.day_ends.tolist() == [1, 2]
    assert closes("1", "2").day_ends.tolist() == [0, 1]
