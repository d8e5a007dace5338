import json
from typing import Any

import pytest

from local.host.template import ROOT
from tests.conftest import Bucket, Call, context
from trading.analysis import results

EVENTS = ROOT / "events"
SOURCE = "2024/05/15/trades.csv"
RESULT = "2024/05/15/analysis_2024-05-15.csv"
DONE = {"input_file": SOURCE, "output_file": RESULT, "records_processed": 6, "analysis_summary_count": 3, "rejected": 0}


def invoke(event: str | dict[str, Any]) -> dict[str, Any]:
    from functions.trade_analyzer.app import handler  # noqa: PLC0415 - its environment is set by the fixtures

    given = event if isinstance(event, dict) else json.loads((EVENTS / "trade_analyzer" / event).read_text())
    return handler(given, context())


@pytest.fixture
def with_trades(bucket: Bucket) -> Bucket:
    """A bucket with the sample in it."""
    bucket.put(SOURCE, (EVENTS / SOURCE).read_text())
    return bucket


def test_a_file_that_was_put_is_analyzed_and_again_if_it_is_told_twice(with_trades: Bucket) -> None:
    assert invoke("trades_put.json") == invoke("trades_put.json") == DONE
    assert with_trades.keys() == [RESULT, SOURCE]


def test_a_day_that_does_not_exist_and_its_own_result_do_not_wake_it(with_trades: Bucket) -> None:
    assert invoke("impossible_day_put.json") == {"skipped": "2024/02/30/trades.csv"}
    assert invoke({"source": "aws.s3", "detail": {"object": {"key": RESULT}}}) == {"skipped": RESULT}
    assert with_trades.keys() == [SOURCE]


def test_the_clock_analyses_the_day_before_once(with_trades: Bucket) -> None:
    assert invoke("every_night.json") == DONE
    assert invoke("every_night.json") == {"skipped": "2024-05-15"}
    with_trades.put(SOURCE, "ticker,price,quantity,side,timestamp\n")
    assert invoke("every_night.json")["records_processed"] == 0


@pytest.mark.usefixtures("bucket")
def test_the_clock_only_warns_where_there_is_no_file() -> None:
    assert invoke("every_night.json") == {"skipped": "2024-05-15"}


def test_by_hand_it_answers_as_the_original_did(with_trades: Bucket) -> None:
    del with_trades
    answer = invoke("by_hand.json")
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == DONE


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(("event", "status"), [({}, 400), ({"date": "2024-02-30"}, 400), ({"date": "2024-05-15"}, 404)])
def test_by_hand_a_bad_date_is_400_and_a_day_without_a_file_404(event: dict[str, Any], status: int) -> None:
    answer = invoke(event)
    assert answer["statusCode"] == json.loads(answer["body"])["status"] == status


FIRST_ROW = {
    "ticker": "AAPL",
    "total_volume": "180",
    "average_price": "170.666667",
    "mean_price": "170.766667",
    "trade_count": 3,
    "notional": "30720.00",
    "open": "170.50",
    "high": "171.00",
    "low": "170.50",
    "close": "171.00",
    "buy_volume": "130",
    "sell_volume": "50",
}


def test_over_http_a_day_is_analyzed_and_answered_with_its_rows(with_trades: Bucket, call: Call) -> None:
    answer = call("POST", "/api/analyses", {"date": "2024-05-15"})
    assert answer.status == 200
    assert (answer.body["date"], answer.body["records_processed"], answer.body["rejected"]) == ("2024-05-15", 6, 0)
    assert [row["ticker"] for row in answer.body["rows"]] == ["AAPL", "GOOG", "MSFT"]
    assert answer.body["rows"][0] == FIRST_ROW
    assert with_trades.keys() == [RESULT, SOURCE]
    assert call("GET", "/api/analyses/2024-05-15").body == answer.body


def test_over_http_the_stored_analysis_is_its_csv_for_who_accepts_that(with_trades: Bucket, call: Call) -> None:
    call("POST", "/api/analyses", {"date": "2024-05-15"})
    answer = call("GET", "/api/analyses/2024-05-15", accept="text/csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.body == with_trades.get(RESULT)


def test_over_http_a_day_without_trades_or_analysis_is_404(call: Call) -> None:
    assert call("POST", "/api/analyses", {"date": "2024-05-15"}).status == 404
    assert call("GET", "/api/analyses/2024-05-15").status == 404
    assert call("GET", "/api/analyses/2024-05-15", accept="text/csv").status == 404


@pytest.mark.parametrize("date", ["2024-02-30", "15.05.2024", 20240515, None])
def test_over_http_a_date_that_is_none_is_named(call: Call, date: object) -> None:
    assert call("POST", "/api/analyses", {"date": date}).names() == ["date"]
    assert call("GET", f"/api/analyses/{date}").names() == ["date"]


def test_over_http_an_analysis_that_somebody_else_wrote_is_to_be_had_as_csv_only(bucket: Bucket, call: Call) -> None:
    bucket.put(RESULT, "ticker,total_volume,average_price\nAAPL,180,170.67\n")
    refused = call("GET", "/api/analyses/2024-05-15")
    assert (refused.status, "not produced" in refused.body["detail"]) == (409, True)
    assert call("GET", "/api/analyses/2024-05-15", accept="TEXT/CSV").body == bucket.get(RESULT)


@pytest.mark.parametrize(
    "accept", ["application/json, text/csv;q=0", "text/csv;q=0.1, application/json", "", "nonsense"]
)
def test_over_http_csv_is_answered_to_who_prefers_it_only(bucket: Bucket, call: Call, accept: str) -> None:
    bucket.put(SOURCE, (EVENTS / SOURCE).read_text())
    assert call("POST", "/api/analyses", {"date": "2024-05-15"}).status == 200
    answer = call("GET", "/api/analyses/2024-05-15", accept=accept)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")


def test_over_http_a_file_that_cannot_be_read_is_400_and_says_why(bucket: Bucket, call: Call) -> None:
    bucket.put(SOURCE, "ticker,price\n")
    answer = call("POST", "/api/analyses", {"date": "2024-05-15"})
    assert (answer.status, "no column quantity, side, timestamp" in answer.body["detail"]) == (400, True)


def test_what_is_analyzed_and_what_is_rejected_is_counted(bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    bucket.put(SOURCE, (ROOT / "events" / SOURCE).read_text() + "MSFT,none,1,BUY,2024-05-15T10:00:00Z\n")
    invoke({"date": "2024-05-15"})
    [written] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert (written["TradesAnalyzed"], written["TradesRejected"]) == ([6], [1])


WITH_REJECTS = f"""ticker,price,quantity,side,timestamp
AAPL,170.50,10,BUY,2024-05-15T10:00:00Z
AAPL,170.50,10,HOLD,2024-05-15T10:00:00Z
MSFT,"310,50",10,BUY,2024-05-15T10:00:00Z
no trade at all\N{LINE SEPARATOR}still the same line
{"x" * 12_000}
"""


@pytest.fixture
def with_rejects(bucket: Bucket, call: Call) -> Bucket:
    """A bucket with an analysis that left four rows out."""
    bucket.put(SOURCE, WITH_REJECTS)
    assert call("POST", "/api/analyses", {"date": "2024-05-15"}).body["rejected"] == 4
    return bucket


REJECTS = "/api/analyses/2024-05-15/rejects"


def test_over_http_the_rows_that_were_left_out_are_answered_with_line_and_reason(
    with_rejects: Bucket, call: Call
) -> None:
    del with_rejects
    answer = call("GET", REJECTS)
    assert (answer.status, answer.headers.get("link")) == (200, None)
    assert [reject["line"] for reject in answer.body] == [3, 4, 5, 6]
    assert answer.body[0]["row"] == "AAPL,170.50,10,HOLD,2024-05-15T10:00:00Z"
    assert "side" in answer.body[0]["reason"]
    assert answer.body[2]["row"] == "no trade at all\N{LINE SEPARATOR}still the same line"
    assert len(answer.body[3]["row"]) == 10_000


def test_over_http_rejects_come_in_pages_that_lead_to_one_another(with_rejects: Bucket, call: Call) -> None:
    del with_rejects
    first = call("GET", REJECTS, query="limit=3")
    assert [reject["line"] for reject in first.body] == [3, 4, 5]
    assert first.headers["link"] == f'<{REJECTS}?limit=3&cursor=5>; rel="next"'
    second = call("GET", REJECTS, query="limit=3&cursor=5")
    assert [reject["line"] for reject in second.body] == [6]
    assert "link" not in second.headers
    assert "link" not in call("GET", REJECTS, query="limit=4").headers


def test_a_page_of_rejects_ends_where_an_answer_would_be_too_large(
    with_rejects: Bucket, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    del with_rejects
    monkeypatch.setattr(results, "REJECTS_CHARACTERS", 100)
    lines, query = [], "limit=10"
    while query:
        answer = call("GET", REJECTS, query=query)
        lines.append([reject["line"] for reject in answer.body])
        query = answer.headers.get("link", "").partition("?")[2].partition(">")[0]
    assert lines == [[3, 4], [5], [6]]


def test_over_http_rejects_are_csv_for_who_accepts_that(with_rejects: Bucket, call: Call) -> None:
    stored = with_rejects.get("2024/05/15/rejects_2024-05-15.csv")
    answer = call("GET", REJECTS, query="limit=3", accept="text/csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert stored.startswith(answer.body)
    assert answer.headers["link"].endswith('cursor=5>; rel="next"')


def test_over_http_an_analysis_without_rejects_has_none_and_a_day_without_analysis_no_answer(
    with_trades: Bucket, call: Call
) -> None:
    assert call("GET", REJECTS).status == 404
    call("POST", "/api/analyses", {"date": "2024-05-15"})
    assert (call("GET", REJECTS).status, call("GET", REJECTS).body) == (200, [])
    assert call("GET", REJECTS, accept="text/csv").body == "line,reason,row\n"
    del with_trades


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("cursor=x", "cursor"),
        ("cursor=-1", "cursor"),
        ("limit=0", "limit"),
        ("limit=5001", "limit"),
        ("page=2", "page"),
    ],
)
def test_over_http_what_is_wrong_with_a_search_for_rejects_is_named(call: Call, query: str, name: str) -> None:
    assert call("GET", REJECTS, query=query).names() == [name]
