import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg2
import pytest

from local.host.template import ROOT
from local.host.triggers import sqs_event
from tests.conftest import Call, Channels, PriceServices, Rows, context
from trading.core import database, queues
from trading.prices import records
from trading.prices.records import PriceFilter
from trading.prices.ticks import Tick

NOON = datetime(2025, 6, 3, 12, tzinfo=UTC)
EVENTS = ROOT / "events" / "price_processor"


def price(ticker: str, amount: str, seconds: float) -> dict[str, Any]:
    return {"ticker": ticker, "price": amount, "timestamp": (NOON + timedelta(seconds=seconds)).isoformat()}


RISE = [price("AAPL", "100", 0), price("AAPL", "98.00", 10), price("AAPL", "100.10", 20)]


def processor() -> Any:
    from functions.price_processor import app  # noqa: PLC0415 - its environment is set by the fixtures

    return app


def process(messages: list[dict[str, Any]]) -> list[str]:
    failures = processor().handler({"Records": messages}, context())["batchItemFailures"]
    return [failure["itemIdentifier"] for failure in failures]


@pytest.fixture
def publish(call: Call, price_services: PriceServices) -> Any:
    """A function that publishes prices and returns the messages that carry them."""

    def send(*published: dict[str, Any]) -> list[dict[str, Any]]:
        assert call("POST", "/api/prices/", {"prices": published}).status == 202
        return price_services.published()

    return send


def averaged(ticker: str) -> int:
    return sum(average.count for average in records.find_averages(PriceFilter(ticker))[0])


def test_prices_are_averaged_and_judged_and_told_to_subscribers_and_sockets(
    publish: Any, price_services: PriceServices, channels: Channels
) -> None:
    assert process(publish(*RISE, price("MSFT", "410.5", 1))) == []
    assert (averaged("AAPL"), averaged("MSFT")) == (3, 1)
    [alert], _ = records.find_alerts(PriceFilter())
    [announced] = channels.announced()
    assert (announced["type"], announced["data"]["id"]) == ("price.alerted.v1", alert.id)
    [broadcast] = price_services.broadcast()
    assert [(each["ticker"], each["price"]) for each in broadcast["prices"]] == [("AAPL", "100.10"), ("MSFT", "410.5")]
    assert [each["id"] for each in broadcast["alerts"]] == [alert.id]


def test_a_rule_of_each_kind_that_was_created_over_http_alerts_and_the_alerts_are_found_there(
    call: Call, publish: Any, channels: Channels
) -> None:
    rules: list[dict[str, Any]] = [
        {"kind": "fall", "percent": "1.5", "window_seconds": 300},
        {"kind": "above", "price": "99"},
        {"kind": "below", "price": "99"},
        {"kind": "above", "price": "99", "once": True},
    ]
    created = [call("POST", "/api/alert-rules", {"ticker": "AAPL", **rule}).body for rule in rules]
    start = datetime.fromisoformat(created[-1]["active_from"])
    prices = [
        {"ticker": "AAPL", "price": price, "timestamp": (start + timedelta(seconds=second)).isoformat()}
        for second, price in enumerate(["100", "98.00", "100.10"])
    ]
    assert process(publish(*prices)) == []
    found = call("GET", "/api/alerts", query={"ticker": "AAPL"}).body
    assert {(each["rule"]["id"], each["price"], each["rise_percent"], each["fall_percent"]) for each in found} == {
        (1, "100.10", "2.14", None),
        (created[0]["id"], "98.00", None, "2.00"),
        (created[1]["id"], "100", None, None),
        (created[1]["id"], "100.10", None, None),
        (created[2]["id"], "98.00", None, None),
        (created[3]["id"], "100", None, None),
    }
    announced = [event["data"]["id"] for event in channels.announced()]
    assert sorted(announced) == sorted(each["id"] for each in found)
    assert call("GET", f"/api/alert-rules/{created[3]['id']}").body["ended_at"]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the functions of this test log."""
    stream = io.StringIO()
    monkeypatch.setattr(processor().logger.registered_handler, "stream", stream)
    return stream


def test_the_id_of_the_request_that_published_a_price_goes_with_its_alert(
    call: Call, price_services: PriceServices, channels: Channels, log: io.StringIO
) -> None:
    assert call("POST", "/api/prices", {"prices": RISE}).status == 202
    request = json.loads(log.getvalue())
    [message] = price_services.sqs.receive_message(
        QueueUrl=price_services.prices_url, MessageAttributeNames=["All"], AttributeNames=["All"]
    )["Messages"]
    event = sqs_event([message], "arn:aws:sqs:eu-west-1:123456789012:prices")
    assert process(event["Records"]) == []
    for queue_url in (channels.queue_url, price_services.broadcast_url):
        [sent] = channels.sqs.receive_message(QueueUrl=queue_url, MessageAttributeNames=["All"])["Messages"]
        assert sent["MessageAttributes"]["correlation_id"]["StringValue"] == request["correlation_id"]


def test_a_clock_that_went_back_begins_a_window_anew_and_says_so(
    publish: Any, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    records.record({"AAPL": [Tick("AAPL", Decimal(100), datetime.now(UTC) + timedelta(minutes=10))]})
    published = publish(*RISE)
    capsys.readouterr()
    assert process(published) == []
    assert ["AAPL"] in [json.loads(line).get("tickers") for line in log.getvalue().splitlines()]
    [metrics] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert metrics["PriceWindowsRestarted"] == [1]
    assert len(records.find_alerts(PriceFilter())[0]) == 1


def test_a_message_that_comes_twice_changes_nothing_and_is_told_to_nobody(
    publish: Any, price_services: PriceServices, channels: Channels
) -> None:
    messages = publish(*RISE)
    process(messages)
    channels.announced(), price_services.broadcast()
    assert process(messages) == []
    assert averaged("AAPL") == 3
    assert (channels.announced(), price_services.broadcast()) == ([], [])


def test_what_cannot_be_read_fails_with_all_after_it_of_its_ticker_and_no_other(publish: Any) -> None:
    apple = [message for seconds in range(3) for message in publish(price("AAPL", "100", seconds))]
    microsoft = publish(price("MSFT", "410", 0))
    apple[1]["body"] = "poison"
    assert process([*apple, *microsoft]) == [apple[1]["messageId"], apple[2]["messageId"]]
    assert (averaged("AAPL"), averaged("MSFT")) == (1, 1)


def test_a_message_with_prices_of_another_ticker_than_its_groups_fails(publish: Any) -> None:
    [message] = publish(price("AAPL", "100", 0))
    message["attributes"]["MessageGroupId"] = "MSFT"
    assert process([message]) == [message["messageId"]]
    assert averaged("AAPL") == 0


def test_a_ticker_that_the_database_refuses_fails_whole_and_no_other(publish: Any, rows: Rows) -> None:
    rows("alter table price_averages add check (ticker <> 'AAPL'); select 1")
    messages = publish(price("AAPL", "100", 0), price("MSFT", "410", 0))
    assert process(messages) == [messages[0]["messageId"]]
    assert (averaged("AAPL"), averaged("MSFT")) == (0, 1)


def test_a_database_that_is_away_fails_everything_and_nothing_is_lost(
    publish: Any, price_services: PriceServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = publish(*RISE)
    with monkeypatch.context() as patch:
        patch.setattr(psycopg2, "connect", _refuse)
        patch.setattr(processor(), "WAITS", (0.0,))
        database.release()
        assert process(messages) == [messages[0]["messageId"]]
    assert price_services.broadcast() == []
    assert process(messages) == []
    assert averaged("AAPL") == 3


def _refuse(**_: object) -> None:
    raise psycopg2.OperationalError("connection refused")


def test_a_database_that_is_back_in_a_moment_costs_a_moment(publish: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    record, attempts = records.record, []

    def recovering(batch: dict[str, list[Any]]) -> Any:
        attempts.append(sorted(batch))
        if len(attempts) < 3:
            raise database.DatabaseUnavailableError("the database system is starting up")
        return record(batch)

    messages = publish(price("AAPL", "100", 0), price("MSFT", "410", 0))
    monkeypatch.setattr(records, "record", recovering)
    monkeypatch.setattr(processor(), "WAITS", (0.0, 0.0, 0.0))
    assert process(messages) == []
    assert attempts == [["AAPL", "MSFT"]] * 3


def test_queues_that_are_away_cost_no_price(publish: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> list[int]:
        raise queues.QueueUnavailableError("away")

    messages = publish(*RISE)
    monkeypatch.setattr(queues, "send", away)
    assert process(messages) == []
    assert averaged("AAPL") == 3


@pytest.mark.usefixtures("rows", "channels", "price_services")
def test_the_sample_events_alert_once_and_give_back_the_poisoned_one() -> None:
    published = json.loads((EVENTS / "published.json").read_text())["Records"]
    assert process(published) == []
    assert len(records.find_alerts(PriceFilter())[0]) == 1
    poisoned = json.loads((EVENTS / "published_one_poisoned.json").read_text())["Records"]
    assert process(poisoned) == [poisoned[1]["messageId"]]
