"""Messages: the body for each kind of receiver, and the signature of standard webhooks.

https://www.standardwebhooks.com; https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks;
https://core.telegram.org/bots/api#sendmessage
"""

import base64
import hashlib
import hmac
import json
import secrets
from typing import Literal
from urllib.parse import urlsplit

from trading.core import topics
from trading.notifications.events import Event

Kind = Literal["standard", "slack", "telegram"]

SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix of all Standard Webhooks secrets
SECRET_BYTES = 32
TEST_TYPE = "webhook.tested.v1"


def new_secret() -> str:
    """Return a new signing secret in the format of Standard Webhooks."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature(secret: str, message_id: str, timestamp: int, body: str) -> str:
    """Return the signature of a message: HMAC-SHA256 of its id, the Unix time of sending, and its body."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message_id}.{timestamp}.{body}".encode()
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def headers(secret: str | None, message_id: str, timestamp: int, body: str) -> dict[str, str]:
    """Return the headers of a message; without a secret it is not signed."""
    content = {"Content-Type": "application/json"}
    if secret is None:
        return content
    return {
        **content,
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(secret, message_id, timestamp, body),
    }


def body_of_event(kind: Kind, chat_id: str | None, event: Event, written: str) -> str:
    """Return the body for an event: the `written` JSON, or text for a chat."""
    return written if kind == "standard" else _chat_body(kind, chat_id, topics.prose(event))


def body_of_test(kind: Kind, chat_id: str | None, event_id: str, time: str, webhook_id: str) -> str:
    """Return the body of a test event."""
    if kind == "standard":
        event = {"id": event_id, "type": TEST_TYPE, "time": time, "data": {"webhook_id": webhook_id}}
        return json.dumps(event, separators=(",", ":"))
    return _chat_body(kind, chat_id, f"TEST of webhook {webhook_id}\n\nNotifications arrive here.\n")


def _chat_body(kind: Kind, chat_id: str | None, text: str) -> str:
    if kind == "telegram":
        return json.dumps({"chat_id": chat_id, "text": text})
    # These characters start Slack's markup: a trade's note must not be able to mention a whole channel.
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return json.dumps({"text": escaped})


def redacted(kind: Kind, url: str) -> str:
    """Return a URL in a form that may be shown: the URL of a chat is a secret that allows posting to it."""
    return url if kind == "standard" else f"https://{urlsplit(url).hostname}/***"
