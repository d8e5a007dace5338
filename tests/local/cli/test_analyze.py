import json
from pathlib import Path
from string import ascii_uppercase

import pytest

from local.cli.main import main

SAMPLE = """ticker,price,quantity,side,timestamp
AAPL,170.50,100,BUY,2024-05-15T10:00:00Z
AAPL,170.80,50,SELL,2024-05-15T10:03:00Z
AAPL,171.00,30,BUY,2024-05-15T10:05:00Z
MSFT,305.20,75,SELL,2024-05-15T10:02:00Z
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of trades, and a terminal that is too narrow for its table, which must not cost a digit."""
    monkeypatch.setenv("COLUMNS", "30")
    path = tmp_path / "trades.csv"
    path.write_text(SAMPLE)
    return path


def test_the_table_has_a_row_for_each_ticker(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", str(file)]) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["AAPL", "3", "180", "170.666667", "170.766667", "170.5", "171", "170.5", "171"] in printed
    assert ["MSFT", "1", "75", "305.2", "305.2", "305.2", "305.2", "305.2", "305.2"] in printed


def test_points_stand_below_one_another(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", str(file)]) == 0
    header, _, *rows = [line for line in capsys.readouterr().out.splitlines() if line.strip()][:4]
    for column in ("average price", "mean price", "open"):
        end = header.index(column) + len(column)
        points = {row.index(".", end - len("170.666667") - 1) for row in rows}
        assert len(points) == 1, column


def test_as_json_the_result_has_the_words_of_the_api(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(f"{SAMPLE}T\x1b[2J,x\n")
    assert main(["analyze", str(file), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["rows_read"], result["rows_rejected"]) == (5, 1)
    assert result["tickers"][0] == {
        "ticker": "AAPL",
        "trade_count": 3,
        "total_volume": "180",
        "average_price": "170.666667",
        "mean_price": "170.766667",
        "open": "170.5",
        "high": "171",
        "low": "170.5",
        "close": "171",
    }
    assert result["first_rejects"] == [{"line": 6, "reason": "missing field", "row": "T\x1b[2J,x"}]


def test_a_file_without_trades_says_so(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(SAMPLE.split("\n", 1)[0])
    assert main(["analyze", str(file)]) == 0
    assert capsys.readouterr().out == f"{file} has a header, and no trades.\n"


def test_escapes_in_a_file_and_in_its_name_are_shown_and_not_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "\x1b]0;owned\x07.csv"
    file.write_text("ticker,price,quantity,side,timestamp\nAAPL,\x1b]0;owned\x07\x1b[2J,1,BUY,2024-05-15T10:00:00Z\n")
    assert main(["analyze", str(file)]) == 0
    file.write_text("ticker\x1b[2J,price\n")
    assert main(["analyze", str(file)]) == 1
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "bad price: AAPL,\\x1b]0;owned\\x07\\x1b[2J,1" in said.out


def test_rejected_lines_are_counted_and_the_first_are_shown(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(SAMPLE + "[bold]T,x,1,BUY,2024-05-15T10:00:00Z\n" * 12)
    assert main(["analyze", str(file)]) == 0
    out = capsys.readouterr().out
    assert "16 rows read, 12 of them rejected." in " ".join(out.split())
    assert "line 6: bad ticker: [bold]T,x,1,BUY" in " ".join(out.split())
    assert "and 2 more" in " ".join(out.split())


@pytest.mark.parametrize(
    ("text", "said"), [("a,b\n1,2\n", "has no column ticker"), (None, "No such file"), ("", "is empty")]
)
def test_a_file_that_cannot_be_read_is_an_error_in_a_sentence(
    file: Path, capsys: pytest.CaptureFixture[str], text: str | None, said: str
) -> None:
    file.unlink() if text is None else file.write_text(text)
    assert main(["analyze", str(file)]) == 1
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_chart_has_a_bar_of_volume_and_one_of_price_for_each_ticker(file: Path, tmp_path: Path) -> None:
    chart = tmp_path / "chart.svg"
    assert main(["analyze", str(file), "--chart", str(chart)]) == 0
    text = chart.read_text()
    assert [text.count(f">{name}</text>") for name in ("AAPL", "MSFT", "Volume", "Average price")] == [2, 2, 1, 1]
    assert "largest volume" not in text


def test_a_chart_of_many_tickers_shows_the_largest_and_says_so(file: Path, tmp_path: Path) -> None:
    lines = [f"T{letter}{other},1,{n},BUY,2024-05-15T10:00:00Z"
             for n, (letter, other) in enumerate((a, b) for a in "AB" for b in ascii_uppercase)]  # fmt: skip
    file.write_text(SAMPLE + "\n".join(lines))
    chart = tmp_path / "chart.svg"
    assert main(["analyze", str(file), "--chart", str(chart)]) == 0
    text = chart.read_text()
    assert "The 40 of 54 tickers with the largest volume" in text
    assert (">TAA</text>" in text, ">TBZ</text>" in text, ">AAPL</text>" in text) == (False, True, True)


def test_a_chart_may_be_a_picture_and_one_of_nothing_too(file: Path, tmp_path: Path) -> None:
    file.write_text(SAMPLE.split("\n", 1)[0])
    chart = tmp_path / "chart.png"
    assert main(["analyze", str(file), "--chart", str(chart)]) == 0
    assert chart.read_bytes().startswith(b"\x89PNG")


def test_a_chart_of_another_kind_is_an_error_before_anything_is_read(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analyze", str(file), "--chart", "chart.pdf"]) == 2
    assert "chart.pdf must end in .svg or .png" in " ".join(capsys.readouterr().err.split())


def test_a_chart_that_cannot_be_written_is_an_error_in_a_sentence(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analyze", str(file), "--chart", str(tmp_path / "nowhere" / "chart.svg")]) == 1
    assert f"Cannot write {tmp_path / 'nowhere' / 'chart.svg'}: No such file" in capsys.readouterr().err
