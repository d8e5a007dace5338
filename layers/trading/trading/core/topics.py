"""The topic of notifications: one message for everybody who subscribes, in the form that suits them."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from trading.core import aws, correlation
from trading.core.errors import UnavailableError
from trading.core.settings import setting

if TYPE_CHECKING:
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef


class TopicUnavailableError(UnavailableError):
    """SNS did not answer in time, or did not take the message."""


class Event(Protocol):
    """Something that happened, told in words."""

    @property
    def id(self) -> str:
        """Return what tells it from all others."""

    @property
    def type(self) -> str:
        """Return its kind, such as `trade.recorded.v1`."""

    def headline(self) -> str:
        """Return what happened in a line."""

    def details(self) -> str:
        """Return the rest in a sentence or two."""

    def attributes(self) -> Mapping[str, str]:
        """Return what a subscriber may choose by."""


def publish(event: Event, written: str) -> None:
    """Publish an event: as it is written in JSON to queues and functions, and as prose to everybody else.

    Raises:
        TopicUnavailableError: it is not known to be published.
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
    """Return an event as a message for people."""
    return f"{event.headline()}\n\n{event.details()}\nEvent {event.id}\n"
