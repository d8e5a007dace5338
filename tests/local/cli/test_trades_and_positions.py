import json
import re
import shlex
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from local.cli.main import main
from tests.local.cli.conftest import Api

AT = ("--at", "2025-06-03T12:00:00Z")

type Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function that runs a command on a narrow terminal; returns its exit code, its output and its errors."""
    del api
    monkeypatch.setenv("COLUMNS", "30")

    def command(*arguments: object) -> tuple[int, str, str]:
        code = main([str(each) for each in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


def typed(line: str) -> list[str]:
    """Return the arguments of a command that was printed."""
    return shlex.split(line.partition("./trading ")[2])


def loaded(run: Run, *arguments: object) -> Any:
    """Return the JSON that a command prints."""
    code, out, err = run(*arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def table(text: str) -> list[list[str]]:
    """Return the cells of the lines of a table that have any, its rulers left out."""
    cells = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.strip()]
    return [row for row in cells if not row[0].startswith("─")]


def test_a_purchase_is_recorded_and_the_command_that_is_shown_takes_it_back(run: Run) -> None:
    code, out, err = run("buy", "msft", 50, "310.50", *AT)
    assert (code, err) == (0, "")
    recorded, undo = out.splitlines()
    assert recorded == "Recorded trade 1: BUY 50 MSFT at 310.50 USD, 2025-06-03 12:00:00 UTC, account main."
    code, out, err = run(*typed(undo))
    assert (code, err) == (0, "")
    assert loaded(run, "trades") == []

    voided, again = out.splitlines()
    assert voided.startswith("Voided trade 1: BUY 50 MSFT at 310.50 USD")
    assert run(*typed(again))[0] == 0
    assert [(trade["id"], trade["price"]) for trade in loaded(run, "trades")] == [(2, "310.50")]


def test_a_sale_has_all_that_its_options_say(run: Run) -> None:
    options = {
        "--account": "my ira",
        "--fee": "1.25",
        "--currency": "EUR",
        "--note": "half",
        "--client-trade-id": "s-1",
    }
    given = [word for option in options.items() for word in option]
    trade = loaded(run, "sell", "SPYL.DE", "0.5", "14.10", *AT, *given, "--tag", "etf", "--tag", "core")
    assert (
        trade
        | {
            "side": "SELL",
            "ticker": "SPYL.DE",
            "quantity": 0.5,
            "price": "14.10",
            "timestamp": "2025-06-03T12:00:00Z",
            "account": "my ira",
            "fee": "1.25",
            "currency": "EUR",
            "note": "half",
            "tags": ["etf", "core"],
            "client_trade_id": "s-1",
        }
        == trade
    )


def test_a_trade_without_a_time_is_of_now(run: Run) -> None:
    trade = loaded(run, "buy", "MSFT", 1, 2)
    recorded_at, timestamp = (datetime.fromisoformat(trade[name]) for name in ("recorded_at", "timestamp"))
    assert abs(recorded_at - timestamp) < timedelta(minutes=1)


def test_what_was_recorded_before_is_said_to_be_nothing_new(run: Run) -> None:
    command = ("buy", "MSFT", 50, "310.50", *AT, "--client-trade-id", "b-1")
    run(*command)
    code, out, err = run(*command)
    assert (code, err) == (0, "")
    assert out.startswith("Nothing new: this was already recorded as trade 1: BUY 50 MSFT")
    code, out, err = run(*command, "--json")
    assert (code, json.loads(out)["id"]) == (0, 1)
    assert err.startswith("Nothing new: ")


def test_after_a_lost_answer_the_command_that_is_shown_records_the_trade_once(run: Run, api: Api) -> None:
    api.loses_next_answer = True
    code, out, err = run("buy", "MSFT", 50, "310.50", "--tag", "a", "--tag", "b", "--note", "it's")
    assert (code, out) == (1, "")
    assert "To try again without recording the trade twice:" in err
    code, out, _ = run(*typed(err))
    assert code == 0
    assert out.startswith("Nothing new: this was already recorded as trade 1")
    assert [trade["tags"] for trade in loaded(run, "trades")] == [["a", "b"]]


def test_a_refusal_names_the_field_and_is_not_to_be_tried_again(run: Run) -> None:
    code, out, err = run("buy", "MSFT", "5O", "310.50", "--account", " main")
    assert (code, out) == (1, "")
    assert err.startswith(
        "Error: HTTP 400: quantity: must be a decimal number, such as 310.50; account: must be 1 to 40"
    )
    assert "try again" not in err


def test_a_second_void_changes_nothing_and_says_who_made_the_first(run: Run) -> None:
    run("buy", "MSFT", 50, "310.50")
    run("void", 1, "--reason", "entered twice")
    code, out, _ = run("void", 1, "--reason", "another")
    assert code == 0
    assert re.fullmatch(r"Nothing changed: trade 1 was voided before, at \S+ \S+ UTC by local: entered twice\n", out)
    code, out, err = run("void", 1, "--reason", "another", "--json")
    assert (code, json.loads(out)["status"]) == (0, "voided")
    assert err.startswith("Nothing changed")


def test_a_correction_replaces_a_trade_and_the_command_that_is_shown_takes_it_back(run: Run) -> None:
    run("buy", "MSFT", 50, "310.50", *AT, "--note", "first", "--tag", "a")
    code, out, err = run("correct", 1, "--price", "301.50", "--note", "", "--tag", "", "--reason", "digits swapped")
    assert (code, err) == (0, "")
    voided, recorded, undo = out.splitlines()
    assert voided.startswith("Voided trade 1: BUY 50 MSFT at 310.50 USD")
    assert recorded.startswith("Recorded trade 2 in its place: BUY 50 MSFT at 301.50 USD")
    [trade] = loaded(run, "trades")
    assert (trade["price"], trade["note"], trade["tags"]) == ("301.50", None, [])
    run(*typed(undo))
    [trade] = loaded(run, "trades")
    assert (trade["id"], trade["price"], trade["note"], trade["tags"]) == (3, "310.50", "first", ["a"])


def test_a_correction_that_is_sent_again_is_nothing_new_and_another_one_a_conflict(run: Run) -> None:
    run("buy", "MSFT", 50, "310.50")
    correction = ("correct", 1, "--ticker", "goog", "--side", "sell", "--reason", "mixed up")
    run(*correction)
    code, out, _ = run(*correction)
    assert code == 0
    assert out.startswith("Nothing new: trade 2 replaces trade 1 already: SELL 50 GOOG")
    code, _, err = run("correct", 1, "--price", 1, "--reason", "another")
    assert code == 1
    assert err.startswith("Error: HTTP 409: Trade 1 was corrected differently")


def test_trades_are_listed_newest_first_with_the_columns_that_they_use(run: Run) -> None:
    run("buy", "MSFT", 50, "310.50", *AT)
    run("sell", "MSFT", "0.25", "1320", "--at", "2025-06-04T12:00:00.5Z")
    header = ["id", "time (UTC)", "side", "ticker", "quantity", "price", "currency", "account"]
    assert table(run("trades")[1]) == [
        header,
        ["2", "2025-06-04 12:00:00", "SELL", "MSFT", "0.25", "1,320", "USD", "main"],
        ["1", "2025-06-03 12:00:00", "BUY", "MSFT", "50", "310.50", "USD", "main"],
    ]
    run("buy", "GOOG", 1, 2, "--fee", "0.1", "--tag", "a", "--tag", "b", "--note", f"[bold]{'n' * 50}", *AT)
    note = f"[bold]{'n' * 33}…"
    assert table(run("trades", "--ticker", "goog", "--status", "all")[1]) == [
        [*header, "fee", "tags", "note", "status"],
        ["3", "2025-06-03 12:00:00", "BUY", "GOOG", "1", "2", "USD", "main", "0.1", "a b", note, "active"],
    ]  # fmt: skip


def test_trades_are_found_by_filters_and_no_more_than_asked_for(run: Run) -> None:
    for day in (1, 2, 3):
        run("buy", "MSFT", day, 10, "--at", f"2025-06-0{day}T12:00:00Z", "--tag", f"d{day}", "--account", f"a{day}")
    run("void", 1, "--reason", "entered twice")

    def found(*filters: object) -> list[int]:
        return [trade["id"] for trade in loaded(run, "trades", *filters)]

    assert found() == [3, 2]
    assert found("--status", "voided") == [1]
    assert found("--start-date", "2025-06-02", "--end-date", "2025-06-02") == [2]
    assert (
        found("--tag", "d3") == found("--account", "a3") == found("--side", "buy", "--start-date", "2025-06-03") == [3]
    )
    code, out, err = run("trades", "--limit", 1)
    assert (code, len(table(out)), err) == (0, 2, "There are more than 1; --limit shows more.\n")
    assert run("trades", "--ticker", "GOOG") == (0, "No trades match.\n", "")


@pytest.fixture
def desk(run: Run) -> Run:
    """A ledger with two accounts and two currencies."""
    run("buy", "MSFT", 50, "310.50", *AT)
    run("sell", "MSFT", 20, 320, "--fee", 1, "--at", "2025-06-04T12:00:00Z")
    run("buy", "MSFT", 10, "7.10", "--account", "ira", "--currency", "EUR", *AT)
    run("buy", "GOOG", 3, 5, "--at", "2025-06-01T12:00:00Z")
    run("sell", "GOOG", 3, 4, *AT)
    return run


def test_positions_have_their_profits_and_each_currency_its_totals(desk: Run) -> None:
    code, out, err = desk("positions")
    assert (code, err) == (0, "")
    values = ["market value", "unrealized", "%"]
    assert table(out) == [
        ["account", "ticker", "currency", "quantity", "average cost", "cost basis", "last price", *values, "realized"],
        ["ira", "MSFT", "EUR", "10", "7.1", "71", "7.1", "71", "0", "0", "0"],
        ["main", "GOOG", "USD", "0", "0", "4", "0", "0", "-3"],
        ["main", "MSFT", "USD", "30", "310.5", "9,315", "320", "9,600", "285", "3.059581", "189"],
        ["total", "cost basis", "market value", "unrealized", "realized", "today"],
        ["EUR", "71", "71", "0", "0", "0"],
        ["USD", "9,315", "9,600", "285", "186", "0"],
    ]
    result = loaded(desk, "positions", "--account", "main")
    assert [each["ticker"] for each in result["positions"]] == ["GOOG", "MSFT"]
    assert [each["realized_profit"] for each in result["portfolio"]] == ["186"]


def test_only_open_or_only_closed_positions_have_no_totals(desk: Run) -> None:
    assert [each["ticker"] for each in loaded(desk, "positions", "--closed")["positions"]] == ["GOOG"]
    assert list(loaded(desk, "positions", "--open")) == ["positions"]
    assert len(table(desk("positions", "--open", "--method", "average")[1])) == 3


def test_a_ticker_is_explained_by_its_lots_and_matches_to_the_digit(desk: Run) -> None:
    out = desk("positions", "msft", "--account", "main")[1]
    position, lots, matches = (
        table(part) for part in re.split(r"Open lots, oldest first|Matches, last closed first", out)
    )
    assert position[1][:4] == ["main", "MSFT", "USD", "30"]
    assert lots == [
        ["trade", "opened (UTC)", "quantity", "price", "fee", "cost"],
        ["1", "2025-06-03 12:00:00", "30", "310.5", "0", "9,315"],
        ["total", "30", "0", "9,315"],
    ]
    assert matches == [
        ["opened by", "closed by", "closed (UTC)", "quantity", "cost", "proceeds", "fees", "profit"],
        ["1", "2", "2025-06-04 12:00:00", "20", "6,210", "6,399", "1", "189"],
        ["total", "20", "6,210", "6,399", "1", "189"],
    ]
    assert [
        (each["account"], len(each["lots"]), len(each["matches"])) for each in loaded(desk, "positions", "MSFT")
    ] == [
        ("ira", 1, 0),
        ("main", 1, 1),
    ]


def test_of_many_lots_the_first_are_shown_and_that_there_are_more(run: Run) -> None:
    for price in (1, 2, 3):
        run("buy", "MSFT", 1, price, *AT)
    code, out, err = run("positions", "MSFT", "--limit", 2)
    assert (code, err) == (0, "There are more than 2; --limit shows more.\n")
    assert table(out)[-1] == ["total", "2", "0", "3"]


def test_without_positions_that_is_said(run: Run) -> None:
    assert run("positions", "MSFT") == run("positions") == (0, "No positions match.\n", "")
    assert loaded(run, "positions") == {"positions": [], "portfolio": []}


def test_where_no_system_runs_the_error_says_how_to_start_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_URL", "http://127.0.0.1:9")
    for arguments in (("positions",), ("trades",), ("void", 1, "--reason", "x"), ("buy", "MSFT", 1, 1)):
        code, out, err = run(*arguments)
        assert (code, out) == (1, "")
        assert "Start a system with `make start`" in err
