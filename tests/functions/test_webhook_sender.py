import json
from collections.abc import Iterator
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from local.host.template import ROOT
from tests.conftest import context
from tests.trading.notifications.webhooks.receivers import Receiver, answers, listening
from trading.notifications.webhooks import deliveries, dispatch, subscriptions, tables
from trading.notifications.webhooks.subscriptions import CreatedWebhook

pytestmark = pytest.mark.usefixtures("webhook_tables")

EVENTS = ROOT / "events" / "webhook_sender"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as receiver:
        yield receiver


def webhook(receiver: Receiver) -> CreatedWebhook:
    wanted = {"kind": "standard", "chat_id": None, "events": None, "ticker": None, "account": None, "rule_id": None}
    return subscriptions.create({**wanted, "url": receiver.url}, "desk-7")


def invoke(event: str, seconds: float = 50) -> dict[str, Any]:
    from functions.webhook_sender.app import handler  # noqa: PLC0415 - its environment is set by the fixtures

    answer: dict[str, Any] = handler(json.loads((EVENTS / event).read_text()), context(seconds))
    return answer


def test_a_published_event_is_sent_to_the_webhooks(receiver: Receiver) -> None:
    created = webhook(receiver)
    assert invoke("published.json") == {"batchItemFailures": []}
    [request] = receiver.requests
    assert created.secret
    event = Verifier(created.secret).verify(request.body.decode(), request.headers)
    assert (event["type"], event["data"]["price"]) == ("trade.recorded.v1", "310.50")


def test_what_is_no_event_is_given_back_alone(receiver: Receiver) -> None:
    webhook(receiver)
    answer = invoke("published_one_poisoned.json")
    assert answer == {"batchItemFailures": [{"itemIdentifier": "7c2f9a10-51c4-4f0e-9d0b-0b0000000002"}]}
    assert len(receiver.requests) == 1


def test_the_clock_sends_again_what_failed(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    webhook(receiver)
    monkeypatch.setattr(dispatch, "WAITS", [dispatch.WAITS[0] * 0] * 10)
    receiver.behavior = answers(500)
    invoke("published.json")
    receiver.behavior = answers(200)
    assert invoke("every_minute.json") == {"delivered": 1, "postponed": 0, "given_up": 0, "paused": 0}
    assert invoke("every_minute.json") == {"delivered": 0, "postponed": 0, "given_up": 0, "paused": 0}
    assert len(receiver.requests) == 2


def test_without_its_tables_a_batch_comes_again_and_then_nothing_is_sent_twice(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = webhook(receiver)
    with monkeypatch.context() as patch:
        patch.setattr(deliveries, "settle", _unavailable)
        with pytest.raises(tables.TableUnavailableError):
            invoke("published.json")
    assert invoke("published.json") == {"batchItemFailures": []}
    assert len(receiver.requests) == 1
    [delivery] = deliveries.find(created.id, 10, None)[0]
    assert delivery.status == "pending"  # its answer was not written: the sweep sends it again


def _unavailable(*_: Any) -> None:
    raise tables.TableUnavailableError("no answer")


def test_the_numbers_that_alarms_wait_for_are_written(receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    webhook(receiver)
    receiver.behavior = answers(410)
    invoke("published.json")
    [line] = [line for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    written = json.loads(line)
    assert (written["WebhooksPaused"], written["WebhookDeliveriesGivenUp"]) == ([0.0, 1.0], [0.0, 1.0])
