import asyncio
import json
import logging
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ReadTimeoutError

from local.host import triggers
from local.host.aws_services import Aws
from local.host.functions import FunctionError, LocalFunction
from local.host.template import Schedule


class Recorder(LocalFunction):
    """A function that keeps the bodies that it is given and fails those that say so."""

    def __init__(self) -> None:
        self.name = "Recorder"
        self.log = Path("recorder.log")
        self.bodies: list[str] = []

    async def invoke(self, event: Mapping[str, Any]) -> Any:
        bodies = {record["messageId"]: record["body"] for record in event["Records"]}
        self.bodies += bodies.values()
        if "raise" in bodies.values():
            raise FunctionError("RuntimeError: on purpose")
        return {"batchItemFailures": [{"itemIdentifier": key} for key, body in bodies.items() if body == "fail"]}


@pytest.fixture
def queue(aws_services: Aws) -> dict[str, str]:
    """A queue whose messages come again after a second, and go to a dead-letter queue after two receives."""
    sqs, name = aws_services.client("sqs"), uuid4().hex
    urls = {"dead": sqs.create_queue(QueueName=f"dead-{name}")["QueueUrl"]}
    dead_arn = f"arn:aws:sqs:eu-west-1:123456789012:dead-{name}"
    policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2})
    attributes = {"VisibilityTimeout": "1", "RedrivePolicy": policy}
    urls["live"] = sqs.create_queue(QueueName=f"live-{name}", Attributes=attributes)["QueueUrl"]
    return {**urls, "arn": f"arn:aws:sqs:eu-west-1:123456789012:live-{name}"}


def left_on(aws: Aws, url: str) -> list[str]:
    messages = aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return sorted(message["Body"] for message in messages)


async def until_idle(work: Awaitable[None], sqs: Any, url: str, seconds: float = 10) -> None:
    """Do a work that has no end until a queue has no messages."""
    task = asyncio.ensure_future(work)
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    async with asyncio.timeout(seconds):
        while not task.done():
            counts = await asyncio.to_thread(sqs.get_queue_attributes, QueueUrl=url, AttributeNames=names)
            if set(counts["Attributes"].values()) == {"0"}:
                break
            await asyncio.sleep(0.1)
    assert not task.done()
    task.cancel()


@pytest.mark.parametrize(("bad", "delivered"), [("fail", 1), ("raise", 2)])
def test_what_fails_comes_again_and_ends_in_the_dead_letter_queue(
    aws_services: Aws, queue: dict[str, str], bad: str, delivered: int
) -> None:
    sqs, function = aws_services.client("sqs"), Recorder()
    sqs.send_message_batch(
        QueueUrl=queue["live"],
        Entries=[{"Id": body, "MessageBody": body} for body in ("good", bad)],
    )
    asyncio.run(until_idle(triggers.poll_queue(aws_services, queue["arn"], function, 10), sqs, queue["live"]))
    assert function.bodies.count(bad) == 2
    assert function.bodies.count("good") == delivered  # a function that raises loses its whole batch
    assert bad in left_on(aws_services, queue["dead"])


def test_a_queue_that_cannot_be_read_for_a_while_is_said_once_and_read_when_it_is_back(
    aws_services: Aws, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "AWAY_SECONDS", 1)
    sqs, name, function = aws_services.client("sqs"), uuid4().hex, Recorder()
    url = sqs.create_queue(QueueName=name)["QueueUrl"]

    async def lose_and_find_the_queue() -> None:
        polling = asyncio.create_task(
            triggers.poll_queue(aws_services, f"arn:aws:sqs:eu-west-1:123456789012:{name}", function, batch_size=10)
        )
        await asyncio.sleep(0.2)
        sqs.delete_queue(QueueUrl=url)
        await asyncio.sleep(2.5)
        sqs.create_queue(QueueName=name)
        sqs.send_message(QueueUrl=url, MessageBody="found")
        for _ in range(50):
            if function.bodies:
                break
            await asyncio.sleep(0.1)
        polling.cancel()

    asyncio.run(lose_and_find_the_queue())
    assert function.bodies == ["found"]
    assert [message.partition(";")[0] for message in caplog.messages] == [
        f"The queue {name} does not answer",
        f"The queue {name} answers again",
    ]


def test_a_message_that_cannot_be_deleted_comes_again(
    aws_services: Aws, queue: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sqs, function = aws_services.client("sqs"), Recorder()
    sqs.send_message(QueueUrl=queue["live"], MessageBody="good")
    answer, failures = triggers._Queue._answer, [ReadTimeoutError(endpoint_url="")]  # noqa: SLF001 - a fault of SQS

    def fail_to_delete_once(queue: Any, action: str, parameters: Any) -> Any:
        if action == "delete_message_batch" and failures:
            raise failures.pop()
        return answer(queue, action, parameters)

    monkeypatch.setattr(triggers._Queue, "_answer", fail_to_delete_once)  # noqa: SLF001
    asyncio.run(until_idle(triggers.poll_queue(aws_services, queue["arn"], function, 10), sqs, queue["live"]))
    assert function.bodies == ["good", "good"]


JUNK = ["junk", "", "[]", '{"Message": 7}', '{"message": "no such key"}', '"\\u001b[2J"']


def test_what_is_no_notification_is_said_and_dropped_and_the_next_is_shown(
    aws_services: Aws, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sqs, sns = aws_services.client("sqs"), aws_services.client("sns")
    topic = sns.create_topic(Name=f"topic-{uuid4().hex}")["TopicArn"]
    url = sqs.create_queue(QueueName=f"console-{topic.rpartition(':')[2]}")["QueueUrl"]
    junk = [text for text in JUNK if text]
    for text in junk:
        sqs.send_message(QueueUrl=url, MessageBody=text)
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"Message": "BUY 50\nMSFT \x1b[2J"}))
    asyncio.run(until_idle(triggers.print_topic(aws_services, topic), sqs, url))
    assert len([message for message in caplog.messages if "cannot be read and is dropped" in message]) == len(junk)
    assert caplog.messages[-1] == r"NOTIFICATION  BUY 50 MSFT \x1b[2J"
    assert "\x1b" not in caplog.text


def test_what_is_no_event_is_said_and_dropped_and_the_next_is_handed_over(
    aws_services: Aws, caplog: pytest.LogCaptureFixture
) -> None:
    sqs, name = aws_services.client("sqs"), uuid4().hex
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    events: list[Any] = []

    class Function(Recorder):
        async def invoke(self, event: Mapping[str, Any]) -> Any:
            events.append(event)

    for body in ("junk", '{"detail": 1}'):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    arn = f"arn:aws:sqs:eu-west-1:123456789012:{name}"
    asyncio.run(until_idle(triggers.hand_over_events(aws_services, arn, Function()), sqs, url))
    assert events == [{"detail": 1}]
    assert caplog.messages[0] == f"A message on {name} cannot be read and is dropped: 'junk'"


def test_the_console_prints_an_event_as_prose_and_anything_else_as_it_is(
    aws_services: Aws, trade: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    sns = aws_services.client("sns")
    arn = sns.create_topic(Name=uuid4().hex)["TopicArn"]
    data = {"id": 17, **trade, "client_trade_id": None, "recorded_by": "local", "recorded_at": trade["timestamp"]}
    event = json.dumps({"id": "1", "type": "trade.recorded.v1", "time": trade["timestamp"], "data": data})

    async def listen() -> None:
        printing = asyncio.create_task(triggers.print_topic(aws_services, arn))
        for _ in range(100):
            if sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]:
                break
            await asyncio.sleep(0.05)
        sns.publish(TopicArn=arn, MessageStructure="json", Message=json.dumps({"default": "prose", "sqs": event}))
        sns.publish(TopicArn=arn, Message="A line\nand another")
        for _ in range(100):
            if len(caplog.messages) == 2:
                break
            await asyncio.sleep(0.05)
        printing.cancel()

    with caplog.at_level("INFO"):
        asyncio.run(listen())
    assert sorted(caplog.messages) == [
        "NOTIFICATION  A line and another",
        "NOTIFICATION  BUY 50 MSFT at 310.50 Trade 17 of 2025-06-03 12:00:00 UTC, recorded by local. Event 1",
    ]


NOW = datetime(2025, 6, 3, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "hours"),
    [
        ("rate(30 minutes)", 0.5),
        ("rate(1 hour)", 1),
        ("rate(2 days)", 48),
        ("cron(0 2 * * ? *)", 0.5),
        ("cron(15 0 * * ? *)", 22.75),
        ("cron(30 1 * * ? *)", 24),
    ],
)
def test_a_schedule_is_due_after_its_period_or_at_its_time_of_day(expression: str, hours: float) -> None:
    assert triggers.next_due(expression, NOW) == NOW + timedelta(hours=hours)


@pytest.mark.parametrize(
    "expression",
    ["at(2026-01-01T00:00:00)", "rate(1 week)", "cron(0 2 ? * MON *)", "cron(0/5 * * * ? *)", "rate(x minutes)"],
)
def test_a_schedule_of_another_kind_is_an_error_and_not_silence(expression: str) -> None:
    with pytest.raises(triggers.UnknownScheduleError):
        triggers.next_due(expression, NOW)


class Clock:
    """A clock that is set to each of some times in turn, whenever a schedule has looked at it."""

    def __init__(self, *times: str) -> None:
        self._times = [datetime.fromisoformat(f"{time}Z") for time in times]

    async def sleep(self, _: float) -> None:
        if len(self._times) == 1:
            raise TimeoutError
        del self._times[0]

    def now(self) -> datetime:
        return self._times[0]


def runs(expression: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the events that a schedule of a failing function sends by a clock."""
    events: list[Any] = []

    class Failing(Recorder):
        async def invoke(self, event: Mapping[str, Any]) -> Any:
            events.append(event)
            raise FunctionError("RuntimeError: on purpose")

    monkeypatch.setattr(asyncio, "sleep", clock.sleep)
    with pytest.raises(TimeoutError):
        asyncio.run(triggers.follow_clock(Schedule("Tick", expression, "Failing"), Failing(), clock.now))
    return events


def test_the_clock_wakes_a_function_and_goes_on_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock("2025-06-03T00:00", "2025-06-03T00:01", "2025-06-03T00:01:59", "2025-06-03T00:02")
    events = runs("rate(1 minute)", clock, monkeypatch)
    assert [event["detail-type"] for event in events] == ["Scheduled Event"] * 2
    assert events[0]["resources"] == ["arn:aws:scheduler:eu-west-1:123456789012:schedule/default/Tick"]


@pytest.mark.parametrize(
    ("times", "count"),
    [
        (("2025-06-03T00:14", "2025-06-03T09:30", "2025-06-03T09:31"), 1),  # the laptop slept through it
        (("2025-06-03T00:14", "2025-06-09T09:30", "2025-06-09T09:31", "2025-06-10T00:15"), 2),  # for days
        (("2025-06-03T00:10", "2025-06-03T00:14", "2025-06-03T00:14:59"), 0),
        (("2025-06-03T00:16", "2025-06-02T00:14", "2025-06-02T00:15"), 1),  # the clock was put back
    ],
)
def test_a_daily_schedule_is_done_once_whatever_becomes_of_the_clock(
    times: tuple[str, ...], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(runs("cron(15 0 * * ? *)", Clock(*times), monkeypatch)) == count


def test_a_clock_that_is_put_back_by_hours_does_not_silence_what_comes_each_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock("2025-06-03T12:00", "2025-06-03T09:00", "2025-06-03T09:01", "2025-06-03T09:02")
    assert len(runs("rate(1 minute)", clock, monkeypatch)) == 2
