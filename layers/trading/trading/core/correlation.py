"""Correlation: the id under which the logs tell of one request, from HTTP through a queue to the notification."""

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
    """Say what everything that follows is about, in the logs and on the way: nothing in particular, if `None`."""
    _current.set(correlation_id)
    _logger(os.getenv("POWERTOOLS_SERVICE_NAME")).set_correlation_id(correlation_id)


@cache
def _logger(service: str | None) -> Logger:
    """Return the logger of a service, made at first use: making one takes a tenth of what a request does."""
    return Logger(service=service, child=True)


def of_record(record: Mapping[str, Any]) -> str | None:
    """Return what a message of an SQS event is about, if it says."""
    attribute = record.get("messageAttributes", {}).get(ATTRIBUTE)
    return attribute["stringValue"] if attribute else None


def attributes() -> "dict[str, MessageAttributeValueTypeDef]":
    """Return what a message carries of it, as SQS and SNS spell attributes."""
    correlation_id = _current.get()
    return {ATTRIBUTE: {"DataType": "String", "StringValue": correlation_id}} if correlation_id else {}
