import gzip
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest

from local.host.template import ROOT
from tests.conftest import Bucket
from trading.analysis import results, summary
from trading.analysis.results import Analysis
from trading.core import storage
from trading.core.errors import ConflictError, InvalidError, NotFoundError

DAY = date(2024, 5, 15)
SOURCE = "2024/05/15/trades.csv"
RESULT = "2024/05/15/analysis_2024-05-15.csv"
REJECTS = "2024/05/15/rejects_2024-05-15.csv"
CHANGES = "2024/05/15/changes_2024-05-15.csv"
SAMPLE = (ROOT / "events" / SOURCE).read_text()
HEADER = SAMPLE.splitlines()[0]


def test_the_sample_of_the_original_is_analyzed_beside_itself(bucket: Bucket) -> None:
    bucket.put(SOURCE, SAMPLE)
    assert results.analyze_day(bucket.name, DAY) == Analysis(SOURCE, RESULT, 6, 3, 0)
    assert bucket.get(RESULT) == (
        "ticker,total_volume,average_price,mean_price,trade_count,notional,open,high,low,close,buy_volume,sell_volume\n"
        "AAPL,180,170.666667,170.766667,3,30720.00,170.50,171.00,170.50,171.00,130,50\n"
        "GOOG,30,2796.916667,2797.875000,2,83907.50,2795.00,2800.75,2795.00,2800.75,20,10\n"
        "MSFT,75,305.200000,305.200000,1,22890.00,305.20,305.20,305.20,305.20,0,75\n"
    )
    assert bucket.keys() == [RESULT, SOURCE]


def test_a_ticker_in_two_currencies_has_a_row_for_each_and_the_currency_comes_last(bucket: Bucket) -> None:
    lines = (
        "T,1,2,BUY,2024-05-15T10:00:00Z,USD\nT,3,4,BUY,2024-05-15T10:00:00Z,EUR\nT,5,6,SELL,2024-05-15T10:00:00Z,USD\n"
    )
    bucket.put(SOURCE, f"{HEADER},currency\n{lines}")
    results.analyze_day(bucket.name, DAY)
    header, *rows = bucket.get(RESULT).splitlines()
    assert header.endswith(",sell_volume,currency")
    assert rows == [
        "T,4,3.000000,3.000000,1,12.00,3.00,3.00,3.00,3.00,4,0,EUR",
        "T,8,4.000000,3.000000,2,32.00,1.00,5.00,1.00,5.00,2,6,USD",
    ]
    assert [row.currency for row in results.stored(bucket.name, DAY)[0].rows] == ["EUR", "USD"]


def test_rejected_lines_stand_in_a_file_of_their_own_and_cannot_be_formulas(bucket: Bucket) -> None:
    bucket.put(SOURCE, SAMPLE + '=1+1,x\n"T\n')
    assert results.analyze_day(bucket.name, DAY).rejected == 2
    assert bucket.get(REJECTS) == 'line,reason,row\n8,missing field,"\'=1+1,x"\n9,stray quote,"""T"\n'


def test_rejects_of_an_earlier_source_are_removed(bucket: Bucket) -> None:
    bucket.put(SOURCE, SAMPLE + "x\n")
    results.analyze_day(bucket.name, DAY)
    bucket.put(SOURCE, SAMPLE)
    results.analyze_day(bucket.name, DAY)
    assert bucket.keys() == [RESULT, CHANGES, SOURCE]


def test_a_packed_source_is_read(bucket: Bucket) -> None:
    bucket.put(f"{SOURCE}.gz", gzip.compress(SAMPLE.encode()))
    assert results.analyze_day(bucket.name, DAY) == Analysis(f"{SOURCE}.gz", RESULT, 6, 3, 0)


@pytest.mark.parametrize("text", ["", HEADER, HEADER + "\n"])
def test_a_day_without_trades_has_an_analysis_with_a_header_alone(bucket: Bucket, text: str) -> None:
    bucket.put(SOURCE, text)
    assert results.analyze_day(bucket.name, DAY) == Analysis(SOURCE, RESULT, 0, 0, 0)
    assert len(bucket.get(RESULT).splitlines()) == 1


def test_a_day_without_a_file_is_not_found(bucket: Bucket) -> None:
    with pytest.raises(NotFoundError):
        results.analyze_day(bucket.name, DAY)


def test_a_header_without_a_column_is_an_error_and_writes_nothing(bucket: Bucket) -> None:
    bucket.put(SOURCE, SAMPLE.replace("quantity", "amount"))
    with pytest.raises(InvalidError, match="no column quantity"):
        results.analyze_day(bucket.name, DAY)
    assert bucket.keys() == [SOURCE]


def test_a_body_that_is_cut_short_is_an_error_and_writes_nothing(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(chunks: Iterator[bytes], length: int) -> Iterator[bytes]:
        return whole((chunk[:-20] for chunk in chunks), length)

    whole = storage._whole  # noqa: SLF001 - a network that fails, just below the check
    monkeypatch.setattr(storage, "_whole", cut)
    bucket.put(SOURCE, SAMPLE)
    with pytest.raises(storage.IncompleteBodyError):
        results.analyze_day(bucket.name, DAY)
    assert bucket.keys() == [SOURCE]


def test_the_same_source_gives_the_same_bytes_however_often_and_at_once(bucket: Bucket) -> None:
    bucket.put(SOURCE, SAMPLE + "x\n")
    with ThreadPoolExecutor(3) as threads:
        outcomes = list(threads.map(lambda _: results.analyze_day(bucket.name, DAY), range(6)))
    assert len(set(outcomes)) == 1
    first = bucket.get(RESULT)
    results.analyze_day(bucket.name, DAY)
    assert bucket.get(RESULT) == first


def replacing(bucket: Bucket, texts: list[str], original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a summarizer after which the source is replaced by the next of `texts`, while there are any."""

    def summarize(*arguments: Any) -> Any:
        outcome = original(*arguments)
        if texts:
            bucket.put(SOURCE, texts.pop(0))
        return outcome

    return summarize


def test_a_source_that_is_replaced_while_it_is_read_is_read_again(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = HEADER + "\nT,1,1,BUY,2024-05-15T10:00:00Z\n"
    monkeypatch.setattr(results, "summarize", replacing(bucket, [newer], summary.summarize))
    bucket.put(SOURCE, SAMPLE)
    assert results.analyze_day(bucket.name, DAY) == Analysis(SOURCE, RESULT, 1, 1, 0)
    assert bucket.get(RESULT).splitlines()[1].startswith("T,1,1.000000")


def test_a_source_that_never_holds_still_is_an_error_and_no_result(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"{SAMPLE}T,{number},1,BUY,2024-05-15T10:00:00Z\n" for number in range(9)]
    monkeypatch.setattr(results, "summarize", replacing(bucket, texts, summary.summarize))
    bucket.put(SOURCE, SAMPLE)
    with pytest.raises(ConflictError, match="3 times"):
        results.analyze_day(bucket.name, DAY)
    assert bucket.keys() == [SOURCE]


def test_a_day_is_done_while_its_analysis_is_of_the_source_that_is_there(bucket: Bucket) -> None:
    assert not results.is_done(bucket.name, DAY)
    bucket.put(SOURCE, SAMPLE)
    assert not results.is_done(bucket.name, DAY)
    results.analyze_day(bucket.name, DAY)
    assert results.is_done(bucket.name, DAY)
    bucket.put(SOURCE, SAMPLE + "T,1,1,BUY,2024-05-15T10:00:00Z\n")
    assert not results.is_done(bucket.name, DAY)
