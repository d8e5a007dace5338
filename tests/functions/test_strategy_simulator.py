import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from local.host import runtime
from local.host.gateway import http_event
from local.host.template import ROOT
from tests.conftest import Bucket, Call, Rows, api_answer
from trading.core import database
from trading.prices import records as price_records
from trading.prices.ticks import Tick
from trading.simulation import histories, records
from trading.simulation.records import RecordedSimulation

pytestmark = pytest.mark.usefixtures("bucket")

PATH = "/api/simulations"
HISTORIES = "/api/histories"
EVENTS = ROOT / "events"
SAMPLES = sorted((ROOT / "tests" / "trading" / "simulation" / "samples").iterdir())
# One round trip for averages of 2 and 3: see tests/trading/test_simulation.py.
CLOSES = [10, 10, 9, 8, 8, 11, 13, 14, 13, 9, 9]
OPENS = [10, 10, 9, 8, 8, 11, 12, 14, 13, 9, 8]
ASKED = {"ticker": "MSFT", "fast": 2, "slow": 3, "cash": "100"}


def csv(closes: list[int], opens: list[int] | None = None) -> str:
    days = [date(2024, 1, 1) + timedelta(days=number) for number in range(len(closes))]
    if opens is None:
        return "date,close\n" + "".join(f"{day},{close}\n" for day, close in zip(days, closes, strict=True))
    rows = zip(days, opens, closes, strict=True)
    return "date,open,high,low,close\n" + "".join(
        f"{day},{opened},{max(opened, closed)},{min(opened, closed)},{closed}\n" for day, opened, closed in rows
    )


@pytest.fixture
def with_history(call: Call, bucket: Bucket) -> Bucket:
    """A bucket with the history of MSFT in it."""
    assert put(call, csv(CLOSES, OPENS)).status == 201
    return bucket


def put(call: Call, text: str | bytes, ticker: str = "MSFT", content_type: str = "text/csv", query: str = "") -> Any:
    raw = text if isinstance(text, bytes) else text.encode()
    return call("PUT", f"{HISTORIES}/{ticker}", raw=raw, content_type=content_type, query=query)


# Histories


def test_a_history_is_stored_as_it_was_sent_and_replaced_by_the_next(call: Call, bucket: Bucket) -> None:
    first = put(call, csv(CLOSES, OPENS), ticker="msft", content_type="text/csv; charset=utf-8")
    assert (first.status, first.body) == (
        201,
        {
            "ticker": "MSFT",
            "bars": 11,
            "first": "2024-01-01",
            "last": "2024-01-11",
            "frequency": "1 day",
            "notes": {"adjusted": False, "rounded_prices": 0, "widened_bars": 0, "skipped_rows": 0},
        },
    )
    assert bucket.get("history/MSFT.csv") == csv(CLOSES, OPENS)
    assert put(call, csv([1, 2])).status == 200
    assert bucket.get("history/MSFT.csv") == csv([1, 2])


def test_a_history_that_cannot_be_read_is_refused_with_its_line_and_the_old_one_stays(
    call: Call, with_history: Bucket
) -> None:
    answer = put(call, "date,close\n2024-01-02,10\n2024-01-02,11\n")
    assert (answer.status, answer.names()) == (400, ["line 3"])
    assert answer.body["detail"] == "line 3: 2024-01-02 occurs twice"
    assert put(call, "").names() == ["line 1"]
    assert put(call, "2024-01-02,10").names() == ["line 1"]
    assert with_history.get("history/MSFT.csv") == csv(CLOSES, OPENS)


def test_a_history_is_csv_and_everything_else_is_json(call: Call) -> None:
    refused = put(call, csv([1]), content_type="application/x-www-form-urlencoded")
    assert (refused.status, refused.body["detail"]) == (
        415,
        "Send Content-Type: text/csv or application/octet-stream, not application/x-www-form-urlencoded.",
    )
    assert call("POST", PATH, raw=b"date,close", content_type="text/csv").status == 415


def test_a_history_has_an_end(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    assert put(call, "x" * 4_000_001).status == 413
    assert put(call, b"\xff" * 4_000_000, content_type="application/octet-stream").names() == ["line 1"]
    assert put(call, b"\xff" * 4_000_001, content_type="application/octet-stream").status == 413
    monkeypatch.setattr(histories, "BARS_LIMIT", 2)
    assert put(call, csv([1, 2])).status == 201
    assert put(call, csv([1, 2, 3])).names() == ["line 4"]


def test_a_path_that_is_no_tickers_is_refused(call: Call) -> None:
    assert put(call, csv([1]), ticker="MSFTTT").names() == ["ticker"]
    assert put(call, csv([1]), ticker="..%2F2024").names() == ["ticker"]
    assert call("GET", f"{HISTORIES}/MSFTTT").names() == ["ticker"]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_an_export_of_any_source_is_stored_simulated_and_given_back_as_the_same_csv(
    call: Call, bucket: Bucket, sample: Path
) -> None:
    stored = put(call, sample.read_bytes())
    assert (stored.status, stored.body["bars"], stored.body["frequency"]) == (201, 11, "1 day")
    assert bucket.get("history/MSFT.csv").encode() == sample.read_bytes()
    [trade] = call("POST", PATH, {**ASKED, "cash": "10000"}).body["result"]["trades"]
    assert (trade["entry_price"], trade["shares"], trade["exit_price"]) == ("1200.25", "8", "800.25")
    answer = call("GET", f"{HISTORIES}/msft")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    rows = answer.body.splitlines()
    assert rows[0] == "date,open,high,low,close"
    assert rows[1].partition(",")[2] == "1000.25,1004.75,995,1000.25"
    assert put(call, answer.body).body["notes"]["rounded_prices"] == 0
    assert call("GET", f"{HISTORIES}/MSFT").body == answer.body


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_history_of_any_encoding_is_sent_as_bytes(call: Call, bucket: Bucket, encoding: str) -> None:
    del bucket
    data = csv(CLOSES, OPENS).encode(encoding)
    stored = put(call, data, content_type="application/octet-stream")
    assert (stored.status, stored.body["bars"]) == (201, 11)
    assert call("GET", f"{HISTORIES}/MSFT").body == csv(CLOSES, OPENS)


def test_adjusted_closes_are_simulated_on_where_they_were_asked_for_and_the_result_says_so(
    call: Call, bucket: Bucket
) -> None:
    del bucket
    yahoo = next(path for path in SAMPLES if path.stem == "yahoo").read_bytes()
    answer = put(call, yahoo, query="adjusted=true")
    notes = {"adjusted": True, "rounded_prices": 0, "widened_bars": 0, "skipped_rows": 1}
    assert (answer.status, answer.body["notes"]) == (201, notes)
    result = call("POST", PATH, {**ASKED, "cash": "10000"}).body["result"]
    assert (result["notes"], result["frequency"], result["bars"][0]["close"]) == (notes, "1 day", "990.2475")
    assert call("GET", f"{HISTORIES}/MSFT").body.splitlines()[1] == "2024-01-02,990.2475,994.7025,985.05,990.2475"
    assert put(call, yahoo, query="adjusted=yes").names() == ["adjusted"]
    assert put(call, csv([1]), query="adjusted=true").names() == ["line 1"]
    assert put(call, yahoo, query="adjust=true").names() == ["adjust"]


def test_stored_histories_are_listed_page_by_page_in_the_order_of_tickers(call: Call, bucket: Bucket) -> None:
    assert call("GET", HISTORIES).body == []
    for ticker in ("MSFT", "AAPL", "BRK.B"):
        put(call, csv(CLOSES, OPENS), ticker=ticker)
    bucket.put("history/TSLA.csv", csv([1]))  # by somebody else
    bucket.put("history/MSFT daily.csv", csv([1]))
    bucket.put("2024/05/15/trades.csv", "ticker,price,quantity,side,timestamp\n")
    found = call("GET", HISTORIES)
    assert (found.status, [each["ticker"] for each in found.body]) == (200, ["AAPL", "BRK.B", "MSFT", "TSLA"])
    assert found.body[0] == put(call, csv(CLOSES, OPENS), ticker="AAPL").body
    assert {found.body[3][name] for name in ("bars", "first", "last", "frequency", "notes")} == {None}
    assert "link" not in found.headers
    first = call("GET", HISTORIES, query="limit=2")
    assert [each["ticker"] for each in first.body] == ["AAPL", "BRK.B"]
    assert first.headers["link"] == f'<{HISTORIES}?limit=2&cursor=BRK.B>; rel="next"'
    second = call("GET", HISTORIES, query="limit=2&cursor=BRK.B")
    assert ([each["ticker"] for each in second.body], "link" in second.headers) == (["MSFT", "TSLA"], False)


def test_what_lists_no_histories_is_refused(call: Call, bucket: Bucket) -> None:
    del bucket
    for query in ("limit=0", "limit=x", "cursor=x", "cursor=", "ticker=MSFT"):
        assert call("GET", HISTORIES, query=query).names() == [query.partition("=")[0]]
    assert call("POST", HISTORIES, {}).status == 405


def test_a_history_that_is_not_there_is_404_and_one_that_cannot_be_read_is_refused(call: Call, bucket: Bucket) -> None:
    assert call("GET", f"{HISTORIES}/MSFT").status == 404
    bucket.put("history/MSFT.csv", "nonsense")
    answer = call("GET", f"{HISTORIES}/MSFT")
    assert (answer.status, answer.names()) == (400, ["ticker"])
    assert "its stored history cannot be read: line 1: no header was recognized" in answer.body["detail"]
    assert call("GET", f"{HISTORIES}/MSFT", query="x=1").names() == ["x"]


# Simulations


@pytest.mark.usefixtures("with_history")
def test_a_simulation_is_run_recorded_and_looked_at(call: Call) -> None:
    answer = call("POST", PATH, ASKED)
    assert answer.status == 201
    assert answer.headers["location"] == f"{PATH}/{answer.body['id']}"
    result = answer.body["result"]
    assert result["name"] == "MSFT"
    assert result["trades"] == [
        {
            "entry_at": "2024-01-07",
            "entry_price": "12",
            "shares": "8",
            "exit_at": "2024-01-11",
            "exit_price": "8",
            "fees": "0",
            "profit": "-32",
        }
    ]
    assert (result["metrics"]["final_equity"], result["metrics"]["total_return"]) == ("68", pytest.approx(-0.32))
    assert result["bars"][-1] == {"at": "2024-01-11", "close": "9", "equity": "68"}
    assert result["signals"] == [{"at": "2024-01-06", "side": "BUY"}, {"at": "2024-01-10", "side": "SELL"}]
    assert call("GET", answer.headers["location"]).body == answer.body
    TypeAdapter(RecordedSimulation).validate_json(json.dumps(answer.body))


@pytest.mark.usefixtures("with_history")
def test_the_same_request_has_the_same_answer_however_it_is_spelled(call: Call, rows: Rows) -> None:
    first = call("POST", PATH, ASKED)
    again = call("POST", PATH, {**ASKED, "cash": 100, "fill": "open", "slippage_basis_points": "0.00"})
    assert (first.status, again.status) == (201, 200)
    assert (again.body, again.headers["location"]) == (first.body, first.headers["location"])
    assert rows("select count(*) from simulations") == [(1,)]


def test_a_history_is_deleted_and_simulations_on_it_are_kept(call: Call, with_history: Bucket) -> None:
    simulation = call("POST", PATH, ASKED).body
    deleted = call("DELETE", f"{HISTORIES}/msft")
    assert (deleted.status, deleted.body["ticker"], deleted.body["bars"]) == (200, "MSFT", len(CLOSES))
    assert call("GET", HISTORIES).body == []
    assert call("GET", f"{PATH}/{simulation['id']}").body == simulation
    assert call("DELETE", f"{HISTORIES}/MSFT").status == 404
    with_history.put("history/MSFT.csv", csv(CLOSES))  # put there by other means
    assert call("DELETE", f"{HISTORIES}/MSFT").body["bars"] is None


@pytest.mark.usefixtures("with_history")
def test_simulations_are_listed_newest_first_in_pages(call: Call) -> None:
    recorded = [call("POST", PATH, {**ASKED, "cash": cash}).body for cash in (100, 1, 200)]
    first = call("GET", PATH, query="limit=2")
    assert (first.status, [each["id"] for each in first.body]) == (200, [recorded[2]["id"], recorded[1]["id"]])
    assert first.body[0] == {
        **{name: recorded[2][name] for name in ("id", "inputs_hash", "recorded_at")},
        "ticker": "MSFT",
        **{name: recorded[2]["result"][name] for name in ("strategy", "metrics")},
    }
    path, _, query = first.headers["link"].partition(">")[0].strip("<").partition("?")
    assert path == PATH
    second = call("GET", path, query=query)
    assert [each["id"] for each in second.body] == [recorded[0]["id"]]
    assert "link" not in second.headers
    assert call("GET", PATH, query="cursor=forged").names() == ["cursor"]


@pytest.mark.usefixtures("with_history")
def test_other_inputs_are_another_simulation(call: Call) -> None:
    changes: list[dict[str, Any]] = [{}, {"cash": "101"}, {"fill": "close"}, {"fractional": True}, {"slow": 4}]
    changes += [{"commission_per_trade": 1}, {"slippage_basis_points": 1}]
    assert len({call("POST", PATH, {**ASKED, **change}).body["id"] for change in changes}) == len(changes)


def test_another_history_is_another_simulation_and_the_same_one_in_another_dress_is_not(
    call: Call, with_history: Bucket
) -> None:
    first = call("POST", PATH, ASKED)
    with_history.put("history/MSFT.csv", csv([*CLOSES, 9], [*OPENS, 9]))
    assert call("POST", PATH, ASKED).status == 201
    with_history.put("history/MSFT.csv", csv(CLOSES, OPENS).replace("\n", "\r\n"))
    assert call("POST", PATH, ASKED).body == first.body
    assert call("GET", first.headers["location"]).body == first.body


def test_two_who_ask_at_once_get_the_same_simulation(
    call: Call, with_history: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    del with_history
    first = call("POST", PATH, ASKED)
    find, seen = records._find, []  # noqa: SLF001 - the other one's row comes just after the look

    def find_nothing_at_first(column: str, value: int | str) -> Any:
        seen.append(value)
        return find(column, value) if len(seen) > 1 else []

    monkeypatch.setattr(records, "_find", find_nothing_at_first)
    late = call("POST", PATH, ASKED)
    assert (late.status, late.body) == (200, first.body)


@pytest.mark.usefixtures("with_history")
def test_a_sweep_tries_every_pair_and_simulates_the_best(call: Call) -> None:
    asked = {"ticker": "MSFT", "cash": "100", "sweep": {"fast": "1:3:1", "slow": "2:4:1", "metric": "total_return"}}
    answer = call("POST", PATH, asked)
    assert answer.status == 201
    swept = answer.body["result"]["sweep"]
    assert [(pair["fast"], pair["slow"]) for pair in swept["pairs"]] == [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)]
    assert "says little about the future" in swept["warning"]
    best = max(swept["pairs"], key=lambda pair: pair["value"])
    strategy = answer.body["result"]["strategy"]
    assert (strategy["fast"], strategy["slow"]) == (best["fast"], best["slow"])
    assert answer.body["result"]["metrics"]["total_return"] == best["value"]
    alone = call("POST", PATH, {"ticker": "MSFT", "cash": "100", "fast": best["fast"], "slow": best["slow"]})
    assert alone.body["result"]["metrics"] == answer.body["result"]["metrics"]
    assert call("POST", PATH, asked).status == 200


REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    ({"fast": None, "slow": None}, ["fast", "slow"]),
    ({"fast": 3}, ["fast"]),
    ({"fast": 0}, ["fast"]),
    ({"fast": "2"}, ["fast"]),
    ({"fast": True}, ["fast"]),
    ({"fast": 1.5}, ["fast"]),
    ({"slow": 5_001}, ["slow"]),
    ({"cash": 0}, ["cash"]),
    ({"cash": "-1"}, ["cash"]),
    ({"fill": "next"}, ["fill"]),
    ({"fractional": 1}, ["fractional"]),
    ({"slippage_basis_points": 10_000}, ["slippage_basis_points"]),
    ({"ticker": "msft"}, ["ticker"]),
    ({"ticker": "AAPL"}, ["ticker"]),
    ({"source": "rumour"}, ["source"]),
    ({"windows": 3}, ["windows"]),
    ({"sweep": {"fast": "1:2:1", "slow": "3:4:1"}}, ["sweep"]),
    ({"fast": None, "slow": None, "sweep": {"fast": "1:40:1", "slow": "100:200:1"}}, ["sweep"]),
    ({"fast": None, "slow": None, "sweep": {"fast": "5:6:1", "slow": "3:5:1"}}, ["sweep"]),
    ({"fast": None, "slow": None, "sweep": {"fast": "2:1:1", "slow": "3:4:0"}}, ["sweep.fast", "sweep.slow"]),
    ({"fast": None, "slow": None, "sweep": {"fast": "1", "slow": [3]}}, ["sweep.fast", "sweep.slow"]),
    ({"fast": None, "slow": None, "sweep": {"fast": "1:2:1", "slow": "3:4:1", "metric": "luck"}}, ["sweep.metric"]),
]


@pytest.mark.usefixtures("with_history")
def test_a_pair_that_never_lost_is_the_best_of_a_sweep_by_profit_factor(call: Call, rows: Rows) -> None:
    rising = [10, 10, 9, 8, 8, 11, 13, 16, 19, 15, 14]
    put(call, csv(rising, rising))
    asked = {"ticker": "MSFT", "sweep": {"fast": "1:2:1", "slow": "3:9:3", "metric": "profit_factor"}}
    answer = call("POST", PATH, {**asked, "cash": 100})
    values = [(pair["slow"], pair["value"]) for pair in answer.body["result"]["sweep"]["pairs"]]
    assert values == [(3, "Infinity"), (6, None), (9, None), (3, None), (6, None), (9, None)]  # or still open
    assert answer.body["result"]["metrics"]["profit_factor"] == "Infinity"
    assert call("GET", answer.headers["location"]).body == answer.body
    assert "∞" in call("GET", f"{answer.headers['location']}/report").body
    assert rows("select count(*) from simulations") == [(1,)]


@pytest.mark.usefixtures("with_history")
def test_what_cannot_be_simulated_is_refused_with_its_field(call: Call, rows: Rows) -> None:
    for change, names in REFUSED:
        answer = call("POST", PATH, {**ASKED, **change})
        assert (answer.status, answer.names()) == (400, names), change
    assert rows("select count(*) from simulations") == [(0,)]


@pytest.mark.usefixtures("with_history")
def test_a_sweep_that_takes_too_long_is_refused_and_says_what_to_make_smaller(
    call: Call, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "monotonic", iter(range(0, 70, 7)).__next__)  # seven seconds a pair
    answer = call("POST", PATH, {"ticker": "MSFT", "sweep": {"fast": "1:3:1", "slow": "2:4:1"}})
    assert (answer.status, answer.names()) == (400, ["sweep"])
    assert "had time for 2 of its 6 pairs in 20 seconds: use fewer or longer windows" in answer.body["detail"]
    assert rows("select count(*) from simulations") == [(0,)]


def test_a_history_that_the_strategy_cannot_use_is_refused(call: Call, bucket: Bucket) -> None:
    put(call, csv(CLOSES))
    answer = call("POST", PATH, ASKED)
    assert (answer.names(), "the history of MSFT has no opens" in answer.body["detail"]) == (["fill"], True)
    closing = call("POST", PATH, {**ASKED, "fill": "close", "cash": 1})
    assert (closing.status, closing.body["result"]["no_trades_reason"]) == (
        201,
        "The cash of 1 never paid for one share and its costs.",
    )
    bucket.put("history/MSFT.csv", "nonsense")
    answer = call("POST", PATH, ASKED)
    assert (answer.names(), "line 1: no header was recognized" in answer.body["detail"]) == (["ticker"], True)


def test_a_history_whose_amounts_outgrow_every_account_is_refused(call: Call, rows: Rows) -> None:
    put(call, csv([1, 3] * 600, [1, 3] * 600))
    answer = call("POST", PATH, {**ASKED, "fast": 1, "slow": 2})
    assert (answer.status, answer.names()) == (400, ["ticker"])
    assert "the history of MSFT makes amounts of more than 200 digits" in answer.body["detail"]
    assert rows("select count(*) from simulations") == [(0,)]


def test_more_than_an_answer_can_say_is_refused_and_not_kept(call: Call, rows: Rows) -> None:
    zigzag = [1_000 + number % 2 * 4 for number in range(histories.BARS_LIMIT)]
    put(call, csv(zigzag, zigzag))
    costs = {"commission_basis_points": "10.123456", "slippage_basis_points": "5.123456"}
    answer = call("POST", PATH, {"ticker": "MSFT", "fast": 1, "slow": 2, "fractional": True, **costs})
    assert (answer.status, answer.names()) == (400, ["ticker"])
    assert "25,000 bars and their trades do not fit into an answer of 6 MB" in answer.body["detail"]
    assert rows("select count(*) from simulations") == [(0,)]


@pytest.mark.usefixtures("with_history")
def test_what_is_as_long_as_may_be_is_an_answer_that_lambda_hands_on(call: Call) -> None:
    asked = http_event("POST", PATH, headers=[("content-type", "application/json")], body=json.dumps(ASKED).encode())
    length = len(json.dumps(json.dumps(call("POST", PATH, ASKED).body["result"], separators=(",", ":"))))
    around_it = len(json.dumps(api_answer(asked))) - length
    assert 0 < around_it < runtime.ANSWER_LIMIT - records.ANSWER_LIMIT


def test_a_simulation_that_is_not_there_is_404(call: Call) -> None:
    assert call("GET", f"{PATH}/1").status == 404
    assert call("GET", f"{PATH}/1/report").status == 404
    assert call("GET", f"{PATH}/x").names() == ["simulation_id"]


@pytest.mark.usefixtures("with_history")
def test_a_database_that_is_away_is_503(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    database.release()
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:9/nowhere")
    assert call("POST", PATH, ASKED).status == 503


@pytest.mark.usefixtures("with_history")
def test_the_report_is_a_page_that_may_fetch_and_run_nothing(call: Call) -> None:
    location = call("POST", PATH, {"ticker": "MSFT", "sweep": {"fast": "1:3:1", "slow": "2:4:1"}}).headers["location"]
    answer = call("GET", f"{location}/report")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.body.startswith("<!doctype html>")
    assert "MSFT: " in answer.body


def test_the_averages_that_the_system_has_made_are_a_history_too(call: Call) -> None:
    started = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=3)
    first = started - timedelta(minutes=started.minute % 5)
    ticks = [
        Tick("MSFT", Decimal(price), first + timedelta(minutes=5 * number, seconds=second))
        for number, prices in enumerate(zip(OPENS, CLOSES, strict=True))
        for second, price in enumerate(prices)
    ]
    price_records.record({"MSFT": [*ticks, Tick("MSFT", Decimal(999), datetime.now(UTC))]})
    asked = {**ASKED, "source": "averages"}
    result = call("POST", PATH, asked).body["result"]
    assert [bar["close"] for bar in result["bars"]] == [str(close) for close in CLOSES]  # without what is not over
    assert datetime.fromisoformat(result["bars"][0]["at"]) == first
    assert result["trades"][0]["profit"] == "-32"
    assert call("POST", PATH, asked).status == 200
    assert f"{first:%Y-%m-%d %H:%M}" in call("GET", f"{PATH}/1/report").body
    assert call("POST", PATH, {**asked, "ticker": "AAPL"}).names() == ["ticker"]


def test_the_sample_events_are_answered_as_their_names_say(call: Call, bucket: Bucket) -> None:
    del call
    bucket.put("history/MSFT.csv", (EVENTS / "history" / "MSFT.csv").read_bytes())
    statuses = {}
    for name in (
        "find_histories",
        "store_history",
        "get_history",
        "simulate",
        "simulate_refused",
        "simulate_sweep",
        "get_simulation",
        "get_report",
    ):
        event = json.loads((EVENTS / "strategy_simulator" / f"{name}.json").read_text())
        statuses[name] = api_answer(event)["statusCode"]
    assert list(statuses.values()) == [200, 201, 200, 201, 400, 201, 404, 404]
