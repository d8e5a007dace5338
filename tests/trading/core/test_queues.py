import pytest

from tests.conftest import Channels
from trading.core import aws, queues


def test_messages_are_put_on_the_queue(channels: Channels) -> None:
    assert queues.send(channels.queue_url, ['{"n":1}', '{"n":2}'], 1) == []
    assert sorted(each["n"] for each in channels.announced()) == [1, 2]


def test_the_messages_that_sqs_refuses_are_told_by_position(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def post(self, *_: object) -> bytes:
            return b'{"Successful": [{"Id": "0"}], "Failed": [{"Id": "1"}]}'

    monkeypatch.setattr(aws, "sqs", lambda *_: Refusing())
    assert queues.send("anywhere", ["a", "b"], 1) == [1]


def test_a_queue_that_cannot_be_reached_is_said_to_be_away(channels: Channels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    aws.sqs.cache_clear()
    with pytest.raises(queues.QueueUnavailableError):
        queues.send(channels.queue_url, ["{}"], 1)
