import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from local.host import triggers
from local.host.aws_services import Aws
from local.host.functions import FunctionError, LocalFunction


class Recorder(LocalFunction):
    """A function that keeps the bodies that it is given and fails those that say so."""

    def __init__(self) -> None:
        self.name = "Recorder"
        self.log = None  # type: ignore[assignment]  # nothing is written
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


async def poll(aws: Aws, arn: str, function: LocalFunction, seconds: float) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await triggers.poll_queue(aws, arn, function, batch_size=10)


def left_on(aws: Aws, url: str) -> list[str]:
    messages = aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return sorted(message["Body"] for message in messages)


@pytest.mark.parametrize(("bad", "delivered"), [("fail", 1), ("raise", 2)])
def test_what_fails_comes_again_and_ends_in_the_dead_letter_queue(
    aws_services: Aws, queue: dict[str, str], bad: str, delivered: int
) -> None:
    sqs, function = aws_services.client("sqs"), Recorder()
    sqs.send_message_batch(
        QueueUrl=queue["live"],
        Entries=[{"Id": body, "MessageBody": body} for body in ("good", bad)],
    )
    asyncio.run(poll(aws_services, queue["arn"], function, 4.5))
    assert function.bodies.count(bad) == 2
    assert function.bodies.count("good") == delivered  # a function that raises loses its whole batch
    assert bad in left_on(aws_services, queue["dead"])
    assert left_on(aws_services, queue["live"]) == []


def test_a_queue_that_cannot_be_read_for_a_while_is_tried_again(aws_services: Aws) -> None:
    sqs, name, function = aws_services.client("sqs"), uuid4().hex, Recorder()
    url = sqs.create_queue(QueueName=name)["QueueUrl"]

    async def lose_and_find_the_queue() -> None:
        polling = asyncio.create_task(
            triggers.poll_queue(aws_services, f"arn:aws:sqs:eu-west-1:123456789012:{name}", function, batch_size=10)
        )
        await asyncio.sleep(0.2)
        sqs.delete_queue(QueueUrl=url)
        await asyncio.sleep(1.5)
        sqs.create_queue(QueueName=name)
        sqs.send_message(QueueUrl=url, MessageBody="found")
        for _ in range(50):
            if function.bodies:
                break
            await asyncio.sleep(0.1)
        polling.cancel()

    asyncio.run(lose_and_find_the_queue())
    assert function.bodies == ["found"]


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
    assert triggers.seconds_to_wait(expression, NOW) == hours * 3_600


@pytest.mark.parametrize(
    "expression",
    ["at(2026-01-01T00:00:00)", "rate(1 week)", "cron(0 2 ? * MON *)", "cron(0/5 * * * ? *)", "rate(x minutes)"],
)
def test_a_schedule_of_another_kind_is_an_error_and_not_silence(expression: str) -> None:
    with pytest.raises(triggers.UnknownScheduleError):
        triggers.seconds_to_wait(expression, NOW)


def test_the_clock_wakes_a_function_and_goes_on_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Any] = []

    class Failing(Recorder):
        async def invoke(self, event: Mapping[str, Any]) -> Any:
            events.append(event)
            raise FunctionError("RuntimeError: on purpose")

    async def follow() -> None:
        async with asyncio.timeout(0.5):
            await triggers.follow_clock("Tick", "rate(1 minute)", Failing())

    monkeypatch.setattr(triggers, "seconds_to_wait", lambda *_: 0.1)
    with pytest.raises(TimeoutError):
        asyncio.run(follow())
    assert len(events) >= 2
    assert events[0]["detail-type"] == "Scheduled Event"
    assert events[0]["resources"] == ["arn:aws:scheduler:eu-west-1:123456789012:schedule/default/Tick"]
