"""The triggers of functions besides HTTP: queues, events and schedules."""

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.host.aws_services import Aws
from local.host.functions import FunctionError, LocalFunction
from local.host.template import REGION, Schedule
from trading.core import topics
from trading.notifications import events

logger = logging.getLogger(__name__)

INVOCATION_ATTEMPTS = 3
LONG_POLL_SECONDS = 1  # also the maximum delay of a stop
ANSWER_SECONDS = 10  # the timeout of SQS beyond the long poll
AWAY_SECONDS = 5  # a shorter outage of a queue is not logged here, because the restart of SQS is
CLOCK_SECONDS = 1
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_DAILY = re.compile(r"cron\((\d+) (\d+) \* \* \? \*\)")


class UnknownScheduleError(Exception):
    """A schedule expression that `local` does not support yet."""


async def poll_queue(aws: Aws, queue_arn: str, function: LocalFunction, batch_size: int) -> None:
    """Invoke a function with the messages of a queue, like a Lambda event source mapping; never returns.

    Processed messages are deleted. Messages that the function returned as failed, or all if it raised, become visible
    again after the visibility timeout, and move to the dead-letter queue according to the redrive policy.
    """
    async for queue, messages in _received(aws, queue_arn, batch_size):
        try:
            answer = await function.invoke(sqs_event(messages, queue_arn))
        except FunctionError as error:
            logger.warning("%s - see %s", error, function.log)
            continue
        failed = {item["itemIdentifier"] for item in (answer or {}).get("batchItemFailures", [])}
        if failed:
            logger.warning(
                "%s failed %d of %d messages - see %s", function.name, len(failed), len(messages), function.log
            )
        await queue.delete([message for message in messages if message["MessageId"] not in failed])


def subscribe(aws: Aws, topic_arn: str, queue_arn: str) -> None:
    """Subscribe a queue to a topic with raw message delivery; idempotent."""
    aws.client("sns").subscribe(
        TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"}
    )


async def print_topic(aws: Aws, topic_arn: str) -> None:
    """Print the messages of a topic, as a local subscriber; never returns."""
    sqs, sns = aws.client("sqs"), aws.client("sns")
    name = f"console-{topic_arn.rpartition(':')[2]}"
    queue_url = await asyncio.to_thread(lambda: sqs.create_queue(QueueName=name)["QueueUrl"])
    attributes = await asyncio.to_thread(sqs.get_queue_attributes, QueueUrl=queue_url, AttributeNames=["QueueArn"])
    queue_arn = attributes["Attributes"]["QueueArn"]
    await asyncio.to_thread(sns.subscribe, TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn)
    async for queue, messages in _received(aws, queue_arn, batch_size=10):
        for message in messages:
            try:
                logger.info("NOTIFICATION  %s", _one_line(_prose(json.loads(message["Body"])["Message"])))
            except (ValueError, TypeError, KeyError, AttributeError):
                _say_unreadable(name, message)
        await queue.delete(messages)


def _prose(message: str) -> str:
    """Return a message as text for people, if it is an event of this system."""
    try:
        return topics.prose(events.read(message))
    except ValueError:
        return message


async def hand_over_events(aws: Aws, queue_arn: str, function: LocalFunction) -> None:
    """Invoke a function with each event on a queue, like Lambda's asynchronous invocation; never returns.

    A failed event is retried twice, after the queue's visibility timeout.
    """
    async for queue, messages in _received(aws, queue_arn, batch_size=1):
        [message] = messages
        try:
            event = json.loads(message["Body"])
        except ValueError:
            _say_unreadable(queue_arn.rpartition(":")[2], message)
            await queue.delete(messages)
            continue
        try:
            answer = await function.invoke(event)
            logger.info("%s  %s", function.name, json.dumps(answer))
        except FunctionError as error:
            logger.warning("%s - see %s", error, function.log)
            if int(message["Attributes"]["ApproximateReceiveCount"]) < INVOCATION_ATTEMPTS:
                continue
        await queue.delete(messages)


async def follow_clock(
    schedule: Schedule, function: LocalFunction, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> None:
    """Invoke a function on a schedule, like EventBridge Scheduler; never returns.

    The clock is polled, because it may be changed and continues while this machine sleeps. Invocations missed in the
    meantime are made once.

    Raises:
        UnknownScheduleError: this kind of expression is not supported.
    """
    due = next_due(schedule.expression, now())
    while True:
        await asyncio.sleep(CLOCK_SECONDS)
        due = min(due, next_due(schedule.expression, now()))  # earlier if the clock was set back
        if now() < due:
            continue
        try:
            await function.invoke(schedule_event(schedule))
        except FunctionError as error:
            logger.warning("%s - see %s", error, function.log)
        due = next_due(schedule.expression, now())


def next_due(expression: str, now: datetime) -> datetime:
    """Return when a schedule is due next: `rate(n minutes|hours|days)` from now, or each day at `cron(m h * * ? *)`.

    Raises:
        UnknownScheduleError: it is another kind of expression.
    """
    if match := _RATE.fullmatch(expression):
        return now + timedelta(**{f"{match[2]}s": int(match[1])})
    if match := _DAILY.fullmatch(expression):
        due = now.replace(hour=int(match[2]), minute=int(match[1]), second=0, microsecond=0)
        return due + timedelta(days=due <= now)
    raise UnknownScheduleError(f"{expression}: only rate(n minutes|hours|days) and cron(m h * * ? *) are known")


def schedule_event(schedule: Schedule) -> dict[str, Any]:
    """Return the event that EventBridge Scheduler sends: the declared input, or its default event."""
    if schedule.input is not None:
        event: dict[str, Any] = json.loads(schedule.input)
        return event
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": "123456789012",
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [f"arn:aws:scheduler:{REGION}:123456789012:schedule/default/{schedule.name}"],
        "detail": "{}",
    }


class _Queue:
    """A queue to receive and delete messages; an outage is logged once."""

    def __init__(self, aws: Aws, arn: str) -> None:
        self.name = arn.rpartition(":")[2]
        self._sqs = aws.client("sqs", connect_timeout=1, read_timeout=LONG_POLL_SECONDS + ANSWER_SECONDS)
        self._url = ""
        self._away_since: float | None = None
        self._is_said = False

    async def receive(self, batch_size: int) -> list[dict[str, Any]]:
        """Receive messages, waiting for up to a second."""
        answer = await self._ask(
            "receive_message",
            MaxNumberOfMessages=batch_size,
            WaitTimeSeconds=LONG_POLL_SECONDS,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        if answer is None:
            await asyncio.sleep(1)
        messages: list[dict[str, Any]] = (answer or {}).get("Messages", [])
        return messages

    async def delete(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Delete messages; those that cannot be deleted are received again, as SQS allows for any message."""
        if messages:
            receipts = [message["ReceiptHandle"] for message in messages]
            entries = [{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(receipts)]
            await self._ask("delete_message_batch", Entries=entries)

    async def _ask(self, action: str, **parameters: Any) -> dict[str, Any] | None:
        try:
            answer = await asyncio.to_thread(self._answer, action, parameters)
        except (BotoCoreError, ClientError) as error:
            self._away_since = self._away_since or time.monotonic()
            if not self._is_said and time.monotonic() - self._away_since >= AWAY_SECONDS:
                logger.warning("The queue %s does not answer; retrying every second: %s", self.name, error)
                self._is_said = True
            return None
        if self._is_said:
            logger.warning("The queue %s answers again", self.name)
        self._away_since, self._is_said = None, False
        return answer

    def _answer(self, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        self._url = self._url or self._sqs.get_queue_url(QueueName=self.name)["QueueUrl"]
        answer: dict[str, Any] = getattr(self._sqs, action)(QueueUrl=self._url, **parameters)
        return answer


async def _received(aws: Aws, queue_arn: str, batch_size: int) -> AsyncIterator[tuple[_Queue, list[dict[str, Any]]]]:
    queue = _Queue(aws, queue_arn)
    while True:
        messages = await queue.receive(batch_size)
        if messages:
            yield queue, messages


def _say_unreadable(queue_name: str, message: Mapping[str, Any]) -> None:
    body = message["Body"]
    logger.warning("A message on %s cannot be read and is dropped: %.200s", queue_name, ascii(body))


def _one_line(text: str) -> str:
    """Return a text in one line and without terminal control characters."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in " ".join(text.split()))


def sqs_event(messages: Sequence[Mapping[str, Any]], queue_arn: str) -> dict[str, Any]:
    """Return Lambda's event for messages from SQS's ReceiveMessage."""
    return {
        "Records": [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message.get("Attributes", {}),
                "messageAttributes": {
                    name: {"dataType": value["DataType"], "stringValue": value.get("StringValue")}
                    for name, value in message.get("MessageAttributes", {}).items()
                },
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": queue_arn,
                "awsRegion": REGION,
            }
            for message in messages
        ]
    }
