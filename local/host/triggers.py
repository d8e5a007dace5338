"""What wakes functions besides HTTP: messages on queues, and the clock."""

import asyncio
import json
import logging
import re
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.host.aws_services import Aws
from local.host.functions import FunctionError, LocalFunction
from local.host.template import REGION
from trading.notifications import events

logger = logging.getLogger(__name__)

INVOCATION_ATTEMPTS = 3
LONG_POLL_SECONDS = 1  # how long a stop may have to wait
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_DAILY = re.compile(r"cron\((\d+) (\d+) \* \* \? \*\)")


class UnknownScheduleError(Exception):
    """A schedule expression that the laptop's clock cannot read: teach it first."""


async def poll_queue(aws: Aws, queue_arn: str, function: LocalFunction, batch_size: int) -> None:
    """Wake a function with what comes on a queue, for ever, as a Lambda event source mapping does.

    What it answered for is deleted. What it returned as failed, or all if it raised, is left to be seen again after
    the queue's visibility timeout, and by the queue's redrive policy ends in the dead-letter queue.
    """
    sqs = aws.client("sqs")
    queue_url = sqs.get_queue_url(QueueName=queue_arn.rpartition(":")[2])["QueueUrl"]
    async for messages in _received(sqs, queue_url, batch_size):
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
        await _delete(sqs, queue_url, [message for message in messages if message["MessageId"] not in failed])


async def print_topic(aws: Aws, topic_arn: str) -> None:
    """Print what is published to a topic, for ever: the subscriber that every laptop has."""
    sqs, sns = aws.client("sqs"), aws.client("sns")
    queue_url = sqs.create_queue(QueueName=f"console-{topic_arn.rpartition(':')[2]}")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn)
    async for messages in _received(sqs, queue_url, batch_size=10):
        for message in messages:
            published = json.loads(message["Body"])
            logger.info("NOTIFICATION  %s", " ".join(_prose(published["Message"]).split()))
        await _delete(sqs, queue_url, messages)


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
    sqs = aws.client("sqs")
    queue_url = sqs.get_queue_url(QueueName=queue_arn.rpartition(":")[2])["QueueUrl"]
    async for messages in _received(sqs, queue_url, batch_size=1):
        [message] = messages
        try:
            answer = await function.invoke(json.loads(message["Body"]))
            logger.info("%s  %s", function.name, json.dumps(answer))
        except FunctionError as error:
            logger.warning("%s - see %s", error, function.log)
            if int(message["Attributes"]["ApproximateReceiveCount"]) < INVOCATION_ATTEMPTS:
                continue
        await _delete(sqs, queue_url, messages)


async def follow_clock(name: str, expression: str, function: LocalFunction) -> None:
    """Wake a function by a schedule expression, for ever, as EventBridge Scheduler does.

    Raises:
        UnknownScheduleError: the expression is of a kind that is not known here.
    """
    while True:
        await asyncio.sleep(seconds_to_wait(expression, datetime.now(UTC)))
        try:
            await function.invoke(schedule_event(name))
        except FunctionError as error:
            logger.warning("%s - see %s", error, function.log)


def seconds_to_wait(expression: str, now: datetime) -> float:
    """Return how long it is until a schedule is due: `rate(n minutes|hours|days)`, or each day at `cron(m h * * ? *)`.

    Raises:
        UnknownScheduleError: it is of another kind.
    """
    if match := _RATE.fullmatch(expression):
        return timedelta(**{f"{match[2]}s": int(match[1])}).total_seconds()
    if match := _DAILY.fullmatch(expression):
        due = now.replace(hour=int(match[2]), minute=int(match[1]), second=0, microsecond=0)
        return (due + timedelta(days=due <= now) - now).total_seconds()
    raise UnknownScheduleError(f"{expression}: only rate(n minutes|hours|days) and cron(m h * * ? *) are known")


def schedule_event(name: str) -> dict[str, Any]:
    """Return what EventBridge Scheduler sends to a target for which no input is declared."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": "123456789012",
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [f"arn:aws:scheduler:{REGION}:123456789012:schedule/default/{name}"],
        "detail": "{}",
    }


async def _received(sqs: Any, queue_url: str, batch_size: int) -> AsyncIterator[list[dict[str, Any]]]:
    while True:
        try:
            answer = await asyncio.to_thread(
                sqs.receive_message,
                QueueUrl=queue_url,
                MaxNumberOfMessages=batch_size,
                WaitTimeSeconds=LONG_POLL_SECONDS,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
        except (BotoCoreError, ClientError) as error:
            logger.warning("%s cannot be read, and is tried again: %s", queue_url, error)
            await asyncio.sleep(1)
            continue
        if answer.get("Messages"):
            yield answer["Messages"]


async def _delete(sqs: Any, queue_url: str, messages: Sequence[Mapping[str, Any]]) -> None:
    if messages:
        entries = [{"Id": str(number), "ReceiptHandle": each["ReceiptHandle"]} for number, each in enumerate(messages)]
        await asyncio.to_thread(sqs.delete_message_batch, QueueUrl=queue_url, Entries=entries)


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
