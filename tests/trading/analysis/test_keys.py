from datetime import date

import pytest

from trading.analysis import keys
from trading.core.errors import InvalidError


def test_the_files_of_a_day_stand_together_under_its_zero_padded_path() -> None:
    day = date(2024, 5, 1)
    assert keys.trades_key(day) == "2024/05/01/trades.csv"
    assert keys.analysis_key(day) == "2024/05/01/analysis_2024-05-01.csv"
    assert keys.rejects_key(day) == "2024/05/01/rejects_2024-05-01.csv"
    assert keys.day_of(keys.trades_key(day)) == keys.day_of(keys.trades_key(day) + ".gz") == day


def test_a_year_has_four_digits() -> None:
    assert keys.trades_key(date(999, 1, 2)) == "0999/01/02/trades.csv"


@pytest.mark.parametrize(
    "key",
    ["2024/02/30/trades.csv", "2024/13/01/trades.csv", "2024/5/1/trades.csv", "x/2024/05/01/trades.csv", "trades.csv",
     "2024/05/01/analysis_2024-05-01.csv", "2024/05/01/rejects_2024-05-01.csv", "2024/05/01/trades.csv.bak", ""],
)  # fmt: skip
def test_any_other_key_is_no_days_trades(key: str) -> None:
    assert keys.day_of(key) is None


def test_a_schedule_is_about_the_day_before() -> None:
    assert keys.day_before("2024-03-01T02:00:00Z") == date(2024, 2, 29)


@pytest.mark.parametrize(
    "text", [None, "", "2024-02-30", "20240515", "2024-5-1", "yesterday", 5, "2024-05-15T00:00:00Z"]
)
def test_what_is_no_date_is_refused_by_its_name(text: object) -> None:
    with pytest.raises(InvalidError, match="date: must be a date"):
        keys.read_day(text)
