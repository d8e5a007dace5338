import json
from typing import Any

import pytest

from local.host.template import Schedule
from local.host.triggers import schedule_event, sqs_event
from tests.conftest import Call, Channels, Rows, context
from trading.core import aws, queues
from trading.trades import ledger
from trading.trades.ledger import NewTrade


def sweep(seconds: float = 30) -> dict[str, int]:
    from functions.notification_sweeper.app import handler  # noqa: PLC0415 - its environment is set by conftest

    result: dict[str, int] = handler(
        schedule_event(Schedule("EveryMinute", "rate(1 minute)", "EveryMinute")), context(seconds)
    )
    return result


@pytest.fixture
def due(rows: Rows, trade: dict[str, Any]) -> None:
    """Three trades whose announcements were lost a while ago."""
    ledger.record([NewTrade.model_validate(trade)] * 3, "local")
    rows("update notifications set due_at = now() returning id")


@pytest.mark.usefixtures("due")
def test_what_was_lost_is_announced_again(channels: Channels) -> None:
    assert sweep() == {"announced": 3, "refused": 0, "given_up": 0}
    assert len(channels.announced()) == 3


@pytest.mark.usefixtures("due")
def test_what_has_had_its_attempts_is_given_up_and_counted(
    channels: Channels, rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    rows("update notifications set attempts = 10 returning id")
    assert sweep() == {"announced": 0, "refused": 0, "given_up": 3}
    assert '"NotificationsGivenUp":[3.0]' in capsys.readouterr().out
    assert channels.announced() == []


@pytest.mark.usefixtures("due")
def test_it_stops_before_its_own_time_is_up(channels: Channels) -> None:
    assert sweep(seconds=5) == {"announced": 0, "refused": 0, "given_up": 0}
    assert channels.announced() == []


@pytest.mark.filterwarnings("ignore:No application metrics")
@pytest.mark.usefixtures("due")
def test_a_sweep_that_dies_before_it_announces_is_made_up_for_when_its_claims_are_due_again(
    channels: Channels, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """What no handler catches, like the end of the process."""

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(queues, "send", die)
        with pytest.raises(Killed):
            sweep()
    assert sweep() == {"announced": 0, "refused": 0, "given_up": 0}  # claimed for two minutes
    rows("update notifications set due_at = due_at - interval '2 minutes' returning id")
    assert sweep() == {"announced": 3, "refused": 0, "given_up": 0}
    assert len(channels.announced()) == 3


def test_trades_recorded_while_the_queue_was_away_are_delivered_when_it_is_back(
    call: Call, trade: dict[str, Any], channels: Channels, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.notification_publisher.app import handler as publish  # noqa: PLC0415 - its environment is set by conftest

    with monkeypatch.context() as outage:
        outage.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        aws.sqs.cache_clear()
        assert [call("POST", "/api/trades/", trade).status for _ in range(12)] == [201] * 12
    aws.sqs.cache_clear()
    assert channels.announced() == []

    rows("update notifications set due_at = now() returning id")  # a minute passes
    assert sweep()["announced"] == 12
    messages = [
        {"MessageId": event["id"], "ReceiptHandle": "", "Body": json.dumps(event), "MD5OfBody": ""}
        for event in channels.announced()
    ]
    assert publish(sqs_event(messages, "arn:aws:sqs:eu-west-1:123456789012:queue"), context()) == {
        "batchItemFailures": []
    }
    assert len(channels.published()) == 12
    assert rows("select count(*) from notifications where delivered_at is null") == [(0,)]
