import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from local.host.gateway import http_event
from tests.conftest import Call, Channels, Rows, api_answer, context
from trading.core import aws, database
from trading.trades import ledger

PATH = "/api/trades"


# Recording


def test_the_trade_of_the_readme_is_recorded_answered_and_announced(
    call: Call, trade: dict[str, Any], channels: Channels
) -> None:
    answer = call("POST", PATH, trade)
    assert answer.status == 201
    assert {name: answer.body[name] for name in trade} == trade
    assert list(answer.body) == [
        "id", "ticker", "price", "quantity", "side", "timestamp", "client_trade_id", "recorded_by", "recorded_at",
        "account", "fee", "currency", "note", "tags",
    ]  # fmt: skip
    assert answer.body["client_trade_id"] is None
    assert answer.body["recorded_by"] == "local"
    assert [answer.body[name] for name in ("account", "fee", "currency", "note", "tags")] == [
        "main", "0", "USD", None, []
    ]  # fmt: skip
    assert answer.headers["location"] == f"/api/trades/{answer.body['id']}"
    [event] = channels.announced()
    assert event["data"] == answer.body


@pytest.mark.parametrize(
    ("sent", "answered"),
    [(310.50, "310.5"), ("310.50", "310.50"), (310, "310"), ("0", "0"), ("999999999999.999999",) * 2],
)
def test_a_price_may_be_a_number_or_a_string_and_is_answered_as_a_string(
    call: Call, trade: dict[str, Any], sent: object, answered: str
) -> None:
    assert call("POST", PATH, {**trade, "price": sent}).body["price"] == answered


def test_a_json_number_keeps_its_digits(call: Call, trade: dict[str, Any]) -> None:
    raw = json.dumps({**trade, "price": "PRICE"}).replace('"PRICE"', "310.500").encode()
    assert call("POST", PATH, raw=raw).body["price"] == "310.500"


@pytest.mark.parametrize(
    ("sent", "answered"),
    [(50, 50), (0.5, 0.5), ("50", 50), (999999999.999999, 999999999.999999), ("1.63453043", 1.63453043),
     ("0.0000000001", 1e-10)],
)  # fmt: skip
def test_a_quantity_is_answered_as_a_number(call: Call, trade: dict[str, Any], sent: object, answered: float) -> None:
    quantity = call("POST", PATH, {**trade, "quantity": sent}).body["quantity"]
    assert quantity == answered
    assert type(quantity) is type(answered)


def test_the_further_fields_of_a_trade_are_stored_as_they_were_sent(call: Call, trade: dict[str, Any]) -> None:
    further = {"account": "Desk 7", "fee": "1.50", "currency": "EUR", "note": "by\nphone", "tags": ["q2", "earnings"]}
    answer = call("POST", PATH, {**trade, **further, "ticker": "SPYL.DE"})
    assert answer.status == 201
    assert {name: answer.body[name] for name in further} == further
    assert call("GET", PATH).body == [answer.body]


def test_the_same_client_trade_id_again_answers_200_and_announces_nothing(
    call: Call, trade: dict[str, Any], channels: Channels
) -> None:
    first = call("POST", PATH, {**trade, "client_trade_id": "order-1"})
    again = call("POST", PATH, {**trade, "client_trade_id": "order-1", "price": 310.5})
    assert (first.status, again.status) == (201, 200)
    assert again.body == first.body
    assert len(channels.announced()) == 1


def test_the_same_client_trade_id_for_another_trade_answers_409(call: Call, trade: dict[str, Any]) -> None:
    call("POST", PATH, {**trade, "client_trade_id": "order-1"})
    answer = call("POST", PATH, {**trade, "client_trade_id": "order-1", "side": "SELL"})
    assert answer.status == 409
    assert answer.names() == ["client_trade_id"]


def test_a_clash_in_a_batch_is_named_by_its_row_even_if_it_is_the_only_one(call: Call, trade: dict[str, Any]) -> None:
    call("POST", PATH, {**trade, "client_trade_id": "order-1"})
    answer = call("POST", f"{PATH}/batch", {"trades": [{**trade, "client_trade_id": "order-1", "side": "SELL"}]})
    assert answer.status == 409
    assert answer.names() == ["trades[0].client_trade_id"]


def test_who_signed_in_is_recorded_with_the_trade(database_url: str, channels: Channels, trade: dict[str, Any]) -> None:
    del database_url, channels
    from functions.trades_api.app import handler  # noqa: PLC0415 - its environment is set by the fixtures

    event = http_event("POST", PATH, headers=[("content-type", "application/json")], body=json.dumps(trade).encode())
    event["requestContext"]["authorizer"] = {
        "jwt": {"claims": {"sub": "desk-7", "scope": "trades:write"}, "scopes": None}
    }
    assert json.loads(handler(event, context())["body"])["recorded_by"] == "desk-7"


def test_a_batch_is_recorded_and_answered_as_an_array(call: Call, trade: dict[str, Any], channels: Channels) -> None:
    answer = call("POST", f"{PATH}/batch", {"trades": [{**trade, "ticker": ticker} for ticker in "ABC"]})
    assert answer.status == 201
    assert [each["ticker"] for each in answer.body] == ["A", "B", "C"]
    assert len(channels.announced()) == 3


def test_a_batch_of_a_thousand_is_taken_and_one_more_is_not(call: Call, trade: dict[str, Any], rows: Rows) -> None:
    assert call("POST", f"{PATH}/batch", {"trades": [trade] * 1_001}).names() == ["trades"]
    assert call("POST", f"{PATH}/batch", {"trades": []}).names() == ["trades"]
    assert rows("select count(*) from trades") == [(0,)]
    assert len(call("POST", f"{PATH}/batch", {"trades": [trade] * 1_000}).body) == 1_000


def test_every_bad_row_of_a_batch_is_named_and_none_is_recorded(call: Call, trade: dict[str, Any], rows: Rows) -> None:
    batch = [trade, {**trade, "price": "-1"}, trade, {**trade, "side": "HOLD", "quantity": None}]
    answer = call("POST", f"{PATH}/batch", {"trades": batch})
    assert answer.status == 400
    assert sorted(answer.names()) == ["trades[1].price", "trades[3].quantity", "trades[3].side"]
    assert rows("select count(*) from trades") == [(0,)]


def test_a_queue_that_is_away_is_no_concern_of_the_client(
    call: Call, trade: dict[str, Any], monkeypatch: pytest.MonkeyPatch, rows: Rows
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    aws.sqs.cache_clear()
    assert call("POST", PATH, trade).status == 201
    assert rows("select delivered_at from notifications") == [(None,)]


# Finding


def test_a_trade_is_found_with_the_values_and_types_that_were_sent(call: Call, trade: dict[str, Any]) -> None:
    call("POST", PATH, trade)
    call("POST", PATH, {**trade, "ticker": "AAPL"})
    query = {"ticker": "msft", "start_date": "2025-06-01T00:00:00Z", "end_date": "2025-06-03T23:59:59Z"}
    answer = call("GET", PATH, query=query)
    assert answer.status == 200
    [found] = answer.body
    assert {name: found[name] for name in trade} == trade


@pytest.mark.parametrize(
    ("start", "end", "count"),
    [
        ("2025-06-03", "2025-06-03", 1),
        ("2025-06-03T12:00:00Z", "2025-06-03T12:00:00Z", 1),
        ("2025-06-03T14:00:00%2B02:00", "2025-06-03", 1),
        ("2025-06-03T12:00:01Z", "2025-06-04", 0),
        ("2025-06-01", "2025-06-02", 0),
    ],
)
def test_dates_are_inclusive_and_a_date_alone_is_its_whole_day(
    call: Call, trade: dict[str, Any], start: str, end: str, count: int
) -> None:
    call("POST", PATH, trade)
    assert len(call("GET", PATH, query=f"start_date={start}&end_date={end}").body) == count


def test_pages_are_linked_until_the_last(call: Call, trade: dict[str, Any]) -> None:
    call("POST", f"{PATH}/batch", {"trades": [trade] * 7})
    answer = call("GET", PATH, query={"ticker": "MSFT", "limit": "3"})
    pages = [answer.body]
    while link := answer.headers.get("link"):
        target, _, relation = link.partition(">; ")
        assert relation == 'rel="next"'
        answer = call("GET", PATH, query=urlsplit(target.lstrip("<")).query)
        pages.append(answer.body)
    assert [len(page) for page in pages] == [3, 3, 1]
    identifiers = [each["id"] for page in pages for each in page]
    assert identifiers == sorted(identifiers, reverse=True)


def test_trades_are_found_by_account_tag_and_status(call: Call, trade: dict[str, Any]) -> None:
    kept = call("POST", PATH, {**trade, "account": "Desk 7", "tags": ["q2"]}).body
    voided = call("POST", PATH, {**trade, "account": "Desk 7", "tags": ["q2"]}).body
    call("POST", PATH, trade)
    call("POST", f"{PATH}/{voided['id']}/void", {"reason": "Entered twice"})
    assert call("GET", PATH, query="account=Desk+7").body == [kept]
    assert call("GET", PATH, query="tag=q2").body == [kept]
    assert call("GET", PATH, query="status=voided").body == [{**voided, "status": "voided"}]
    assert call("GET", PATH, query="tag=q2&status=all").body == [
        {**voided, "status": "voided"},
        {**kept, "status": "active"},
    ]


def test_the_ledger_is_shown_as_it_stood(call: Call, trade: dict[str, Any], rows: Rows) -> None:
    recorded = call("POST", PATH, trade).body
    call("POST", f"{PATH}/{recorded['id']}/void", {"reason": "Entered twice"})
    rows("update trades set recorded_at = '2025-06-03T12:00:01Z' returning id")
    assert call("GET", PATH).body == []
    assert [each["id"] for each in call("GET", PATH, query="as_of=2025-06-03T12:00:01Z").body] == [recorded["id"]]
    assert call("GET", PATH, query="as_of=2025-06-03T12:00:00Z").body == []
    recently = (datetime.now(UTC) - timedelta(seconds=50)).isoformat().replace("+00:00", "Z")
    assert call("GET", PATH, query={"as_of": recently}).names() == ["as_of"]


def test_one_trade_is_shown_with_its_notification(call: Call, trade: dict[str, Any]) -> None:
    location = call("POST", PATH, trade).headers["location"]
    answer = call("GET", location)
    assert answer.status == 200
    assert list(answer.body)[:10] == [
        "id", "ticker", "price", "quantity", "side", "timestamp", "client_trade_id", "recorded_by", "recorded_at",
        "account",
    ]  # fmt: skip
    of_one = ("notified_at", "status", "voided_at", "voided_by", "void_reason", "replaces", "replaced_by")
    assert [answer.body[name] for name in of_one] == [None, "active", None, None, None, None, None]


def test_a_trade_that_is_not_there_answers_404(call: Call) -> None:
    answer = call("GET", f"{PATH}/77")
    assert (answer.status, answer.body["title"]) == (404, "Not Found")


@pytest.mark.parametrize("path", ["/api/trades", "/api/trades/", "/api/health"])
def test_paths_work_with_and_without_their_slash(call: Call, path: str) -> None:
    assert call("GET", path).status == 200


def test_health_says_whether_the_database_answers(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("GET", "/api/health").body == {"status": "ok"}
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@127.0.0.1:9/d")
    database.release()
    assert call("GET", "/api/health").status == 503


# Taking back


def test_a_voided_trade_is_answered_announced_once_and_found_no_more(
    call: Call, trade: dict[str, Any], channels: Channels
) -> None:
    location = call("POST", PATH, trade).headers["location"]
    channels.announced()
    answer = call("POST", f"{location}/void", {"reason": "Entered twice"})
    assert (answer.status, answer.body["status"], answer.body["void_reason"]) == (200, "voided", "Entered twice")
    assert answer.body["voided_by"] == "local"
    assert call("POST", f"{location}/void", {"reason": "Again"}).body == answer.body
    assert call("GET", location).body == answer.body
    assert call("GET", PATH).body == []
    [event] = channels.announced()
    assert (event["type"], event["time"]) == ("trade.voided.v1", answer.body["voided_at"])
    told = {name: answer.body[name] for name in event["data"]}
    assert event["data"] == told
    assert list(told)[-3:] == ["voided_at", "voided_by", "void_reason"]


def test_a_corrected_trade_is_replaced_and_that_is_announced_once(
    call: Call, trade: dict[str, Any], channels: Channels
) -> None:
    old = call("POST", PATH, {**trade, "note": "by phone"}).body
    channels.announced()
    answer = call("POST", f"{PATH}/{old['id']}/correct", {"price": "311.50", "reason": "Wrong price"})
    assert (answer.status, answer.headers["location"]) == (201, f"{PATH}/{answer.body['id']}")
    assert answer.body == {
        **call("GET", f"{PATH}/{old['id']}").body,
        **{name: answer.body[name] for name in ("id", "recorded_at")},
        "price": "311.50", "status": "active", "voided_at": None, "voided_by": None, "void_reason": None,
        "replaces": old["id"], "replaced_by": None,
    }  # fmt: skip
    again = call("POST", f"{PATH}/{old['id']}/correct", {"price": 311.5, "reason": "Wrong price"})
    assert (again.status, again.body, again.headers["location"]) == (200, answer.body, answer.headers["location"])
    assert call("GET", f"{PATH}/{old['id']}").body["replaced_by"] == answer.body["id"]
    [event] = channels.announced()
    assert event["type"] == "trade.corrected.v1"
    assert event["data"]["voided"] == {
        **old, "voided_at": event["time"], "voided_by": "local", "void_reason": "Wrong price"
    }  # fmt: skip
    assert event["data"]["recorded"] == {name: answer.body[name] for name in old}


def test_a_trade_that_was_taken_back_otherwise_answers_409(call: Call, trade: dict[str, Any]) -> None:
    location = call("POST", PATH, trade).headers["location"]
    call("POST", f"{location}/void", {"reason": "Entered twice"})
    answer = call("POST", f"{location}/correct", {"price": 1, "reason": "Wrong price"})
    assert (answer.status, answer.body["detail"]) == (409, "Trade 1 is voided.")


def test_a_note_and_tags_are_changed_in_place(call: Call, trade: dict[str, Any], channels: Channels) -> None:
    location = call("POST", PATH, {**trade, "note": "by phone"}).headers["location"]
    channels.announced()
    answer = call("PATCH", location, {"tags": ["q2", "earnings"]})
    assert (answer.status, answer.body["note"], answer.body["tags"]) == (200, "by phone", ["q2", "earnings"])
    assert call("GET", location).body == answer.body
    assert channels.announced() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PATCH", "1", {}, "body"), ("PATCH", "1", {"price": 1}, "price"), ("PATCH", "1", {"note": "\ud800"}, "note"),
        ("PATCH", "1", {"tags": None}, "tags"), ("POST", "1/void", {}, "reason"),
        ("POST", "1/correct", {"price": 1}, "reason"), ("POST", "1/correct", {"reason": "x"}, "body"),
        ("POST", "1/correct", {"reason": "x", "price": None}, "price"), ("POST", "0/void", {"reason": "x"}, "trade_id"),
    ],
)  # fmt: skip
def test_a_bad_change_names_its_field_and_changes_nothing(  # noqa: PLR0913, PLR0917 - its parameters
    call: Call, trade: dict[str, Any], rows: Rows, method: str, path: str, body: object, field: str
) -> None:
    call("POST", PATH, trade)
    answer = call(method, f"{PATH}/{path}", body)
    assert answer.status == 400
    assert answer.names() == [field]
    assert rows("select note, tags, (select count(*) from trade_changes) from trades") == [(None, [], 0)]


def test_a_change_of_what_is_not_there_answers_404(call: Call) -> None:
    for method, path, body in (
        ("PATCH", "trades/77", {"note": "?"}),
        ("POST", "trades/77/void", {"reason": "x"}),
        ("POST", "trades/77/correct", {"reason": "x", "price": "1"}),
        ("POST", "splits/77/void", {"reason": "x"}),
    ):
        assert call(method, f"/api/{path}", body).status == 404


# Splits


def test_a_split_is_recorded_found_and_voided(call: Call) -> None:
    sent = {"ticker": "NVDA", "effective_at": "2024-06-10T13:30:00Z", "ratio": "10:1"}
    answer = call("POST", "/api/splits", sent)
    assert answer.status == 201
    assert {name: answer.body[name] for name in sent} == sent
    again = call("POST", "/api/splits/", sent)
    assert (again.status, again.body) == (200, answer.body)
    assert call("POST", "/api/splits", {**sent, "ratio": "4:1"}).status == 409
    assert call("GET", "/api/splits", query="ticker=nvda").body == [answer.body]
    voided = call("POST", f"/api/splits/{answer.body['id']}/void", {"reason": "Wrong ticker"})
    assert (voided.status, voided.body["status"]) == (200, "voided")
    assert call("GET", "/api/splits").body == []
    assert call("GET", "/api/splits", query="status=all").body == [voided.body]


def test_a_bad_split_names_its_fields(call: Call) -> None:
    answer = call("POST", "/api/splits", {"ticker": None, "effective_at": "soon", "ratio": "1:1"})
    assert sorted(answer.names()) == ["effective_at", "ratio", "ticker"]


# Wrong input


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ticker": "msft"}, "ticker"), ({"ticker": ""}, "ticker"), ({"ticker": "TOOLONG"}, "ticker"),
        ({"ticker": "MSFT\n"}, "ticker"), ({"ticker": "MS\u0000"}, "ticker"), ({"ticker": 5}, "ticker"),
        ({"ticker": "'; drop table trades; --"}, "ticker"),
        ({"price": "-0.01"}, "price"), ({"price": "NaN"}, "price"), ({"price": float("nan")}, "price"),
        ({"price": float("inf")}, "price"), ({"price": "1e400"}, "price"), ({"price": "0.0000001"}, "price"),
        ({"price": "1000000000000"}, "price"), ({"price": "1' or '1'='1"}, "price"), ({"price": None}, "price"),
        ({"price": True}, "price"), ({"price": [1]}, "price"), ({"price": {}}, "price"), ({"price": 10**400}, "price"),
        ({"quantity": -1}, "quantity"), ({"quantity": 10**9}, "quantity"), ({"quantity": "0.00000000001"}, "quantity"),
        ({"quantity": float("nan")}, "quantity"), ({"quantity": "fifty"}, "quantity"),
        ({"side": "buy"}, "side"), ({"side": "HOLD"}, "side"), ({"side": 1}, "side"),
        ({"timestamp": "2025-02-30T00:00:00Z"}, "timestamp"), ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": 1748952000}, "timestamp"), ({"timestamp": "2025-06-03"}, "timestamp"),
        ({"timestamp": "0001-01-01T00:00:00+23:59"}, "timestamp"), ({"timestamp": None}, "timestamp"),
        ({"client_trade_id": ""}, "client_trade_id"), ({"client_trade_id": "x" * 101}, "client_trade_id"),
        ({"client_trade_id": "a\u0000b"}, "client_trade_id"), ({"client_trade_id": "\ud800"}, "client_trade_id"),
        ({"client_trade_id": 7}, "client_trade_id"),
        ({"venue": 1}, "venue"), ({"id": 1}, "id"),
        ({"fee": 1, "quantity": 0}, "fee"), ({"account": ""}, "account"), ({"note": "\u0000"}, "note"),
        ({"tags": ["Q2"]}, "tags[0]"), ({"tags": ["q2", "q2"]}, "tags"),
    ],
)  # fmt: skip
def test_a_bad_field_is_named_and_nothing_is_recorded(
    call: Call, trade: dict[str, Any], rows: Rows, change: dict[str, Any], field: str
) -> None:
    answer = call("POST", PATH, {**trade, **change})
    assert answer.status == 400
    assert answer.names() == [field]
    assert rows("select count(*) from trades") == [(0,)]


@pytest.mark.parametrize(
    "number", ["1e99999999999999999999", "-1e99999999999999999999", "1e-99999999999999999999", "1e400"]
)
@pytest.mark.parametrize("field", ["price", "quantity"])
def test_a_json_number_with_an_endless_exponent_is_refused(
    call: Call, trade: dict[str, Any], field: str, number: str
) -> None:
    raw = json.dumps({**trade, field: "NUMBER"}).replace('"NUMBER"', number)
    assert call("POST", PATH, raw=raw.encode()).names() == [field]
    assert call("POST", f"{PATH}/batch", raw=f'{{"trades":[{raw}]}}'.encode()).names() == [f"trades[0].{field}"]


@pytest.mark.parametrize("field", ["ticker", "price", "quantity", "side", "timestamp"])
def test_a_missing_field_is_named(call: Call, trade: dict[str, Any], field: str) -> None:
    del trade[field]
    assert call("POST", PATH, trade).names() == [field]


def test_every_bad_field_is_named_at_once(call: Call) -> None:
    assert sorted(call("POST", PATH, {}).names()) == ["price", "quantity", "side", "ticker", "timestamp"]


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"not json", b"[]", b"null", b"7", b'"text"', b"[[[[" * 50_000, b'{"price": 1,}', b'{"ticker": "\xff"}',
     b"\x00", b'[{"ticker":"MSFT","price":"1","quantity":1,"side":"BUY","timestamp":"2025-06-03T12:00:00Z"}]'],
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_refused(call: Call, rows: Rows, raw: bytes) -> None:
    answer = call("POST", PATH, raw=raw)
    assert answer.status == 400
    assert answer.names() == ["body"]
    assert rows("select count(*) from trades") == [(0,)]


def test_a_body_in_base64_is_read(call: Call, trade: dict[str, Any]) -> None:
    # API Gateway hands a body over in base64 where its type does not say that it is text.
    assert call("POST", PATH, trade, content_type="application/JSON").status == 201


def test_a_body_that_is_not_base64_though_it_says_so_is_refused(database_url: str, channels: Channels) -> None:
    del database_url, channels
    from functions.trades_api.app import handler  # noqa: PLC0415 - its environment is set by the fixtures

    for body in ("%%%", base64.b64encode(b"\xff").decode()):
        event = http_event("POST", PATH, headers=[("content-type", "application/json")])
        event |= {"body": body, "isBase64Encoded": True}
        assert handler(event, context())["statusCode"] == 400


def test_a_body_of_another_type_is_refused(call: Call) -> None:
    for content_type in ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert call("POST", PATH, raw=b"a=1", content_type=content_type).status == 415
    assert call("POST", PATH, raw=b"{}", content_type="Application/JSON; charset=utf-8").status == 400


def test_a_body_of_ten_megabytes_is_refused(call: Call) -> None:
    assert call("POST", PATH, raw=b" " * 10_000_000).status == 413


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"), ("limit=5001", "limit"), ("limit=x", "limit"), ("limit=", "limit"),
        ("limit=1.5", "limit"), ("account=", "account"), ("tag=A", "tag"), ("status=gone", "status"),
        ("as_of=2025-06-03", "as_of"), ("as_of=2999-01-01T00:00:00Z", "as_of"),
        ("start_date=2025-02-30", "start_date"), ("start_date=soon", "start_date"), ("end_date=1748952000", "end_date"),
        ("start_date=2025-06-03&end_date=2025-06-02", "start_date"), ("end_date=", "end_date"),
        ("ticker=", "ticker"), ("ticker=TOOLONG", "ticker"), ("ticker=A%00", "ticker"), ("ticker=A&ticker=B", "ticker"),
        ("ticker_prefix=", "ticker_prefix"), ("ticker_prefix=%25", "ticker_prefix"),
        ("ticker=%27%20or%201%3D1", "ticker"), ("side=buy", "side"), ("side=BUY%2CSELL", "side"),
        ("cursor=forged", "cursor"), ("cursor=", "cursor"), ("cursor=%00", "cursor"), ("cursor=%ED%A0%80", "cursor"),
        ("tikcer=MSFT", "tikcer"), ("limit=1&limit=2", "limit"), ("limit=1_0", "limit"), ("limit=%2B5", "limit"),
        ("limit=5.0", "limit"),
    ],
)  # fmt: skip
def test_a_bad_filter_is_named_and_never_ignored(call: Call, query: str, field: str) -> None:
    answer = call("GET", PATH, query=query)
    assert answer.status == 400
    assert answer.names() == [field]


@pytest.mark.parametrize(
    "trade_id", ["0", "-1", "x", "1.0", "1.5", "1_0", "9223372036854775808", "%00", "1;drop table trades"]
)
def test_a_number_that_no_trade_can_have_is_refused(call: Call, trade_id: str) -> None:
    assert call("GET", f"{PATH}/{trade_id}").status in {400, 404}


@pytest.mark.parametrize(
    "path", ["/", "/api/", "/api/nothing", "/api/trades/1/2/", "/api/trades/H%1A\u0015/", "/etc/passwd"]
)
def test_an_unknown_path_answers_404(call: Call, path: str) -> None:
    answer = call("GET", path)
    assert answer.status == 404
    assert answer.names() == []


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", PATH, "GET, HEAD, OPTIONS, POST"),
        ("PUT", f"{PATH}/1", "GET, HEAD, OPTIONS, PATCH"),
        ("GET", f"{PATH}/1/void", "OPTIONS, POST"),
        ("PUT", "/api/splits", "GET, HEAD, OPTIONS, POST"),
        ("DELETE", f"{PATH}/batch", "OPTIONS, POST"),
        ("POST", "/api/health", "GET, HEAD, OPTIONS"),
    ],
)
def test_an_unknown_method_answers_405_and_says_which_are_known(
    call: Call, method: str, path: str, allowed: str
) -> None:
    answer = call(method, path)
    assert answer.status == 405
    assert answer.headers["allow"] == allowed


# Faults


def test_a_database_that_is_away_answers_503_and_when_to_come_back(
    call: Call, trade: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@127.0.0.1:9/d")
    database.release()
    answer = call("POST", PATH, trade)
    assert answer.status == 503
    assert answer.headers["retry-after"] == "5"


def test_what_nobody_expected_answers_500_with_a_request_id_and_no_inner_workings(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("select secret from /var/task/app.py")

    monkeypatch.setattr(ledger, "find", fail)
    answer = call("GET", PATH)
    assert answer.status == 500
    assert "Request id: " in answer.body["detail"]
    assert "secret" not in json.dumps(answer.body)


def test_each_request_writes_one_log_line(call: Call, trade: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    call("POST", PATH, trade)
    [line] = [vars(record) for record in caplog.records]
    assert (line["message"], line["method"], line["path"], line["status"]) == ("request", "POST", PATH, 201)


def test_trades_are_counted_when_they_are_recorded_and_not_when_they_are_repeated(
    call: Call, trade: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    keyed = {**trade, "client_trade_id": "once"}
    call("POST", "/api/trades/", keyed)
    call("POST", "/api/trades/", keyed)
    call("POST", "/api/trades/batch/", {"trades": [trade, trade, keyed]})
    call("GET", "/api/trades/")
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert [metrics["TradesRecorded"] for metrics in written] == [[1], [0], [2]]


def test_the_answer_to_the_trade_of_the_readme_begins_byte_for_byte_as_it_always_did(call: Call) -> None:
    del call  # which sets up what the function needs
    body = b'{"ticker":"MSFT","price":"310.50","quantity":50,"side":"BUY","timestamp":"2025-06-03T12:00:00Z"}'
    headers = [("content-type", "application/json"), ("host", "localhost")]
    answer = api_answer(http_event("POST", "/api/trades/", query="", headers=headers, body=body))
    assert answer["body"].startswith(
        '{"id":1,"ticker":"MSFT","price":"310.50","quantity":50,"side":"BUY","timestamp":"2025-06-03T12:00:00Z",'
        '"client_trade_id":null,"recorded_by":"local","recorded_at":"'
    )
