"""The event bus: invoking another function asynchronously through EventBridge."""

import json
from collections.abc import Mapping

from trading.core import aws
from trading.core.errors import UnavailableError

SOURCE = "trading"


class BusUnavailableError(UnavailableError):
    """EventBridge did not respond in time, or rejected the event."""


def send(detail_type: str, detail: Mapping[str, str]) -> None:
    """Put an event on the account's default bus; the template's rules say which function it invokes.

    Raises:
        BusUnavailableError: the event may not have been accepted.
    """
    client = aws.events()
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded with the client, not before

    entry = {"Source": SOURCE, "DetailType": detail_type, "Detail": json.dumps(detail)}
    try:
        answer = client.put_events(Entries=[entry])  # type: ignore[list-item]  # a TypedDict, spelled as a dict
    except (BotoCoreError, ClientError) as error:
        raise BusUnavailableError(str(error)) from error
    if answer["FailedEntryCount"]:
        raise BusUnavailableError(str(answer["Entries"]))
