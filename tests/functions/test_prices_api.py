import string
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import Call, PriceServices
from trading.core import database, queues
from trading.prices import records, ticks
from trading.prices.ticks import Tick

PRICE = {"ticker": "AAPL", "price": 187.42, "timestamp": "2025-06-03T12:00:00Z"}
NOON = datetime(2025, 6, 3, 12, tzinfo=UTC)


def test_published_prices_are_on_the_queue_exactly_a_message_for_each_ticker(
    call: Call, price_services: PriceServices
) -> None:
    raw = b"""{"prices": [
        {"ticker": "AAPL", "price": 187.420, "timestamp": "2025-06-03T12:00:00Z"},
        {"ticker": "MSFT", "price": "410.000001", "timestamp": "2025-06-03T14:00:00+02:00"},
        {"ticker": "AAPL", "price": 187, "timestamp": "2025-06-03T12:00:02"}
    ]}"""
    answer = call("POST", "/api/prices/", raw=raw)
    assert (answer.status, answer.body) == (202, {"accepted": 3})
    apple, microsoft = price_services.published()
    assert apple["attributes"]["MessageGroupId"] == "AAPL"
    assert ticks.read_message(apple["body"]) == [
        Tick("AAPL", Decimal("187.420"), NOON),
        Tick("AAPL", Decimal(187), NOON + timedelta(seconds=2)),
    ]
    assert ticks.read_message(microsoft["body"]) == [Tick("MSFT", Decimal("410.000001"), NOON)]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"price": 0}, "prices[1].price"),
        ({"price": "-1"}, "prices[1].price"),
        ({"price": "1.0000001"}, "prices[1].price"),
        ({"ticker": "MOCKSTOCK_A"}, "prices[1].ticker"),
        ({"timestamp": "yesterday"}, "prices[1].timestamp"),
    ],
)
def test_a_price_that_cannot_be_refuses_all_and_is_named(
    call: Call, price_services: PriceServices, change: dict[str, Any], field: str
) -> None:
    assert call("POST", "/api/prices/", {"prices": [PRICE, PRICE | change]}).names() == [field]
    assert price_services.published() == []


def test_a_price_from_the_future_is_refused_for_all_true_ones_would_be_too_old_after_it(call: Call) -> None:
    soon, late = (datetime.now(UTC) + timedelta(seconds=seconds) for seconds in (4, 8))
    assert call("POST", "/api/prices/", {"prices": [PRICE | {"timestamp": soon.isoformat()}]}).status == 202
    refused = call("POST", "/api/prices/", {"prices": [PRICE | {"timestamp": late.isoformat()}]})
    assert refused.names() == ["prices[0].timestamp"]


def test_what_a_feed_sends_may_be_published_as_it_is(call: Call) -> None:
    assert call("POST", "/api/prices/", {"prices": [PRICE | {"seq": 1_795_405_652_316}]}).status == 202


def test_five_hundred_are_taken_and_one_more_or_none_are_not(call: Call) -> None:
    assert call("POST", "/api/prices/", {"prices": [PRICE] * 500}).status == 202
    assert call("POST", "/api/prices/", {"prices": [PRICE] * 501}).names() == ["prices"]
    assert call("POST", "/api/prices/", {"prices": []}).names() == ["prices"]


def test_a_queue_that_is_away_is_503_and_the_prices_may_be_sent_again(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRICES_QUEUE_URL", "http://127.0.0.1:9/123456789012/gone.fifo")
    answer = call("POST", "/api/prices/", {"prices": [PRICE]})
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert "send again" in answer.body["detail"]


def test_a_queue_that_is_slow_is_503_before_lambda_ends_the_request(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Sequence[str]] = []

    def send_slowly(_url: str, bodies: Sequence[str], *_: Any) -> list[int]:
        time.sleep(0.2)
        sent.append(bodies)
        return []

    monkeypatch.setattr(queues, "send", send_slowly)
    monkeypatch.setattr(ticks, "PUBLISH_SECONDS", 0.3)
    answer = call(
        "POST",
        "/api/prices",
        {
            "prices": [
                PRICE | {"ticker": f"{first}{second}"} for first in "ABCDE" for second in string.ascii_uppercase[:10]
            ]
        },
    )
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert "send again" in answer.body["detail"]
    assert [len(bodies) for bodies in sent] == [10, 10]


@pytest.fixture
def risen(call: Call) -> None:
    """AAPL rose in each of three five-minute spans, each time from 98 to 100.10."""
    del call  # it has the database
    for minutes in (0, 5, 10):
        start = NOON + timedelta(minutes=minutes)
        ticks = [
            Tick("AAPL", Decimal(price), start + timedelta(seconds=at)) for price, at in (("98.00", 0), ("100.10", 9))
        ]
        records.record({"AAPL": ticks})


RISE_RULE = {"ticker": "AAPL", "kind": "rise", "percent": "3", "window_seconds": 300}
BELOW_RULE = {"ticker": "AAPL", "kind": "below", "price": "180.50"}


def test_a_rule_is_created_found_changed_and_deleted(call: Call) -> None:
    created = call("POST", "/api/alert-rules", BELOW_RULE | {"once": True})
    assert created.status == 201
    path = created.headers["location"]
    rule = call("GET", path).body
    assert rule == created.body
    assert {name: rule[name] for name in ("ticker", "kind", "price", "percent", "once", "paused", "ended_at")} == {
        "ticker": "AAPL", "kind": "below", "price": "180.50", "percent": None, "once": True, "paused": False,
        "ended_at": None,
    }  # fmt: skip
    assert [each["id"] for each in call("GET", "/api/alert-rules/").body] == [1, rule["id"]]
    changed = call("PATCH", path, {"kind": "rise", "percent": 5, "window_seconds": 60, "paused": True}).body
    assert (changed["kind"], changed["percent"], changed["price"], changed["paused"]) == ("rise", "5", None, True)
    assert call("DELETE", path).body["id"] == rule["id"]
    assert [call(method, path, body).status for method, body in (("GET", None), ("PATCH", {"once": True}))] == [404] * 2
    assert call("DELETE", path).status == 404


def test_the_default_rule_is_there_from_the_start(call: Call) -> None:
    [rule] = call("GET", "/api/alert-rules").body
    assert {name: rule[name] for name in RISE_RULE} == RISE_RULE | {"ticker": "*", "percent": "2", "window_seconds": 60}


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"kind": "fall", "percent": "100"}, ["percent"]),
        ({"percent": "0"}, ["percent"]),
        ({"percent": None}, ["percent"]),
        ({"percent": "1.00001"}, ["percent"]),
        ({"window_seconds": 901}, ["window_seconds"]),
        ({"window_seconds": 0}, ["window_seconds"]),
        ({"price": "180"}, ["price"]),
        ({"kind": "above"}, ["percent", "window_seconds", "price"]),
        ({"kind": "up"}, ["kind"]),
        ({"ticker": "*", "once": True}, ["ticker"]),
        ({"ticker": "aapl"}, ["ticker"]),
        ({"once": "yes"}, ["once"]),
        ({"active_from": "2025-06-03T12:00:00Z"}, ["active_from"]),
    ],
)
def test_a_rule_that_does_not_go_together_names_its_fields(
    call: Call, change: dict[str, Any], fields: list[str]
) -> None:
    assert call("POST", "/api/alert-rules", RISE_RULE | change).names() == fields


def test_above_and_below_need_a_ticker(call: Call) -> None:
    answer = call("POST", "/api/alert-rules", BELOW_RULE | {"ticker": "*"})
    assert (answer.status, answer.body["errors"]) == (
        400,
        [{"field": "ticker", "message": "must name a ticker for below"}],
    )


def test_a_change_is_checked_with_what_it_leaves_as_it_is(call: Call) -> None:
    path = call("POST", "/api/alert-rules", RISE_RULE).headers["location"]
    assert call("PATCH", path, {"kind": "fall", "percent": "100"}).names() == ["percent"]
    assert call("PATCH", path, {"kind": "below"}).names() == ["price"]
    assert call("PATCH", path, {"ticker": "*", "once": True}).names() == ["ticker"]
    assert call("PATCH", path, {}).names() == ["body"]


def test_only_a_change_of_what_it_watches_and_a_resumption_begin_a_rule_anew(call: Call) -> None:
    path = call("POST", "/api/alert-rules", RISE_RULE).headers["location"]
    steps: list[tuple[dict[str, Any], bool]] = [
        ({"once": True}, False),
        ({"percent": "3.0"}, False),
        ({"paused": True}, False),
        ({"paused": False}, True),
        ({"paused": False}, False),
        ({"window_seconds": 60}, True),
        ({"ticker": "MSFT"}, True),
    ]
    for change, begins in steps:
        before = call("GET", path).body["active_from"]
        assert (call("PATCH", path, change).body["active_from"] != before) is begins, change


def test_a_ticker_has_fifty_rules_at_most_and_the_system_two_hundred(call: Call) -> None:
    insert = (
        "insert into alert_rules (ticker, kind, price, created_by)"
        " select %(ticker)s, 'above', n, 'local' from generate_series(1, %(count)s) as n returning id"
    )
    database.query(insert, {"ticker": "AAPL", "count": 50}, repeatable=True)
    refused = call("POST", "/api/alert-rules", RISE_RULE)
    assert (refused.status, refused.names()) == (409, ["ticker"])
    other = call("POST", "/api/alert-rules", RISE_RULE | {"ticker": "MSFT"})
    assert other.status == 201
    assert call("PATCH", other.headers["location"], {"ticker": "AAPL"}).status == 409
    for ticker in ("A", "B", "C"):
        database.query(insert, {"ticker": ticker, "count": 49 + (ticker == "C")}, repeatable=True)
    assert call("POST", "/api/alert-rules", RISE_RULE | {"ticker": "MSFT"}).status == 409
    assert call("PATCH", other.headers["location"], {"ticker": "NVDA"}).status == 200
    assert call("DELETE", other.headers["location"]).status == 200
    assert call("POST", "/api/alert-rules", RISE_RULE | {"ticker": "MSFT"}).status == 201


@pytest.mark.usefixtures("risen")
def test_averages_are_found_newest_first_in_pages(call: Call) -> None:
    first = call("GET", "/api/prices/aapl/averages", query={"limit": "2"})
    assert [each["bucket_start"] for each in first.body] == ["2025-06-03T12:10:00Z", "2025-06-03T12:05:00Z"]
    assert first.body[0] == {
        "ticker": "AAPL",
        "bucket_start": "2025-06-03T12:10:00Z",
        "mean": "99.050000",
        "open": "98.00",
        "high": "100.10",
        "low": "98.00",
        "close": "100.10",
        "count": 2,
    }
    path, _, query = first.headers["link"].partition(">")[0].lstrip("<").partition("?")
    second = call("GET", path, query=query)
    assert [each["bucket_start"] for each in second.body] == ["2025-06-03T12:00:00Z"]
    assert "link" not in second.headers
    between = {"start_date": "2025-06-03T12:05:00Z", "end_date": "2025-06-03T12:05:00Z"}
    assert len(call("GET", "/api/prices/AAPL/averages/", query=between).body) == 1


@pytest.mark.usefixtures("risen")
def test_alerts_are_found_newest_first_by_ticker_and_dates(call: Call) -> None:
    alerts = call("GET", "/api/alerts/", query={"ticker": "aapl"}).body
    assert [alert["timestamp"] for alert in alerts] == [f"2025-06-03T12:{minute}:09Z" for minute in ("10", "05", "00")]
    assert {name: alerts[0][name] for name in ("ticker", "price", "low_price", "low_timestamp", "rise_percent")} == {
        "ticker": "AAPL",
        "price": "100.10",
        "low_price": "98.00",
        "low_timestamp": "2025-06-03T12:10:00Z",
        "rise_percent": "2.14",
    }
    assert call("GET", "/api/alerts/", query={"ticker": "MSFT"}).body == []
    assert call("GET", "/api/alerts/", query={"end_date": "2025-06-02"}).body == []
    first = call("GET", "/api/alerts/", query={"limit": "2"})
    path, _, query = first.headers["link"].partition(">")[0].lstrip("<").partition("?")
    assert call("GET", path, query=query).body == alerts[2:]


def test_a_search_that_cannot_be_names_its_parameter(call: Call) -> None:
    assert call("GET", "/api/alerts/", query={"tikcer": "AAPL"}).names() == ["tikcer"]
    assert call("GET", "/api/prices/AAPL/averages/", query={"ticker": "AAPL"}).names() == ["ticker"]
    assert call("GET", "/api/prices/apple_inc/averages/").names() == ["ticker"]
    assert call("GET", "/api/alerts/", query={"cursor": "x"}).names() == ["cursor"]


def test_a_ticket_says_where_and_until_when_it_opens_the_socket(call: Call) -> None:
    answer = call("POST", "/api/prices/ticket/")
    assert answer.status == 201
    assert answer.body["url"] == f"ws://127.0.0.1:9?ticket={answer.body['ticket']}"
    expires_at = datetime.fromisoformat(answer.body["expires_at"]).timestamp()
    assert 50 < expires_at - time.time() <= 60
