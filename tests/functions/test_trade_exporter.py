import json
from typing import Any

import pytest

from local.host.template import ROOT
from tests.conftest import Bucket, Rows, context
from trading.trades import ledger
from trading.trades.ledger import NewTrade


@pytest.mark.parametrize("event", ["every_night.json", "by_hand.json"])
def test_the_trades_of_the_day_are_written(bucket: Bucket, rows: Rows, trade: dict[str, Any], event: str) -> None:
    from functions.trade_exporter.app import handler  # noqa: PLC0415 - its environment is set by the fixtures

    del rows
    ledger.record([NewTrade.model_validate(trade)], "local")
    outcome = handler(json.loads((ROOT / "events" / "trade_exporter" / event).read_text()), context())
    assert outcome == {"output_file": "2025/06/03/trades.csv", "records_exported": 1}
    assert bucket.keys() == ["2025/06/03/trades.csv"]


def test_the_days_that_changed_are_exported(bucket: Bucket, rows: Rows, trade: dict[str, Any]) -> None:
    from functions.trade_exporter.app import handler  # noqa: PLC0415 - its environment is set by the fixtures

    del rows, bucket
    ledger.record([NewTrade.model_validate(trade)], "local")
    event = json.loads((ROOT / "events" / "trade_exporter" / "stale_days.json").read_text())
    assert handler(event, context()) == {"exported": [{"output_file": "2025/06/03/trades.csv", "records_exported": 1}]}
