import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from local.host.template import ROOT
from tests.conftest import Bucket, Call, Channels, context
from trading.analysis import results, runs
from trading.analysis.runs import Run
from trading.core import bus, topics
from trading.core.bus import BusUnavailableError
from trading.core.errors import RefusalError
from trading.core.topics import TopicUnavailableError
from trading.notifications import events

pytestmark = pytest.mark.usefixtures("channels", "bucket")

EVENTS = ROOT / "events"
SOURCE = "2024/05/15/trades.csv"
RUN = "2024/05/15/analysis_run_2024-05-15.json"
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
    assert with_trades.keys() == [RESULT, RUN, SOURCE]


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


def test_an_analysis_is_announced_and_a_repeat_has_the_same_id(with_trades: Bucket, channels: Channels) -> None:
    invoke("trades_put.json")
    invoke("by_hand.json")
    first, again = (json.loads(message["Message"]) for message in channels.published())
    assert first["type"] == "analysis.completed.v1"
    assert first["data"] == {"date": "2024-05-15", **DONE, "revision": 1}
    assert again["id"] == first["id"]

    with_trades.put(SOURCE, "ticker,price,quantity,side,timestamp\nAAPL,170,1,BUY,2024-05-15T10:00:00Z\n")
    invoke("trades_put.json")
    [message] = channels.published()
    event = events.read(message["Message"])
    assert event.id != first["id"]
    assert topics.prose(event) == (
        "ANALYZED 2024-05-15, 1 ticker, revision 2\n\n"
        f"Of 1 row of {SOURCE}, 0 were rejected. The analysis is in {RESULT}.\nEvent {event.id}\n"
    )


def test_an_analysis_that_could_not_be_announced_is_stored_and_announced_at_the_next_attempt(
    with_trades: Bucket, channels: Channels, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    monkeypatch.setenv("NOTIFICATIONS_TOPIC_ARN", f"{channels.topic_arn}-gone")
    for event in ("trades_put.json", "every_night.json"):
        with pytest.raises(TopicUnavailableError):
            invoke(event)
    assert with_trades.get(RESULT)
    found = call("GET", "/api/analyses/2024-05-15").body
    assert (found["status"], found["reason"]) == ("failed", "The analysis is complete, but could not be announced.")

    monkeypatch.setenv("NOTIFICATIONS_TOPIC_ARN", channels.topic_arn)
    assert invoke("every_night.json") == DONE
    assert len(channels.published()) == 1
    assert call("GET", "/api/analyses/2024-05-15").body["status"] == "current"


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
    "currency": None,
}


@pytest.fixture
def analyze(call: Call, requested: Callable[[], list[dict[str, Any]]]) -> Callable[[], Any]:
    """A function that asks for the day's analysis over HTTP, lets it be made, and returns what the API says of it."""

    def ask() -> Any:
        assert call("POST", "/api/analyses", {"date": "2024-05-15"}).status == 202
        for event in requested():
            with suppress(RefusalError):
                invoke(event)
        return call("GET", "/api/analyses/2024-05-15").body

    return ask


def test_over_http_a_day_is_analyzed_while_nobody_waits(
    with_trades: Bucket, call: Call, requested: Callable[[], list[dict[str, Any]]]
) -> None:
    answer = call("POST", "/api/analyses", {"date": "2024-05-15"})
    assert (answer.status, answer.body) == (202, {"date": "2024-05-15", "status": "running"})
    assert answer.headers["location"] == "/api/analyses/2024-05-15"
    assert call("GET", "/api/analyses/2024-05-15").body["status"] == "running"
    [event] = requested()
    assert (event["detail"]["date"], event["detail"]["requested_by"]) == ("2024-05-15", "local")
    invoke(event)
    found = call("GET", "/api/analyses/2024-05-15").body
    assert (found["date"], found["records_processed"], found["rejected"]) == ("2024-05-15", 6, 0)
    assert [row["ticker"] for row in found["rows"]] == ["AAPL", "GOOG", "MSFT"]
    assert found["rows"][0] == FIRST_ROW
    assert (found["status"], found["revision"], found["changes"], found["is_foreign"]) == ("current", 1, [], True)
    assert RESULT in set(with_trades.keys())


def test_over_http_one_run_of_a_day_is_asked_for_at_a_time(
    with_trades: Bucket, call: Call, requested: Callable[[], list[dict[str, Any]]]
) -> None:
    del with_trades
    for _ in range(3):
        assert call("POST", "/api/analyses", {"date": "2024-05-15"}).status == 202
    [event] = requested()
    invoke(event)
    assert call("POST", "/api/analyses", {"date": "2024-05-15"}).status == 202
    assert len(requested()) == 1


def test_over_http_a_run_that_died_is_said_and_another_may_be_asked_for(
    with_trades: Bucket, call: Call, requested: Callable[[], list[dict[str, Any]]]
) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    run = Run("running", "desk-7", long_ago)
    with_trades.put(RUN, TypeAdapter(Run).dump_json(run).decode())
    found = call("GET", "/api/analyses/2024-05-15").body
    assert (found["status"], found["reason"]) == ("failed", runs.DIED)
    assert call("POST", "/api/analyses", {"date": "2024-05-15"}).status == 202
    assert len(requested()) == 1


def test_over_http_a_queue_that_is_away_is_a_503_and_leaves_the_day_free(
    with_trades: Bucket, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    del with_trades

    def away(*_: object) -> None:
        raise BusUnavailableError("away")

    with monkeypatch.context() as patch:
        patch.setattr(bus, "send", away)
        assert call("POST", "/api/analyses", {"date": "2024-05-15"}).status == 503
    assert call("GET", "/api/analyses/2024-05-15").body["status"] == "failed"
    assert call("POST", "/api/analyses", {"date": "2024-05-15"}).status == 202


def test_over_http_a_newer_source_makes_a_revision_that_says_what_changed(
    with_trades: Bucket, call: Call, analyze: Callable[[], Any]
) -> None:
    analyze()
    before = with_trades.get(RESULT)
    with_trades.put(SOURCE, with_trades.get(SOURCE) + "TSLA,180.00,1,BUY,2024-05-15T10:00:00Z\n")
    assert call("GET", "/api/analyses/2024-05-15").body["status"] == "stale"
    found = analyze()
    assert (found["status"], found["revision"]) == ("current", 2)
    assert {"ticker": "TSLA", "figure": "close", "old": None, "new": "180.00"} in found["changes"]
    assert {change["ticker"] for change in found["changes"]} == {"TSLA"}
    assert analyze()["revision"] == 2  # the same trades once more
    assert before != with_trades.get(RESULT)


def test_over_http_the_days_that_have_an_analysis_are_listed_newest_first(bucket: Bucket, call: Call) -> None:
    for day in ("2024-05-15", "2024-05-16", "2023-12-31"):
        bucket.put(f"{day.replace('-', '/')}/trades.csv", (EVENTS / SOURCE).read_text())
        invoke({"date": day})
    first = call("GET", "/api/analyses", query="limit=2")
    assert first.body == ["2024-05-16", "2024-05-15"]
    assert first.headers["link"] == '</api/analyses?limit=2&cursor=2024-05-15>; rel="next"'
    assert call("GET", "/api/analyses", query="limit=2&cursor=2024-05-15").body == ["2023-12-31"]
    assert call("GET", "/api/analyses", query="cursor=x").names() == ["cursor"]


def test_over_http_an_analysis_comes_in_pages(with_trades: Bucket, call: Call, analyze: Callable[[], Any]) -> None:
    del with_trades
    analyze()
    first = call("GET", "/api/analyses/2024-05-15", query="limit=2")
    assert [row["ticker"] for row in first.body["rows"]] == ["AAPL", "GOOG"]
    assert first.headers["link"] == '</api/analyses/2024-05-15?limit=2&cursor=2>; rel="next"'
    second = call("GET", "/api/analyses/2024-05-15", query="limit=2&cursor=2")
    assert [row["ticker"] for row in second.body["rows"]] == ["MSFT"]
    assert "link" not in second.headers


def test_over_http_a_day_is_exported_while_nobody_waits(
    call: Call, requested: Callable[[], list[dict[str, Any]]], bucket: Bucket
) -> None:
    from functions.trade_exporter.app import handler  # noqa: PLC0415 - its environment is set by the fixtures

    for _ in range(2):
        assert call("POST", "/api/exports", {"date": "2024-05-15"}).status == 202
    [event] = requested()
    assert event["detail-type"] == "Export requested"
    assert handler(event, context())["records_exported"] == 0
    assert SOURCE in set(bucket.keys())
    assert call("POST", "/api/exports", {"date": "2999-01-01"}).names() == ["date"]


def test_a_trade_recorded_late_reaches_its_day_and_the_new_revision_says_what_changed(
    call: Call, requested: Callable[[], list[dict[str, Any]]], trade: dict[str, Any]
) -> None:
    from functions.trade_exporter.app import handler  # noqa: PLC0415 - its environment is set by the fixtures

    for price in ("310.50", "311.00"):
        assert call("POST", "/api/trades", {**trade, "price": price}).status == 201
        assert call("POST", "/api/exports", {"date": "2025-06-03"}).status == 202
        [event] = requested()
        handler(event, context())
        invoke({"date": "2025-06-03"})  # as the put of the export does
    found = call("GET", "/api/analyses/2025-06-03").body
    assert (found["status"], found["revision"]) == ("current", 2)
    changes = {change["figure"]: (change["old"], change["new"]) for change in found["changes"]}
    assert changes["close"] == ("310.50", "311.00")
    assert changes["trade_count"] == ("1", "2")


def test_over_http_the_stored_analysis_is_its_csv_for_who_accepts_that(
    with_trades: Bucket, call: Call, analyze: Callable[[], Any]
) -> None:
    analyze()
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
    invoke({"date": "2024-05-15"})
    answer = call("GET", "/api/analyses/2024-05-15", accept=accept)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")


def test_over_http_why_a_file_cannot_be_read_is_said(bucket: Bucket, analyze: Callable[[], Any]) -> None:
    bucket.put(SOURCE, "ticker,price\n")
    found = analyze()
    assert (found["status"], "no column quantity, side, timestamp" in found["reason"]) == ("failed", True)


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
def with_rejects(bucket: Bucket) -> Bucket:
    """A bucket with an analysis that left four rows out."""
    bucket.put(SOURCE, WITH_REJECTS)
    assert invoke({"date": "2024-05-15"})["statusCode"] == 200
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
    invoke({"date": "2024-05-15"})
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
