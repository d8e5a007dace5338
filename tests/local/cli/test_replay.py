import asyncio
import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from local.cli.feed import Options
from local.cli.feed_server import serving
from local.cli.main import main
from trading.prices.ticks import Tick, frame

NOON = datetime(2025, 6, 3, 12, tzinfo=UTC)
SERIES = [(0, "100"), (10, "98"), (20, "100.10")]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A file of what a feed has sent, with an alert of its own among it and a line that is cut off."""
    arrays = [frame([Tick("AAPL", Decimal(price), NOON + timedelta(seconds=second))]) for second, price in SERIES]
    file = tmp_path / "prices.jsonl"
    file.write_text("\n".join([*arrays, '{"type":"subscribed","tickers":["*"]}', arrays[0][:20]]))
    return file


def replayed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["watch", "--replay", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_recording_alerts_as_its_prices_did(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replayed(capsys, str(recording)) == [
        "ALERT AAPL +2.14 % in 10 s: 98 at 12:00:10 → 100.10 at 12:00:20",
        "Replayed from 2025-06-03 12:00:00 to 2025-06-03 12:00:20 UTC: tickers 1, prices 3, alerts 1, unreadable 1.",
    ]


def test_rules_of_each_kind_are_tried_on_it_in_the_place_of_the_default(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = tmp_path / "rules.txt"
    rules.write_text("# tried\nAAPL below 99\naapl above 99 once\n")
    said = replayed(capsys, str(recording), "--rule", "* fall 1% in 1m", "--rules", str(rules))
    assert said[:-1] == [
        "ALERT AAPL 100, above 99: 100 at 12:00:00",
        "ALERT AAPL -2.00 % in 10 s: 100 at 12:00:00 → 98 at 12:00:10",
        "ALERT AAPL 98, below 99: 98 at 12:00:10",
    ]


def test_alerts_of_a_recording_are_json_for_programs(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alert, summary = map(json.loads, replayed(capsys, str(recording), "--json"))
    assert (alert["type"], alert["rise_percent"], alert["rule"]["id"]) == ("alert", "2.14", 1)
    assert summary["type"] == "status"


def test_a_recording_without_the_tickers_that_are_wanted_has_no_prices(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replayed(capsys, str(recording), "--tickers", "msft") == [
        "Replayed: tickers 0, prices 0, alerts 0, unreadable 1."
    ]


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ("AAPL soars", "'AAPL soars' is not a rule such as 'AAPL rise 3% in 5m' or 'AAPL below 180 once'"),
        ("AAPL rise 3% in soon", "'soon' is not a time such as 5m or 90s"),
        ("AAPL rise 3% in 16m", "window_seconds: Input should be less than or equal to 900"),
        ("AAPL rise x% in 5m", "percent: must be a decimal number"),
        ("* below 180", "ticker: must name a ticker for below"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(rule: str, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "--rule", rule]) == 2
    assert complaint in capsys.readouterr().err


def test_a_replay_is_not_published(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "--replay", str(recording), "--publish", "http://127.0.0.1:9"]) == 2
    assert "exclude each other" in capsys.readouterr().err


def served(recording: "Recording") -> None:
    """Serve a quick market until all that the recording waits for is written."""

    async def serve() -> None:
        async with asyncio.timeout(20), serving(Options(("AAPL", "MSFT"), 0.01, "seed"), 0, recording):
            await recording.done.wait()

    asyncio.run(serve())


class Recording(io.StringIO):
    """A file that may be full after its first line."""

    def __init__(self, *, is_full: bool = False) -> None:
        super().__init__()
        self.done = asyncio.Event()
        self._written = 0
        self._is_full = is_full
        self._last = 2 if is_full else 3

    def write(self, text: str) -> int:
        self._written += 1
        if self._written == self._last:
            self.done.set()
        if self._is_full and self._written > 1:
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_what_a_market_sends_is_recorded_a_line_for_each_array(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = Recording()
    served(recording)
    lines = recording.getvalue().splitlines()
    assert [[tick["ticker"] for tick in json.loads(line)] for line in lines[:3]] == [["AAPL", "MSFT"]] * 3
    file = tmp_path / "prices.jsonl"
    file.write_text(recording.getvalue())
    assert f"tickers 2, prices {2 * len(lines)}, alerts 0." in replayed(capsys, str(file))[-1]


def test_a_market_outlives_its_recording(caplog: pytest.LogCaptureFixture) -> None:
    served(Recording(is_full=True))
    assert "Recording stopped; the feed continues: No space left on device" in caplog.text
