import json
from collections.abc import Iterator
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from tests.conftest import Call
from tests.trading.notifications.webhooks.receivers import Receiver, answers, listening
from trading.core import aws
from trading.notifications.webhooks import dispatch, subscriptions

pytestmark = pytest.mark.usefixtures("webhook_tables")

URL = "https://example.com/hooks"
NOBODY = "0f3b2c1d-9e8f-4a7b-8c6d-5e4f3a2b1c0d"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as receiver:
        yield receiver


def create(call: Call, **settings: Any) -> dict[str, Any]:
    answer = call("POST", "/api/webhooks", {"url": URL, **settings})
    assert answer.status == 201, answer.body
    assert answer.headers["location"] == f"/api/webhooks/{answer.body['id']}"
    body: dict[str, Any] = answer.body
    return body


def test_a_secret_is_shown_once_and_never_again(call: Call) -> None:
    created = create(call)
    secret = created.pop("secret")
    assert secret.startswith("whsec_")
    for answer in (
        call("GET", f"/api/webhooks/{created['id']}"),
        call("PATCH", f"/api/webhooks/{created['id']}", {}),
        call("DELETE", f"/api/webhooks/{created['id']}"),
    ):
        assert (answer.status, answer.body) == (200, created)
    assert call("GET", f"/api/webhooks/{created['id']}").status == 404
    assert call("GET", "/api/webhooks").body == []


@pytest.mark.parametrize(
    ("kind", "url", "more"),
    [
        ("slack", "https://hooks.slack.com/services/T0/B0/hush", {}),
        ("telegram", "https://api.telegram.org/bot1:hush/sendMessage", {"chat_id": "-1001"}),
    ],
)
def test_of_a_chats_url_the_host_alone_is_given_back(call: Call, kind: str, url: str, more: dict[str, Any]) -> None:
    created = create(call, kind=kind, url=url, **more)
    assert created["secret"] is None
    assert created["url"].endswith("/***")
    path = f"/api/webhooks/{created['id']}"
    answers_given = [call("GET", path), call("GET", "/api/webhooks"), call("PATCH", path, {"ticker": "MSFT"})]
    assert not any("hush" in json.dumps(answer.body) for answer in answers_given)
    assert subscriptions.get(created["id"]).url == url


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"url": "http://example.com/"}, "url"),
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": "https://2130706433/"}, "url"),
        ({"url": 1}, "url"),
        ({"kind": "discord"}, "kind"),
        ({"kind": "telegram"}, "chat_id"),
        ({"chat_id": "-1001"}, "chat_id"),
        ({"kind": "telegram", "chat_id": "me"}, "chat_id"),
        ({"events": []}, "events"),
        ({"events": ["trade.sold.v1"]}, "events[0]"),
        ({"ticker": "msft"}, "ticker"),
        ({"account": ""}, "account"),
        ({"rule_id": 0}, "rule_id"),
        ({"rule_id": "1"}, "rule_id"),
        ({"secret": "mine"}, "secret"),
    ],
)
def test_what_is_wrong_with_a_webhook_is_named(call: Call, settings: dict[str, Any], field: str) -> None:
    answer = call("POST", "/api/webhooks", {"url": URL, **settings})
    assert (answer.status, answer.names()) == (400, [field])
    assert call("GET", "/api/webhooks").body == []


@pytest.mark.parametrize(
    ("change", "field"),
    [({"url": None}, "url"), ({"paused": "yes"}, "paused"), ({"kind": "slack"}, "kind"), ({"chat_id": "1"}, "chat_id")],
)
def test_what_cannot_be_changed_is_named(call: Call, change: dict[str, Any], field: str) -> None:
    created = create(call)
    answer = call("PATCH", f"/api/webhooks/{created['id']}", change)
    assert (answer.status, answer.names()) == (400, [field])


def test_a_webhook_is_changed_paused_and_resumed(call: Call) -> None:
    path = f"/api/webhooks/{create(call, events=['trade.voided.v1'], ticker='MSFT')['id']}"
    changed = call("PATCH", path, {"events": None, "account": "main", "url": f"{URL}/2"}).body
    assert (changed["events"], changed["ticker"], changed["account"]) == (None, "MSFT", "main")
    assert changed["url"] == f"{URL}/2"
    paused = call("PATCH", path, {"paused": True}).body
    assert (paused["paused"], paused["paused_because"]) == (True, "requested")
    assert call("PATCH", path, {"ticker": None}).body["paused"]
    resumed = call("PATCH", path, {"paused": False}).body
    assert (resumed["paused"], resumed["paused_because"]) == (False, None)


def test_there_may_be_twenty_webhooks_and_no_more(call: Call) -> None:
    first = create(call)
    for _ in range(subscriptions.LIMIT - 1):
        create(call)
    assert call("POST", "/api/webhooks", {"url": URL}).status == 409
    call("DELETE", f"/api/webhooks/{first['id']}")
    create(call)
    listed = call("GET", "/api/webhooks").body
    assert len(listed) == 20
    assert [each["created_at"] for each in listed] == sorted(each["created_at"] for each in listed)


def test_a_test_is_sent_at_once_and_says_what_the_receiver_answered(call: Call, receiver: Receiver) -> None:
    created = create(call, url=receiver.url)
    path = f"/api/webhooks/{created['id']}"
    call("PATCH", path, {"paused": True})
    delivery = call("POST", f"{path}/test").body
    assert (delivery["status"], delivery["attempts"][0]["status"]) == ("delivered", 200)
    [request] = receiver.requests
    event = Verifier(created["secret"]).verify(request.body.decode(), request.headers)
    assert event["type"] == "webhook.tested.v1"

    receiver.behavior = answers(500)
    failed = call("POST", f"{path}/test").body
    assert (failed["status"], failed["next_attempt_at"]) == ("failed", None)  # a test is not sent again
    assert call("GET", path).body["failing_since"] is None


def test_deliveries_are_listed_newest_first_and_page_by_page(call: Call, receiver: Receiver) -> None:
    path = f"/api/webhooks/{create(call, url=receiver.url)['id']}"
    sent = [call("POST", f"{path}/test").body["id"] for _ in range(5)]
    listed: list[str] = []
    query, link = {"limit": "2"}, "next"
    while link:
        answer = call("GET", f"{path}/deliveries", query=query)
        listed += [delivery["id"] for delivery in answer.body]
        link = answer.headers.get("link", "")
        query = {"limit": "2", "cursor": link.partition("cursor=")[2].partition(">")[0]}
    assert listed == sent[::-1]


@pytest.mark.parametrize("cursor", ["x", "WzEsIiJd", "Wy0xLCJhIl0", "WzEwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAsImEiXQ"])
def test_a_cursor_that_is_none_is_refused(call: Call, receiver: Receiver, cursor: str) -> None:
    path = f"/api/webhooks/{create(call, url=receiver.url)['id']}/deliveries"
    answer = call("GET", path, query={"cursor": cursor})
    assert (answer.status, answer.names()) == (400, ["cursor"])


def test_a_delivery_is_sent_again_with_the_same_id(call: Call, receiver: Receiver) -> None:
    path = f"/api/webhooks/{create(call, url=receiver.url)['id']}"
    delivery = call("POST", f"{path}/test").body
    again = call("POST", f"{path}/deliveries/{delivery['id']}/resend").body
    assert (again["status"], len(again["attempts"])) == ("delivered", 2)
    ids = {request.headers["webhook-id"] for request in receiver.requests}
    assert (len(receiver.requests), ids) == (2, {delivery["id"]})
    receiver.behavior = answers(500)
    failed = call("POST", f"{path}/deliveries/{delivery['id']}/resend").body
    assert failed["status"] == "pending"  # and is retried, as if it were new
    assert failed["next_attempt_at"]
    assert dispatch.sweep(30) == dispatch.Outcome()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/api/webhooks/{NOBODY}"),
        ("PATCH", f"/api/webhooks/{NOBODY}"),
        ("DELETE", f"/api/webhooks/{NOBODY}"),
        ("POST", f"/api/webhooks/{NOBODY}/test"),
        ("GET", f"/api/webhooks/{NOBODY}/deliveries"),
        ("POST", f"/api/webhooks/{NOBODY}/deliveries/{NOBODY}/resend"),
    ],
)
def test_what_is_not_there_is_a_404_and_what_is_no_id_a_400(call: Call, method: str, path: str) -> None:
    body = {"ticker": "MSFT"} if method == "PATCH" else None
    assert call(method, path, body).status == 404
    answer = call(method, path.replace(NOBODY, "x", 1), body)
    assert (answer.status, answer.names()) == (400, ["webhook_id"])


def test_no_delivery_of_another_webhook_is_sent_again(call: Call, receiver: Receiver) -> None:
    first, second = create(call, url=receiver.url), create(call, url=receiver.url)
    delivery = call("POST", f"/api/webhooks/{first['id']}/test").body
    assert call("POST", f"/api/webhooks/{second['id']}/deliveries/{delivery['id']}/resend").status == 404
    assert len(receiver.requests) == 1


def test_a_table_that_does_not_answer_is_a_503(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    aws.dynamodb.cache_clear()
    answer = call("GET", "/api/webhooks")
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
