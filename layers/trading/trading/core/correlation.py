"""Correlation: the id under which the logs tell of one request, from HTTP through a queue to the notification."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

ATTRIBUTE = "correlation_id"

_current: ContextVar[str | None] = ContextVar(ATTRIBUTE, default=None)


def begin(correlation_id: str | None) -> None:
    """Say what everything that follows is about, in the logs and on the way: nothing in particular, if `None`."""
    _current.set(correlation_id)
    # Not made on import, which may be before the environment names the service that is its parent.
    Logger(child=True).set_correlation_id(correlation_id)


def of_record(record: Mapping[str, Any]) -> str | None:
    """Return what a message of an SQS event is about, if it says."""
    attribute = record.get("messageAttributes", {}).get(ATTRIBUTE)
    return attribute["stringValue"] if attribute else None


def attributes() -> "dict[str, MessageAttributeValueTypeDef]":
    """Return what a message carries of it, as SQS and SNS spell attributes."""
    correlation_id = _current.get()
    return {ATTRIBUTE: {"DataType": "String", "StringValue": correlation_id}} if correlation_id else {}
