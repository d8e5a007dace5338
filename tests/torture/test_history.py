from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.torture.history import Call, Heard, History, Kill, problems

TRADES = "/api/trades"


def trade(number: int, **changed: Any) -> dict[str, Any]:
    return {
        "id": number, "ticker": "AAPL", "price": "100.00", "quantity": 1, "side": "BUY", "account": "main",
        "timestamp": f"2025-06-03T12:00:0{number}Z", "client_trade_id": f"a-{number}", "fee": "0", "currency": "USD",
        **changed,
    }  # fmt: skip


ONE, TWO, THREE = trade(1), trade(2), trade(3)
FOUR = trade(4, price="99", client_trade_id=None, timestamp=THREE["timestamp"])  # replaces THREE


def call(method: str, path: str, status: str, answer: Any, at: float, **more: Any) -> Call:
    return Call("a", method, path, more.pop("body", None), at, at + 0.5, status, answer, **more)


def post(recorded: dict[str, Any], at: float, status: str = "201") -> Call:
    return call("POST", TRADES, status, recorded, at, body={"client_trade_id": recorded["client_trade_id"]})


def heard(type_: str, number: int, data: dict[str, Any], at: float = 9) -> Heard:
    return Heard(at, {"id": f"event-{number}", "type": type_, "data": data})


def sound() -> History:
    """Three trades, of which one is repeated, one voided and one corrected, read in two pages."""
    first, second = f"{TRADES}?status=all&limit=2", f"{TRADES}?status=all&limit=2&cursor=x"
    held = {"account": "main", "ticker": "AAPL", "currency": "USD", "realized_profit": "0", "fees": "0"}
    return History(
        seed=1,
        calls=[
            post(ONE, 1, "none"),
            post(ONE, 2),
            post(ONE, 3, "200"),
            post(TWO, 4),
            post(THREE, 5),
            call("POST", f"{TRADES}/2/void", "200", TWO, 6),
            call("POST", f"{TRADES}/3/correct", "201", FOUR, 7),
            call("GET", first, "200", [FOUR, THREE], 8, next_path=second),
            call("GET", second, "200", [TWO, ONE], 9),
            call("GET", f"{TRADES}?status=active&limit=2", "200", [FOUR, ONE], 9),
            call(
                "GET", "/api/positions", "200", [{**held, "quantity": "2", "cost_basis": "199", "trade_count": 2}], 10
            ),
        ],
        kills=[Kill(3, "postgres -D")],
        calm_from=3.5,
        heard=[
            heard("trade.recorded.v1", 1, ONE),
            heard("trade.recorded.v1", 1, ONE),  # its publisher may have been killed before it could note that
            heard("trade.recorded.v1", 2, TWO),
            heard("trade.recorded.v1", 3, THREE),
            heard("trade.voided.v1", 4, TWO),
            heard("trade.corrected.v1", 5, {"voided": THREE, "recorded": FOUR}),
        ],
        trades=[ONE, TWO, THREE, FOUR],
        changes={2: None, 3: 4},
    )


def test_a_sound_history_has_no_problems_and_is_the_same_from_a_file(tmp_path: Path) -> None:
    assert problems(sound()) == []
    sound().write(tmp_path / "history.json")
    assert History.read(tmp_path / "history.json") == sound()


def of_calls(position: int, **changed: Any) -> Callable[[History], None]:
    """Return what changes one call of a history."""

    def change(history: History) -> None:
        history.calls[position] = replace(history.calls[position], **changed)

    return change


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda history: history.heard.pop(3), "trade.recorded.v1 of trade 3 was not heard"),
        (lambda history: history.heard.pop(4), "trade.voided.v1 of trade 2 was not heard"),
        (of_calls(8, answer=[ONE]), "trade 2 is skipped"),
        (of_calls(9, answer=[ONE]), "trade 4 is skipped"),
        (lambda history: history.heard.append(history.heard[2]), "trade 2 was heard 2 times, and nothing was killed"),
        (lambda history: history.heard.append(heard("trade.recorded.v1", 9, TWO)), "has the ids"),
        (lambda history: history.heard.append(heard("trade.recorded.v1", 9, FOUR)), "did not happen"),
        (lambda history: history.trades.pop(0), "trade 1 is lost"),
        (lambda history: history.changes.pop(2), "the void of trade 2 is lost"),
        (lambda history: history.trades.append(trade(5)), "trade 5 is in the ledger, and nobody was told"),
        (lambda history: history.changes.update({1: None}), "trade 1 is voided, and nobody asked"),
        (of_calls(2, status="201"), "a-1 was recorded 2 times"),
        (of_calls(2, answer=trade(6, client_trade_id="a-1")), "a-1 was recorded 1 times, as [1, 6]"),
        (of_calls(4, answer=trade(3, price="101")), "trade 3 was answered as"),
        (of_calls(8, answer=[TWO, trade(1, fee="1")]), "trade 1 as"),
        (of_calls(8, answer=[ONE, TWO]), "not the newest first"),
        (of_calls(9, answer=[FOUR, THREE, ONE]), "a page of 3"),
        (of_calls(9, answer=[FOUR, THREE]), "{4} beside what they replace"),
        (of_calls(9, answer=[FOUR, TWO, ONE]), "trade 2, whose void was answered before"),
        (of_calls(10, answer=[]), "read 0 trades"),
        (of_calls(10, asked_at=4, answered_at=4.1), "nobody read the positions at the end"),
        (lambda history: history.trades[0].update(price="1"), "its trades come to"),
        (of_calls(1, status="500"), "1 answers were 500"),
    ],
)
def test_what_must_not_be_is_named(fault: Callable[[History], object], said: str) -> None:
    history = sound()
    history.trades = [dict(each) for each in history.trades]
    fault(history)
    assert any(said in problem for problem in problems(history)), problems(history)
