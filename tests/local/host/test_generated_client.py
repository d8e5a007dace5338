"""A client that a generator makes of docs/openapi.json works with the running system."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.host.system import RunningSystem
from local.host.template import ROOT

TRADE = {
    "ticker": "GNRTD",
    "price": "310.50",
    "quantity": 50,
    "side": "BUY",
    "timestamp": "2025-06-03T12:00:00Z",
    "client_trade_id": "generated-1",
}


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the generated package, which can be imported."""
    name = "generated_client"
    config = tmp_path / "config.yaml"
    config.write_text("content_type_overrides: {text/csv: application/octet-stream}\npost_hooks: []\n")
    generator = Path(sys.executable).with_name("openapi-python-client")
    description = ROOT / "docs" / "openapi.json"
    command: list[str | Path] = [generator, "generate", "--path", description, "--config", config, "--meta", "none"]
    done = subprocess.run(
        [*command, "--output-path", tmp_path / name, "--fail-on-warning"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_generated_client_records_and_finds_a_trade(running: RunningSystem, generated: str) -> None:
    def part(name: str) -> Any:
        return importlib.import_module(f"{generated}.{name}")

    with part("client").Client(base_url=running.url) as client:
        new = part("models.new_trade").NewTrade.from_dict(TRADE)
        recorded = part("api.trades.record_trade").sync(client=client, body=new)
        assert (recorded.price, recorded.quantity, recorded.client_trade_id) == ("310.50", 50, "generated-1")
        found = part("api.trades.find_trades").sync(client=client, ticker="GNRTD")
        assert [trade.id for trade in found] == [recorded.id]
        [position] = part("api.positions.find_positions").sync(client=client, ticker="GNRTD")
        assert (position.quantity, position.cost_basis) == ("50", "15525")

        refused = part("api.trades.record_trade").sync(
            client=client, body=part("models.new_trade").NewTrade.from_dict({**TRADE, "price": "-1"})
        )
        assert [(error.field, error.message) for error in refused.errors] == [("price", "must not be negative")]
