import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from local.cli.main import main
from local.host.template import ROOT

CLOSES = [10, 10, 9, 8, 8, 11, 13, 14, 13, 9, 9]
OPENS = [10, 10, 9, 8, 8, 11, 12, 14, 13, 9, 8]
TREBLING = "date,open,close\n" + "".join(
    f"{date(2020, 1, 1) + timedelta(days=day)},{price},{price}\n" for day, price in enumerate([1, 3] * 600)
)
SAMPLES = sorted((ROOT / "tests" / "trading" / "simulation" / "samples").iterdir())
WINDOWS = ["--fast", "2", "--slow", "3", "--cash", "100"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A history with one round trip for averages of 2 and 3."""
    path = tmp_path / "MSFT.csv"
    rows = enumerate(zip(OPENS, CLOSES, strict=True))
    days = [f"{date(2024, 1, 1) + timedelta(days=day)},{opened},{closed}" for day, (opened, closed) in rows]
    path.write_text("\n".join(["date,open,close", *days]))
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["simulate", *(str(each) for each in arguments)])
    said = capsys.readouterr()
    return code, " ".join(said.out.split()), " ".join(said.err.split())


def test_the_summary_has_the_figures(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, file, *WINDOWS)
    assert code == 0
    assert "MSFT, 2/3: 11 bars of 1 day from 2024-01-01 to 2024-01-11" in out
    assert "Final equity 68.00 Return -32.00% Buy and hold -10.00% CAGR – Volatility" in out  # noqa: RUF001
    assert "Closed trades 1 Win rate 0.00%" in out


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_files_are_simulated_as_they_were_exported(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, sample, "--fast", 2, "--slow", 3)
    assert (code, err) == (0, "")
    assert f"{sample.stem}, 2/3: 11 bars of 1 day from 2024-01-02" in out
    assert "Final equity 6,800.00" in out  # 8 shares from 1,200.25 to 800.25


def test_what_was_changed_in_reading_is_said(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["2024-01-01,1,1,null", "2024-01-02,null,null,null", "2024-01-03,10.9999999,11.00000000001,5.5000001"]
    file.write_text("\n".join(["Date,High,Close,Adj Close", *rows]).replace("1,1,null", "1,1,0.5"))
    out = run(capsys, file, "--fill", "close")[1]
    assert "2 bars of 2 days from" in out
    assert (
        "Prices rounded to six decimals: 2. Bars with an open or close beyond their high or low by a rounding: 1."
        in out
    )
    assert "Rows without prices, which have been skipped: 1." in out
    out = run(capsys, file, "--fill", "close", "--adjusted")[1]
    assert "2 bars of 2 days, adjusted for dividends and splits from" in out
    assert "Buy and hold 1,000.00%" in out


def test_why_there_were_no_trades_is_said(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, file)[1]
    assert "No trades: The averages cannot cross before bar 201, and the history ends at bar 11." in out
    out = run(capsys, file, *WINDOWS[:4], "--cash", 9)[1]
    assert "No trades: The cash of 9 never paid for one share and its costs." in out


def test_the_whole_result_the_trades_and_the_report_are_written(
    file: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    trades, page = tmp_path / "a.csv", tmp_path / "a.html"
    code, out, _ = run(capsys, file, *WINDOWS, "--json", "--csv", trades, "--html", page)
    assert (code, json.loads(out)["metrics"]["final_equity"]) == (0, "68")
    assert trades.read_text().splitlines()[1] == "2024-01-07,12,8,2024-01-11,8,0,-32"
    assert page.read_text().startswith("<!doctype html>")


def test_a_file_that_cannot_be_written_is_the_one_that_is_named(
    file: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = run(capsys, file, *WINDOWS, "--html", tmp_path / "nowhere" / "a.html")
    assert (code, err) == (1, f"Error: Cannot write {tmp_path / 'nowhere' / 'a.html'}: No such file or directory.")


def test_escapes_in_a_history_and_in_its_name_are_shown_and_not_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "\x1b[2J.csv"
    for close in ("\x1b]0;x\x1b[2J", "7"):
        file.write_text(f"date,close\n2024-01-02,{close}\n")
        _, out, err = run(capsys, file, *WINDOWS, "--fill", "close")
        assert "\x1b" not in out + err
        assert "\\x1b[2J" in out + err


def test_costs_fill_and_fractions_are_those_that_were_asked_for(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    costs = ["--commission-per-trade", "1", "--commission-per-share", "0.1", "--commission-basis-points", "10"]
    code, out, _ = run(
        capsys, file, *WINDOWS, *costs, "--slippage-basis-points", "5", "--fill", "close", "--fractional"
    )
    assert code == 0
    # Bought at 11 x 1.0005 for 99, sold at 9 x 0.9995 on the bar before the last.
    shares = int(99 / (11 * 1.0005 * 1.001 + 0.1) * 10**6) / 10**6
    fees = 2 + shares * (0.2 + (11 * 1.0005 + 9 * 0.9995) * 0.001)
    assert f"Fees {fees:.2f}" in out


def test_a_position_that_is_still_open_is_said(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:9]))
    assert "Still open: 8 shares since 2024-01-07, profit so far 16.00." in run(capsys, file, *WINDOWS)[1]


def test_the_look_ahead_check_says_how_often_it_cut(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "cut after each of 11 bars" in run(capsys, file, *WINDOWS, "--check-lookahead")[1]


def test_a_sweep_shows_its_heat_its_best_and_a_warning(
    file: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    report = tmp_path / "a.html"
    sweep = ["--cash", "100", "--sweep", "slow=2:5:1", "fast=1:3:1", "--by", "total_return", "--html", report]
    code, out, _ = run(capsys, file, *sweep)
    assert code == 0
    assert "total_return of 9 pairs" in out
    assert "<>" in out
    assert "Warning: The best of many pairs is the one that fits the past best" in out
    assert report.read_text().count("<rect ") == 9


def test_a_pair_that_never_lost_is_the_best_by_its_profit_factor(
    file: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    closes = [10, 8, 9, 11, 14, 17, 19, 17, 20, 22, 20, 21, 23, 24]
    days = [f"{date(2024, 1, 1) + timedelta(days=day)},{close},{close}" for day, close in enumerate(closes)]
    file.write_text("\n".join(["date,open,close", *days]))
    report = tmp_path / "a.html"
    sweep = ["--sweep", "fast=1:2:1", "slow=3:4:1", "--by", "profit_factor", "--html", report]
    code, out, _ = run(capsys, file, *sweep)
    assert code == 0
    assert "profit_factor of 4 pairs, slow down and fast across; the best is 2/3" in out
    assert "Profit factor ∞" in out
    assert "2/3: profit factor ∞" in report.read_text()


def test_a_sweep_in_which_no_pair_has_a_value_has_no_best(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("date,open,close\n2024-01-01,7,7\n")
    code, out, _ = run(capsys, file, "--sweep", "fast=1:3:1", "slow=4:5:1")
    assert (code, "<>" in out) == (0, False)
    assert "sharpe of 6 pairs, slow down and fast across; it is not defined for any, so none is the best" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fast", "3", "--slow", "3"], "fast must be 1 or more, and less than slow"),
        (["--cash", "0"], "cash must be more than zero"),
        (["--sweep", "fast=5:9:1", "slow=2:5:1"], "--sweep has no pair"),
        (["--sweep", "fast=1:2:1", "fast=2:5:1"], "--sweep has no pair"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    code, _, err = run(capsys, file, *arguments)
    assert (code, said in err) == (1, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("date,close\n2024-01-01,0\n", "line 2: close must be a price from 0.000001"),
        ("date,close\n2024-01-01,1\n", "has no opens: fill at the close"),
        (TREBLING, "makes amounts of more than 200 digits"),
        (None, "No such file"),
    ],
)
def test_a_history_that_cannot_be_used_is_named(
    file: Path, capsys: pytest.CaptureFixture[str], text: str | None, said: str
) -> None:
    file.unlink() if text is None else file.write_text(text)
    code, out, err = run(capsys, file, "--fast", 1, "--slow", 2)
    assert (code, out, said in err) == (1, "", True)


@pytest.mark.parametrize("arguments", [["--cash", "1e"], ["--fill", "up"], ["--sweep", "fast=1:2", "slow=1:2:1"]])
def test_arguments_that_are_none_are_refused(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    code, _, err = run(capsys, file, *arguments)
    assert (code, f"Invalid value for '{arguments[0]}'" in err) == (2, True)
