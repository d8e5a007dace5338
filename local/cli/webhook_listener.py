"""A local webhook receiver that verifies messages, as any receiver should, and prints them."""

import hmac
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer

from local.cli.console import printable
from trading.core.values import read_json
from trading.notifications import events
from trading.notifications.webhooks import messages

TOLERANCE_SECONDS = 300  # an older message may be a replay attack
BODY_LIMIT = 1_000_000
PATIENCE_SECONDS = 5.0


class UnverifiedError(Exception):
    """A message was not signed with the webhook's secret."""


class Listener(HTTPServer):
    """Listens on a port of this machine (0: any), and passes each message to `say` in one line."""

    def __init__(self, port: int, say: Callable[[str], None]) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.secret = ""
        self.say = say

    @property
    def url(self) -> str:
        """The URL of the listener."""
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: Listener
    timeout = PATIENCE_SECONDS

    def do_POST(self) -> None:
        """Respond with 204 to a verified message, otherwise with 400."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > BODY_LIMIT:
            self._answer(HTTPStatus.CONTENT_TOO_LARGE)
            return
        body = self.rfile.read(int(length)).decode(errors="replace")
        try:
            verify(self.server.secret, {name.lower(): value for name, value in self.headers.items()}, body)
        except UnverifiedError as error:
            self.server.say(f"NOT VERIFIED  {error}")
            self._answer(HTTPStatus.BAD_REQUEST)
            return
        self.server.say(f"verified  {line_of(body)}")
        self._answer(HTTPStatus.NO_CONTENT)

    def _answer(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Do not log requests."""


def verify(secret: str, headers: Mapping[str, str], body: str) -> None:
    """Check that a message was signed with a secret in the last five minutes; header names are in lower case.

    Raises:
        UnverifiedError: it was not.
    """
    message_id, timestamp = headers.get("webhook-id"), headers.get("webhook-timestamp", "")
    if not message_id or not timestamp.isdecimal():
        raise UnverifiedError("it is not signed")
    if abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        raise UnverifiedError("its time is more than five minutes from now")
    expected = messages.signature(secret, message_id, int(timestamp), body).encode()
    given = headers.get("webhook-signature", "").encode().split()
    if not any(hmac.compare_digest(expected, each) for each in given):
        raise UnverifiedError("its signature is not that of this webhook")


def line_of(body: str) -> str:
    """Return a message in one line: its id, its type, and what happened."""
    try:
        event = read_json(body)
        about = f"{event['type']}  {event['id']}"
    except (ValueError, TypeError, KeyError):
        return printable(body[:200])
    try:
        return printable(f"{about}  {events.read(body).headline()}")
    except ValueError:  # a test, or a type unknown to this version
        return printable(about)
