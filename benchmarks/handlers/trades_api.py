"""trades_api with a queue that takes whatever it is given, at once."""

from typing import Any

from trading import aws


class Queue:
    """What an SQS client is to `trading.queues`."""

    def send_message_batch(self, **_: Any) -> dict[str, Any]:
        """Take every message."""
        return {}


aws.sqs = Queue  # type: ignore[assignment]

from functions.trades_api.app import handler  # noqa: E402 - the queue comes first

__all__ = ["handler"]
