import json
import subprocess
import sys
from pathlib import Path

import pytest

from local.cli import client
from local.cli.main import main
from local.host.template import ROOT
from tests.conftest import Bucket


@pytest.fixture(autouse=True)
def _nothing_runs_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(client, "FOLDER", tmp_path)
    monkeypatch.delenv("TRADING_URL", raising=False)


def test_psql_is_connected_to_the_database_and_takes_its_own_options(database_url: str) -> None:
    del database_url
    command = [sys.executable, "-m", "local.cli", "psql", "--csv", "-c", "select count(*) from trades"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "count\n0\n"


def test_an_uploaded_file_is_the_days_trades(
    bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "trades.csv").write_text("ticker\n")
    assert main(["upload", str(tmp_path / "trades.csv"), "--date", "2024-05-15"]) == 0
    assert bucket.get("2024/05/15/trades.csv") == "ticker\n"
    said = [f"s3://{bucket.name}/2024/05/15/trades.csv", "http://127.0.0.1:8000/api/analyses/2024-05-15"]
    assert capsys.readouterr().out.splitlines() == said
    assert main(["upload", str(tmp_path / "trades.csv"), "--date", "2024-05-15", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out).values()) == said


def test_what_cannot_be_uploaded_is_said(
    bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["upload", str(tmp_path / "none.csv"), "--date", "2024-05-15"]) == 1
    assert f"Cannot read {tmp_path / 'none.csv'}: No such file or directory." in capsys.readouterr().err
    (tmp_path / "trades.csv").write_text("ticker\n")
    monkeypatch.setenv("DATA_BUCKET", f"{bucket.name}-2")
    assert main(["upload", str(tmp_path / "trades.csv"), "--date", "2024-05-15"]) == 1
    assert f"Cannot write s3://{bucket.name}-2/2024/05/15/trades.csv: " in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["psql"], ["upload", "trades.csv", "--date", "2024-05-15"]])
def test_without_a_running_system_it_is_said_how_to_start_one(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DATABASE_URL", "DATA_BUCKET"):
        monkeypatch.delenv(name, raising=False)
    assert main(arguments) == 1
    assert "Start one with `make start`" in capsys.readouterr().err
