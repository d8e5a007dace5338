from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from trading.simulation.bars import At, Bar, History


def at(*times: At) -> History:
    return History([Bar(each, None, None, None, Decimal(1)) for each in times])


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
    history = at(
        datetime(2024, 1, 2, 10, tzinfo=UTC), datetime(2024, 1, 2, 11, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC)
    )
    assert history.day_ends.tolist() == [1, 2]
    assert closes("1", "2").day_ends.tolist() == [0, 1]
    assert (history.days, closes("1", "2", "3").days) == (1, 2)


OPENING = datetime(2024, 3, 7, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("times", "frequency"),
    [
        ([OPENING], None),
        ([OPENING + timedelta(seconds=15 * number) for number in range(4)], "15 seconds"),
        ([OPENING, *(OPENING + timedelta(hours=18, minutes=number) for number in range(9))], "1 minute"),
        ([OPENING + timedelta(minutes=5 * number) for number in range(4)], "5 minutes"),
        ([OPENING + timedelta(hours=4 * number) for number in range(4)], "4 hours"),
        ([OPENING, datetime(2024, 3, 8, 14, 30, tzinfo=UTC), datetime(2024, 3, 11, 13, 30, tzinfo=UTC)], "3 days"),
        ([OPENING, datetime(2024, 3, 8, 13, 30, tzinfo=UTC)], "1 day"),
        ([date(2024, 3, day) for day in (7, 8, 11, 12, 13)], "1 day"),
        ([date(2024, 3, day) for day in (1, 8, 15, 21, 29)], "1 week"),
        ([date(2024, month, 1) for month in (1, 2, 3, 4)], "1 month"),
        ([date(2023, month, 1) for month in (2, 3)], "1 month"),
        ([date(2024, month, 1) for month in (1, 4, 7, 10)], "3 months"),
        ([date(year, 1, 1) for year in (2019, 2020, 2021)], "1 year"),
        ([date(2024, 1, day) for day in (1, 15, 29)], "14 days"),
    ],
)
def test_the_frequency_is_the_usual_time_from_a_bar_to_the_next(times: Sequence[At], frequency: str | None) -> None:
    assert at(*times).frequency == frequency
