import io
import json
from typing import Any

import pytest

from local.host.triggers import sqs_event
from tests.conftest import Call, Channels, Rows, context
from trading.core import correlation
from trading.notifications import events, outbox
from trading.notifications.events import TradeRecorded
from trading.trades import ledger
from trading.trades.ledger import NewTrade


def message(number: int, body: str) -> dict[str, Any]:
    return {"MessageId": f"message-{number}", "ReceiptHandle": f"receipt-{number}", "Body": body, "MD5OfBody": ""}


def publish(*bodies: str) -> list[str]:
    """Hand messages to the function and return the numbers of those that it gave back."""
    from functions.notification_publisher.app import handler  # noqa: PLC0415 - its environment is set by the fixtures

    messages = [message(number, body) for number, body in enumerate(bodies)]
    answer = handler(sqs_event(messages, "arn:aws:sqs:eu-west-1:123456789012:queue"), context())
    return [item["itemIdentifier"].removeprefix("message-") for item in answer["batchItemFailures"]]


@pytest.fixture
def bodies(rows: Rows, trade: dict[str, Any]) -> list[str]:
    """The messages of three trades that were recorded."""
    del rows
    recorded = ledger.record([NewTrade.model_validate(trade)] * 3, "local")
    return [events.write(TradeRecorded.of(entry.trade, str(entry.notification_id))) for entry in recorded]


def test_a_batch_is_delivered(channels: Channels, bodies: list[str], rows: Rows) -> None:
    assert publish(*bodies) == []
    assert len(channels.published()) == 3
    assert rows("select count(*) from notifications where delivered_at is not null") == [(3,)]


@pytest.mark.parametrize("poison", ["", "not json", "{}", "[]", "null", '{"id":"x","type":"y","data":{}}'])
def test_a_poisoned_message_is_given_back_alone(channels: Channels, bodies: list[str], poison: str) -> None:
    assert publish(bodies[0], poison, bodies[1]) == ["1"]
    assert len(channels.published()) == 2


def test_an_unknown_type_and_an_unknown_notification_are_given_back(channels: Channels, bodies: list[str]) -> None:
    event = json.loads(bodies[0])
    unknown_type = json.dumps({**event, "type": "trade.recorded.v2"})
    unknown_id = json.dumps({**event, "id": "00000000-0000-4000-8000-000000000000"})
    no_id = json.dumps({**event, "id": "'; drop table notifications; --"})
    assert publish(unknown_type, unknown_id, no_id, bodies[0]) == ["0", "1", "2"]
    assert len(channels.published()) == 1


def test_a_batch_in_which_everything_fails_is_given_back_item_by_item(channels: Channels) -> None:
    assert publish("a", "b") == ["0", "1"]
    assert channels.published() == []


def test_a_notifier_that_dies_half_way_is_followed_by_one_that_delivers_the_rest(
    channels: Channels, bodies: list[str], rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """What no handler catches, like the end of the process."""

    deliver = outbox.deliver

    def die_at_the_third(event: TradeRecorded) -> bool:
        if event.id == json.loads(bodies[2])["id"]:
            raise Killed
        return deliver(event)

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "deliver", die_at_the_third)
        with pytest.raises(Killed):
            publish(*bodies)
    assert publish(*bodies) == []  # SQS brings the whole batch again
    published = [each["MessageAttributes"]["event_id"]["Value"] for each in channels.published()]
    assert sorted(published) == sorted(json.loads(body)["id"] for body in bodies)
    assert rows("select count(*) from notifications where delivered_at is null") == [(0,)]


def test_only_what_died_between_sns_and_the_mark_is_delivered_twice(
    channels: Channels, bodies: list[str], rows: Rows
) -> None:
    publish(*bodies)
    # As if the last one's process had ended before the mark, and its lease with it.
    rows(
        "update notifications set delivered_at = null, sending_until = now() where id = %(id)s returning id",
        id=json.loads(bodies[2])["id"],
    )
    publish(*bodies)
    published = [each["MessageAttributes"]["event_id"]["Value"] for each in channels.published()]
    assert sorted(published) == sorted(json.loads(body)["id"] for body in [*bodies, bodies[2]])


def test_what_a_request_is_called_in_the_logs_comes_with_its_notification(
    channels: Channels, call: Call, trade: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.notification_publisher.app import handler, logger  # noqa: PLC0415 - its environment is set by the fixtures

    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)
    call("POST", "/api/trades/", trade)
    [announced] = channels.sqs.receive_message(
        QueueUrl=channels.queue_url, AttributeNames=["All"], MessageAttributeNames=["All"]
    )["Messages"]
    correlation.begin("of another process")
    handler(sqs_event([announced], "arn:aws:sqs:eu-west-1:123456789012:queue"), context())
    request, delivered = map(json.loads, log.getvalue().splitlines())
    assert (request["message"], delivered["message"]) == ("request", "delivered")
    assert delivered["correlation_id"] == request["correlation_id"]
    assert delivered["function_request_id"] != request["function_request_id"]
    [published] = channels.published()
    assert published["MessageAttributes"]["correlation_id"]["Value"] == request["correlation_id"]


def test_what_is_delivered_is_counted_with_how_long_it_took(
    channels: Channels, bodies: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    del channels
    publish(*bodies, "poison")
    [metrics] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert sum(metrics["NotificationsDelivered"]) == 3
    assert len(metrics["NotificationLag"]) == 3
    assert all(0 <= lag < 60_000 for lag in metrics["NotificationLag"])
