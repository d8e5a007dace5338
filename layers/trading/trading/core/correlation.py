"""Correlation: the id that connects a request's log lines, from HTTP through the queues to the notification."""

import os
from collections.abc import Mapping
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

ATTRIBUTE = "correlation_id"

_current: ContextVar[str | None] = ContextVar(ATTRIBUTE, default=None)


def begin(correlation_id: str | None) -> None:
    """Set the correlation id of all following log lines and messages; None clears it."""
    _current.set(correlation_id)
    _logger(os.getenv("POWERTOOLS_SERVICE_NAME")).set_correlation_id(correlation_id)


@cache  # creating a logger takes a tenth of the time of a request
def _logger(service: str | None) -> Logger:
    # Not created on import, when the environment may not yet name the parent logger's service.
    return Logger(service=service, child=True)


def of_record(record: Mapping[str, Any]) -> str | None:
    """Return the correlation id of a message in an SQS event, if it has one."""
    attribute = record.get("messageAttributes", {}).get(ATTRIBUTE)
    return attribute["stringValue"] if attribute else None


def attributes() -> "dict[str, MessageAttributeValueTypeDef]":
    """Return the correlation id as message attributes for SQS and SNS."""
    correlation_id = _current.get()
    return {ATTRIBUTE: {"DataType": "String", "StringValue": correlation_id}} if correlation_id else {}
