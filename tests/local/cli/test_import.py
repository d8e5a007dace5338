import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from local.cli import client
from local.cli.commands import import_
from local.cli.main import main
from local.host.gateway import http_event
from tests.conftest import Call, api_answer
from tests.trading.trades.imports.files import sample
from trading.trades.imports import records

HEADER = "Date,Action,Symbol,Quantity,Price,Fees & Comm\n"
BUY, SELL = "03/04/2025,Buy,AAPL,10,230.50,0.65\n", "03/05/2025,Sell,AAPL,4,240,\n"


@pytest.fixture
def system(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The URL of the API, served for this test."""
    del call
    monkeypatch.setattr(client, "FOLDER", tmp_path)
    monkeypatch.setattr(import_, "RETRY_SECONDS", 0)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("TOKEN", raising=False)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = api_answer(
                http_event("POST", url.path, query=url.query, headers=list(self.headers.items()), body=body)
            )
            self.send_response(answer["statusCode"])
            for name, value in answer["headers"].items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer["body"].encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("TRADING_URL", url)
        yield url
        server.shutdown()
        thread.join()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "Transactions.csv"
    path.write_text(HEADER + SELL + BUY)
    return path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main(["import", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


@pytest.mark.usefixtures("system")
def test_a_file_is_imported_tried_out_and_taken_back(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tried = printed(capsys, file, "--dry-run")
    assert "Nothing was recorded: a dry run, format schwab" in tried
    assert ["3", "2025-03-04", "17:00", "BUY", "10", "AAPL", "230.50", "0.65", "USD"] in words(tried)

    first = printed(capsys, file, "--account", "ira")
    assert "Import 1, format schwab" in first
    assert ["recorded", "2"] in words(first)
    assert "./trading import --void 1" in first
    again = printed(capsys, file, "--account", "ira")
    assert ["recorded", "0"] in words(again)
    assert ["already", "recorded", "2"] in words(again)
    assert "--void" not in again

    assert "Import 1 is voided, with the 2 trades that it recorded: Oops" in printed(
        capsys, "--void", "1", "--reason", "Oops"
    )
    assert '"void_reason": "Oops"' in printed(capsys, "--void", "1", "--json")


@pytest.mark.usefixtures("system")
def test_a_comparison_shows_what_either_side_lacks(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed(capsys, file)
    file.write_text(HEADER + SELL.replace("240", "241") + BUY.replace("AAPL", "MSFT"))
    shown = printed(capsys, file, "--compare")
    for name, count in {"agrees": 0, "differs": 1, "missing here": 1, "missing there": 1}.items():
        assert [*name.split(), str(count)] in words(shown)
    assert "price 241 or 240" in shown
    assert "In the file, and not in the ledger" in shown
    assert "In the ledger, and not in the file" in shown


@pytest.mark.usefixtures("system")
def test_what_is_not_recorded_is_said(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(sample("schwab"))
    shown = printed(capsys, file, "--dry-run")
    assert "rejected, line 10: ticker must be a ticker" in shown
    assert "skipped, 1 row: is not recorded as a trade: 'Buy to Open'" in shown
    assert "line 7: AVGO was split on 2025-01-15" in shown
    file.write_bytes(sample("ibkr-flex"))
    shown = printed(capsys, file)
    assert "name it with --tickers CH0111762537:TICKER" in shown
    assert "add --tickers CH0111762537:TICKER" in shown
    file.write_text(HEADER + SELL)
    assert "AAPL in main would be short from 2025-03-05 on: 4 shares" in printed(capsys, file, "--dry-run")
    file.write_text(HEADER + BUY * 25 + "x,Buy,AAPL\n" * 25)
    shown = printed(capsys, file)
    assert "… and 15 more\n" in shown
    assert "… and 15 more rejected" in shown


@pytest.mark.usefixtures("system")
def test_what_takes_long_is_sent_until_it_is_done(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = records._begin  # noqa: SLF001 - what is kept from its work twice
    attempts: list[int] = []

    def begun(*arguments: Any) -> int:
        attempts.append(1)
        if len(attempts) < 3:
            raise records.ImportUnfinishedError("it takes longer")
        return begin(*arguments)

    monkeypatch.setattr(records, "_begin", begun)
    assert ["recorded", "2"] in words(printed(capsys, file))


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        ([], "either a FILE to import, or an import to --void", 2),
        (["x.csv", "--void", "1"], "either a FILE", 2),
        (["x.csv", "--dry-run", "--compare"], "exclude each other", 2),
        (["no/such/file.csv"], "Cannot read no/such/file.csv", 1),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str, code: int
) -> None:
    assert main(["import", *arguments]) == code
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("system")
def test_what_the_system_refuses_is_one_sentence_too(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "--void", "7"]) == 1
    assert "There is no import 7" in capsys.readouterr().err
    file.write_text("When,What\n1,2\n")
    assert main(["import", str(file)]) == 1
    said = capsys.readouterr().err
    assert "Transactions.csv is in none of the formats schwab, fidelity" in said
    assert "its first row is 'When,What'" in said
    assert "Name its columns: --columns ticker:Symbol," in said


@pytest.mark.usefixtures("system")
def test_json_has_numbers_as_the_api_has_them(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(HEADER + BUY.replace(",10,", ",0.5,"))
    result = json.loads(printed(capsys, file, "--dry-run", "--json"))
    assert result["rows"]["recorded"][0]["trade"]["quantity"] == 0.5
