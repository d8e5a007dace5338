"""The event bus: asking another function to work on something, which nobody waits for."""

import json
from collections.abc import Mapping

from trading.core import aws
from trading.core.errors import UnavailableError

SOURCE = "trading"


class BusUnavailableError(UnavailableError):
    """EventBridge did not answer in time, or did not take the event."""


def send(detail_type: str, detail: Mapping[str, str]) -> None:
    """Put an event on the account's default bus; rules of the template say whom it wakes.

    Raises:
        BusUnavailableError: it is not known to be there.
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
