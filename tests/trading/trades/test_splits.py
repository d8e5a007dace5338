from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from tests.conftest import Rows
from trading.core.errors import ConflictError, NotFoundError
from trading.trades import splits
from trading.trades.splits import NewSplit, Split, SplitFilter

OPENING = datetime(2024, 6, 10, 13, 30, tzinfo=UTC)


def new(**changed: Any) -> NewSplit:
    return NewSplit.model_validate({"ticker": "NVDA", "effective_at": OPENING.isoformat(), "ratio": "10:1", **changed})


def record(**changed: Any) -> Split:
    return splits.record(new(**changed), "local")[0]


def ids(**wanted: Any) -> list[int]:
    return [split.id for split in splits.find(SplitFilter(**wanted))[0]]


def test_a_split_is_recorded_as_it_was_sent(rows: Rows) -> None:
    split, is_new = splits.record(new(ratio="20:2"), "desk-7")
    assert is_new
    assert (split.ticker, split.effective_at, split.ratio, split.recorded_by) == ("NVDA", OPENING, "20:2", "desk-7")
    assert (split.status, split.voided_at) == ("active", None)
    assert rows("select numerator, denominator from splits") == [(20, 2)]


def test_a_split_whose_answer_was_lost_is_recorded_once(rows: Rows) -> None:
    first = record()
    assert splits.record(new(), "local") == (first, False)
    assert rows("select count(*) from splits") == [(1,)]


def test_a_ticker_has_one_ratio_at_an_instant(rows: Rows) -> None:
    record()
    with pytest.raises(ConflictError) as refused:
        record(ratio="4:1")
    assert [error.field for error in refused.value.errors] == ["ratio"]
    record(ticker="AAPL", ratio="4:1")
    record(ratio="4:1", effective_at="2021-07-20T13:30:00Z")
    assert rows("select count(*) from splits") == [(3,)]


def test_a_voided_split_stays_and_makes_room_for_another(rows: Rows) -> None:
    del rows
    wrong = record(ratio="4:1")
    voided = splits.void(wrong.id, "Wrong ratio", "desk-7")
    assert (voided.status, voided.voided_by, voided.void_reason) == ("voided", "desk-7", "Wrong ratio")
    assert splits.void(wrong.id, "Again", "desk-8") == voided
    right = record()
    assert ids() == [right.id]
    assert ids(status="voided") == [wrong.id]
    assert ids(status="all") == [right.id, wrong.id]
    with pytest.raises(NotFoundError):
        splits.void(77, "Wrong ratio", "local")


def test_splits_are_found_by_ticker_and_dates_in_pages(rows: Rows) -> None:
    del rows
    recorded = [
        record(ticker=ticker, effective_at=(OPENING + timedelta(days=day)).isoformat()).id
        for day, ticker in enumerate(["NVDA", "AAPL", "NVDA"])
    ]
    assert ids() == recorded[::-1]
    assert ids(ticker="NVDA") == [recorded[2], recorded[0]]
    assert ids(start_date=OPENING + timedelta(days=1), end_date=OPENING + timedelta(days=1)) == [recorded[1]]
    page, cursor = splits.find(SplitFilter(limit=2))
    assert [split.id for split in page] == recorded[:0:-1]
    assert ids(limit=2, cursor=cursor) == recorded[:1]


@pytest.mark.parametrize(
    "change",
    [
        {"ratio": "10"}, {"ratio": "0:1"}, {"ratio": "1:0"}, {"ratio": "3:3"}, {"ratio": "1.5:1"}, {"ratio": "-2:1"},
        {"ratio": "1000000:1"}, {"ratio": "10:1\n"}, {"ratio": 10}, {"ticker": "nvda"}, {"effective_at": "2024-06-10"},
        {"effective_at": (datetime.now(UTC) + timedelta(days=2)).isoformat()}, {"venue": "XNAS"},
    ],
)  # fmt: skip
def test_what_is_no_split_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        new(**change)
