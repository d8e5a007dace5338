"""Queues: putting messages on SQS, ten to a call."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trading.core import aws, correlation
from trading.core.errors import UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

BATCH_LIMIT = 10  # entries of one SendMessageBatch call


class QueueUnavailableError(UnavailableError):
    """SQS did not answer in time, or refused the whole call."""


def send(queue_url: str, bodies: Sequence[str], seconds: float, groups: Sequence[str] = ()) -> list[int]:
    """Put up to ten messages on a queue, in at most so many seconds, and return the positions of what it did not take.

    A FIFO queue wants the group of each: what is of one group stays in order. Each carries what it is about in the
    logs: see `correlation`.

    Raises:
        QueueUnavailableError: none is known to have been taken.
    """
    entries: list[SendMessageBatchRequestEntryTypeDef] = [
        {"Id": str(position), "MessageBody": body, "MessageAttributes": correlation.attributes()}
        for position, body in enumerate(bodies)
    ]
    for entry, group in zip(entries, groups, strict=False):
        entry["MessageGroupId"] = group
    sqs = aws.sqs(seconds)
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded with the client, not before

    try:
        answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
    except (BotoCoreError, ClientError) as error:
        raise QueueUnavailableError(str(error)) from error
    return [int(entry["Id"]) for entry in answer.get("Failed", [])]
