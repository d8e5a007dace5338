"""trades_api with a queue that takes whatever it is given, at once."""

from trading.core import aws


class Queue:
    """What SQS is to `trading.core.queues`."""

    def __init__(self, *_: object) -> None:
        """Take the settings of a client, which mean nothing here."""

    def post(self, *_: object) -> bytes:
        """Take every message."""
        return b"{}"


aws.sqs = Queue  # type: ignore[assignment]

from functions.trades_api.app import handler  # noqa: E402 - the queue comes first

__all__ = ["handler"]
