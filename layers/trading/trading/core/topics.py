"""The notification topic (SNS): one message for all subscribers, in the format of each protocol."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from trading.core import aws, correlation
from trading.core.errors import UnavailableError
from trading.core.settings import setting

if TYPE_CHECKING:
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef


class TopicUnavailableError(UnavailableError):
    """SNS did not respond in time, or rejected the message."""


class Event(Protocol):
    """An event that can be described in words."""

    @property
    def id(self) -> str:
        """Return the unique id."""

    @property
    def type(self) -> str:
        """Return the event type, such as `trade.recorded.v1`."""

    def headline(self) -> str:
        """Return what happened, in one line."""

    def details(self) -> str:
        """Return the details in a sentence or two."""

    def attributes(self) -> Mapping[str, str]:
        """Return the attributes that subscription filters can use."""


def publish(event: Event, written: str) -> None:
    """Publish an event: as JSON (`written`) to queues and functions, and as plain text to all others.

    Raises:
        TopicUnavailableError: the event may not have been published.
    """
    client = aws.sns()
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded with the client, not before

    attributes = {"event_id": event.id, "type": event.type, **event.attributes()}
    described: dict[str, MessageAttributeValueTypeDef] = {
        name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
    }
    try:
        client.publish(
            TopicArn=setting("NOTIFICATIONS_TOPIC_ARN"),
            Subject=event.headline(),
            Message=json.dumps({"default": prose(event), "sqs": written, "lambda": written}),
            MessageStructure="json",
            MessageAttributes={**described, **correlation.attributes()},
        )
    except (BotoCoreError, ClientError) as error:
        raise TopicUnavailableError(str(error)) from error


def prose(event: Event) -> str:
    """Return an event as a plain text message for people."""
    return f"{event.headline()}\n\n{event.details()}\nEvent {event.id}\n"
