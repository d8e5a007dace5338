import json
from typing import Any

import pytest

from local.template import ROOT
from tests.conftest import Bucket, Rows, context
from trading import trades
from trading.trades import NewTrade


@pytest.mark.parametrize("event", ["every_night.json", "by_hand.json"])
def test_the_trades_of_the_day_are_written(bucket: Bucket, rows: Rows, trade: dict[str, Any], event: str) -> None:
    from functions.trade_exporter.app import handler  # noqa: PLC0415 - its environment is set by the fixtures

    del rows
    trades.record([NewTrade.model_validate(trade)], "local")
    outcome = handler(json.loads((ROOT / "events" / "trade_exporter" / event).read_text()), context())
    assert outcome == {"output_file": "2025/06/03/trades.csv", "records_exported": 1}
    assert bucket.keys() == ["2025/06/03/trades.csv"]
