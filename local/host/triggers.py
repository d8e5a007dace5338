"""What wakes functions besides HTTP: messages on queues, and the clock."""

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
from trading.notifications import events

logger = logging.getLogger(__name__)

INVOCATION_ATTEMPTS = 3
LONG_POLL_SECONDS = 1  # how long a stop may have to wait
ANSWER_SECONDS = 10  # of SQS, besides
AWAY_SECONDS = 5  # nothing is said of a queue that is back sooner: who starts SQS again says so
CLOCK_SECONDS = 1
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_DAILY = re.compile(r"cron\((\d+) (\d+) \* \* \? \*\)")


class UnknownScheduleError(Exception):
    """A schedule expression that the laptop's clock cannot read: teach it first."""


async def poll_queue(aws: Aws, queue_arn: str, function: LocalFunction, batch_size: int) -> None:
    """Wake a function with what comes on a queue, for ever, as a Lambda event source mapping does.

    What it answered for is deleted. What it returned as failed, or all if it raised, is left to be seen again after
    the queue's visibility timeout, and by the queue's redrive policy ends in the dead-letter queue.
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
    """Have what is published to a topic put on a queue, just as it was published; once, however often this is asked."""
    aws.client("sns").subscribe(
        TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"}
    )


async def print_topic(aws: Aws, topic_arn: str) -> None:
    """Print what is published to a topic, for ever: the subscriber that every laptop has."""
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
    """Return what people are told of a message: prose, where it is an event of this system."""
    try:
        return events.prose(events.read(message))
    except ValueError:
        return message


async def hand_over_events(aws: Aws, queue_arn: str, function: LocalFunction) -> None:
    """Wake a function with each event that waits on a queue, for ever, as Lambda does with asynchronous invocations.

    One that fails is tried twice more, when the queue shows it again.
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
    """Wake a function by a schedule, for ever, as EventBridge Scheduler does.

    The clock is looked at again and again, for it may be set, and does not stop where this machine sleeps: what was
    due meanwhile is done once.

    Raises:
        UnknownScheduleError: the expression is of a kind that is not known here.
    """
    due = next_due(schedule.expression, now())
    while True:
        await asyncio.sleep(CLOCK_SECONDS)
        due = min(due, next_due(schedule.expression, now()))  # earlier where the clock was put back
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
        UnknownScheduleError: it is of another kind.
    """
    if match := _RATE.fullmatch(expression):
        return now + timedelta(**{f"{match[2]}s": int(match[1])})
    if match := _DAILY.fullmatch(expression):
        due = now.replace(hour=int(match[2]), minute=int(match[1]), second=0, microsecond=0)
        return due + timedelta(days=due <= now)
    raise UnknownScheduleError(f"{expression}: only rate(n minutes|hours|days) and cron(m h * * ? *) are known")


def schedule_event(schedule: Schedule) -> dict[str, Any]:
    """Return what EventBridge Scheduler sends to a target: its input, or where none is declared an event of its own."""
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
    """A queue that is read, and whose messages are deleted; where it cannot be reached, that is said once."""

    def __init__(self, aws: Aws, arn: str) -> None:
        self.name = arn.rpartition(":")[2]
        self._sqs = aws.client("sqs", connect_timeout=1, read_timeout=LONG_POLL_SECONDS + ANSWER_SECONDS)
        self._url = ""
        self._away_since: float | None = None
        self._is_said = False

    async def receive(self, batch_size: int) -> list[dict[str, Any]]:
        """Wait a second for messages."""
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
        """Delete messages; those that cannot be deleted come again, as any may."""
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
    """Return a text as a console can show it: in a line, and without what would command the terminal."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in " ".join(text.split()))


def sqs_event(messages: Sequence[Mapping[str, Any]], queue_arn: str) -> dict[str, Any]:
    """Return the event that Lambda makes of messages as SQS's ReceiveMessage gave them."""
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
