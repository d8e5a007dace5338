from datetime import UTC, date, datetime
from typing import Any

import psycopg2
import pytest

from tests.conftest import Bucket, Rows
from trading.analysis import exports, results
from trading.analysis.exports import Export
from trading.core.errors import ConflictError
from trading.trades import changes, ledger
from trading.trades.ledger import NewTrade

DAY = date(2025, 6, 3)
KEY = "2025/06/03/trades.csv"
HEADER = "ticker,price,quantity,side,timestamp,trade_id,account,fee,currency\n"


def record(trade: dict[str, Any], *timestamps: str) -> None:
    ledger.record([NewTrade.model_validate({**trade, "timestamp": timestamp}) for timestamp in timestamps], "local")


def test_the_trades_of_a_day_are_exported_by_their_timestamps_in_utc(
    bucket: Bucket, rows: Rows, trade: dict[str, Any]
) -> None:
    del rows
    record(
        trade,
        "2025-06-03T23:59:59.999999Z",
        "2025-06-03T00:00:00Z",
        "2025-06-04T00:00:00Z",
        "2025-06-02T23:59:59.999999Z",
        "2025-06-03T01:00:00+02:00",
    )
    assert exports.export_day(bucket.name, DAY) == Export(KEY, 2)
    assert bucket.get(KEY) == (
        f"{HEADER}"
        "MSFT,310.50,50,BUY,2025-06-03T00:00:00Z,2,main,0,USD\n"
        "MSFT,310.50,50,BUY,2025-06-03T23:59:59.999999Z,1,main,0,USD\n"
    )


def test_a_day_without_trades_is_a_header_alone(bucket: Bucket, rows: Rows) -> None:
    del rows
    assert exports.export_day(bucket.name, DAY) == Export(KEY, 0)
    assert bucket.get(KEY) == HEADER


def test_an_export_replaces_an_earlier_one(bucket: Bucket, rows: Rows, trade: dict[str, Any]) -> None:
    del rows
    exports.export_day(bucket.name, DAY)
    record(trade, "2025-06-03T12:00:00Z")
    assert exports.export_day(bucket.name, DAY) == Export(KEY, 1)


def test_a_file_that_somebody_else_put_there_is_left_as_it_is(bucket: Bucket, rows: Rows) -> None:
    del rows
    bucket.put(KEY, "theirs")
    with pytest.raises(ConflictError, match="left unchanged"):
        exports.export_day(bucket.name, DAY)
    assert bucket.get(KEY) == "theirs"


def test_a_packed_file_that_somebody_put_there_is_not_superseded(bucket: Bucket, rows: Rows) -> None:
    del rows
    bucket.put(f"{KEY}.gz", "theirs")
    with pytest.raises(ConflictError, match="left unchanged"):
        exports.export_day(bucket.name, DAY)
    assert bucket.keys() == [f"{KEY}.gz"]


@pytest.mark.parametrize("exported_before", [False, True])
def test_a_file_that_somebody_puts_there_during_the_export_stays(
    bucket: Bucket,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
    exported_before: bool,  # noqa: FBT001 - two cases
) -> None:
    del rows
    if exported_before:
        exports.export_day(bucket.name, DAY)
    copy = exports._copy  # noqa: SLF001 - the moment between the look and the write

    def copy_while_they_write(*arguments: Any) -> int:
        bucket.put(KEY, "theirs")
        return copy(*arguments)

    monkeypatch.setattr(exports, "_copy", copy_while_they_write)
    with pytest.raises(ConflictError, match="left unchanged"):
        exports.export_day(bucket.name, DAY)
    assert bucket.get(KEY) == "theirs"


def test_the_last_day_of_all_can_be_exported(bucket: Bucket, rows: Rows) -> None:
    del rows
    assert exports.export_day(bucket.name, date(9999, 12, 31)).records_exported == 0


def test_many_trades_go_in_parts_and_all_of_them_are_analyzed(bucket: Bucket, rows: Rows) -> None:
    rows(
        "with t as (insert into trades (ticker, price, quantity, side, timestamp, recorded_by, account)"
        " select 'MSFT', 310.5, 1, 'BUY', timestamptz '2025-06-03T00:00:00Z' + n * interval '100 ms', 'local',"
        " repeat('a', 40) from generate_series(1, 100000) as n returning id) select count(*) from t"
    )
    assert exports.export_day(bucket.name, DAY) == Export(KEY, 100_000)
    assert bucket.s3.head_object(Bucket=bucket.name, Key=KEY)["ETag"].endswith('-2"')
    outcome = results.analyze_day(bucket.name, DAY)
    assert (outcome.records_processed, outcome.rejected) == (100_000, 0)


def test_an_export_that_fails_half_way_leaves_nothing_behind(
    bucket: Bucket, rows: Rows, trade: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    del rows
    record(trade, "2025-06-03T12:00:00Z")
    monkeypatch.setattr(exports, "_COPY", exports._COPY.replace("select ticker", "select 1 / 0, ticker"))  # noqa: SLF001
    with pytest.raises(psycopg2.errors.DivisionByZero):
        exports.export_day(bucket.name, DAY)
    assert bucket.keys() == []
    assert "Uploads" not in bucket.s3.list_multipart_uploads(Bucket=bucket.name)


def test_a_voided_trade_is_not_exported(bucket: Bucket, rows: Rows, trade: dict[str, Any]) -> None:
    del rows
    record(trade, "2025-06-03T12:00:00Z", "2025-06-03T13:00:00Z")
    changes.void(1, "a typing error", "local")
    assert exports.export_day(bucket.name, DAY) == Export(KEY, 1)


def stale(bucket: Bucket) -> list[str]:
    return [export.output_file for export in exports.export_stale_days(bucket.name)]


def test_a_past_day_is_exported_again_when_a_trade_of_it_comes_or_is_taken_back(
    bucket: Bucket, rows: Rows, trade: dict[str, Any]
) -> None:
    record(trade, "2025-06-03T12:00:00Z", "2025-06-02T12:00:00Z")
    assert stale(bucket) == ["2025/06/02/trades.csv", KEY]
    rows("update trades set recorded_at = now() - interval '1 hour' returning id")
    assert stale(bucket) == []

    record(trade, "2025-06-03T13:00:00Z")
    assert stale(bucket) == [KEY]
    assert bucket.get(KEY).count("MSFT") == 2
    rows("update trades set recorded_at = now() - interval '1 hour' returning id")
    assert stale(bucket) == []

    changes.void(1, "a typing error", "local")
    assert stale(bucket) == [KEY]
    assert bucket.get(KEY).count("MSFT") == 1


def test_today_and_a_file_of_another_program_are_left_alone(bucket: Bucket, rows: Rows, trade: dict[str, Any]) -> None:
    del rows
    bucket.put(KEY, "theirs")
    record(trade, "2025-06-03T12:00:00Z", datetime.now(UTC).isoformat())
    assert stale(bucket) == []
    assert bucket.get(KEY) == "theirs"


def test_what_was_recorded_within_a_minute_before_an_export_is_exported_again(
    bucket: Bucket, rows: Rows, trade: dict[str, Any]
) -> None:
    """It may have been committed after the export had read the day."""
    record(trade, "2025-06-03T12:00:00Z")
    assert stale(bucket) == [KEY]
    rows("update trades set recorded_at = now() - interval '50 s' returning id")
    assert stale(bucket) == [KEY]
