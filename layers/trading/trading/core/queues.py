"""Queues: sending messages to SQS, ten per call."""

import json
from collections.abc import Sequence
from typing import Any

from trading.core import aws, correlation
from trading.core.errors import UnavailableError

BATCH_LIMIT = 10  # entries of one SendMessageBatch call
_HEADERS = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.SendMessageBatch"}


class QueueUnavailableError(UnavailableError):
    """SQS did not respond in time, or rejected the whole call."""


def send(queue_url: str, bodies: Sequence[str], seconds: float, groups: Sequence[str] = ()) -> list[int]:
    """Put up to ten messages on a queue, in at most so many seconds, and return the positions of what it did not take.

    A FIFO queue wants the group of each: what is of one group stays in order. Each carries what it is about in the
    logs: see `correlation`.

    Raises:
        QueueUnavailableError: none is known to have been taken.
    """
    entries: list[dict[str, Any]] = [
        {"Id": str(position), "MessageBody": body, "MessageAttributes": correlation.attributes()}
        for position, body in enumerate(bodies)
    ]
    for entry, group in zip(entries, groups, strict=False):
        entry["MessageGroupId"] = group
    sqs = aws.sqs(queue_url, seconds)
    from trading.core.signed_http import CallError  # noqa: PLC0415 - loaded with the client, not before

    body = json.dumps({"QueueUrl": queue_url, "Entries": entries}).encode()
    try:
        answer = json.loads(sqs.post("/", body, _HEADERS))
    except (CallError, ValueError) as error:
        raise QueueUnavailableError(str(error)) from error
    return [int(entry["Id"]) for entry in answer.get("Failed", [])]
