"""Sending: one HTTP POST to an untrusted host, with limits on time and size."""

import io
import socket
import ssl
import time
from collections.abc import Buffer, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import cast

from trading.notifications.webhooks import destinations
from trading.notifications.webhooks.destinations import Destination, DestinationError

SECONDS = 5.0  # in total, for name resolution, connection and response
ANSWER_LIMIT = 65_536  # bytes that are read of a response, including headers
SLOW_DOWN = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a POST: the response status, or the reason why there is none."""

    status: int | None
    milliseconds: int
    error: str | None = None
    retry_after: float | None = None  # seconds, of a 429 or 503

    @property
    def is_success(self) -> bool:
        """Whether the receiver accepted it."""
        return self.status is not None and HTTPStatus(200) <= self.status < HTTPStatus.MULTIPLE_CHOICES


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send a body to a URL and return the result; failures of the receiver are results, not exceptions.

    Redirects are not followed: a 301 is a result like any other.
    """
    started = time.monotonic()
    status = error = retry_after = None
    try:
        status, retry_after = _post(_destination(url), body, headers, started + SECONDS)
    except TimeoutError:
        error = f"no answer within {SECONDS:g} seconds"
    except DestinationError as refused:
        error = str(refused)
    except ssl.SSLError as failed:
        error = f"TLS: {getattr(failed, 'verify_message', '') or failed.reason}"
    except OSError as failed:
        error = failed.strerror or type(failed).__name__
    except HTTPException as failed:
        error = f"the answer is not HTTP: {type(failed).__name__}"
    return Answer(status, round((time.monotonic() - started) * 1_000), error, retry_after)


def _destination(url: str) -> Destination:
    try:
        return destinations.parse(url)
    except ValueError as error:  # a stored URL may no longer be valid
        raise DestinationError(f"the URL {error}") from None


def _post(
    destination: Destination, body: bytes, headers: Mapping[str, str], deadline: float
) -> tuple[int, float | None]:
    addresses = destinations.resolve(destination, deadline - time.monotonic())
    with _connected(destination, addresses, deadline) as connected:
        connection = HTTPConnection(destination.host)
        connection.sock = cast("socket.socket", _Bounded(connected, deadline))
        connection.request(
            "POST",
            destination.target,
            body,
            {**headers, "User-Agent": "trading-webhooks/1", "Connection": "close"},
        )
        # Only the status matters; the rest is read, within the limits, so that the receiver can finish.
        response = connection.getresponse()
        with suppress(OSError, HTTPException):
            response.read()
        return response.status, _retry_after(response)


def _connected(destination: Destination, addresses: list[str], deadline: float) -> socket.socket:
    """Return a connection to the first address that accepts one, over TLS verified for the host's name."""
    for address in addresses[:-1]:
        with suppress(OSError):
            return _connect(destination, address, time.monotonic() + _left(deadline) / 2)
    return _connect(destination, addresses[-1], deadline)


def _connect(destination: Destination, address: str, deadline: float) -> socket.socket:
    connected = socket.create_connection((address, destination.port), _left(deadline))
    if not destination.is_tls:
        return connected
    try:
        connected.settimeout(_left(deadline))
        return _tls().wrap_socket(connected, server_hostname=destination.host)
    except BaseException:
        connected.close()
        raise


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Bounded:
    """The part of a socket's interface that `http.client` uses, with a deadline and a limit on what is read."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._connected = connected
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        """Send bytes."""
        self._connected.settimeout(_left(self._deadline))
        self._connected.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the incoming bytes as a file."""
        assert mode == "rb"  # noqa: S101 - the only mode that http.client uses
        return io.BufferedReader(_Incoming(self._connected, self._deadline))

    def close(self) -> None:
        """Do nothing: the caller closes the socket."""


class _Incoming(io.RawIOBase):
    """The incoming bytes of a connection, up to the deadline and the limit."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._connected = connected
        self._deadline = deadline
        self._room = ANSWER_LIMIT

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Read available bytes into a buffer and return their number; 0 at the end or the limit."""
        view = memoryview(buffer)[: self._room]
        self._connected.settimeout(_left(self._deadline))
        count = self._connected.recv_into(view) if self._room else 0
        self._room -= count
        return count


def _retry_after(response: HTTPResponse) -> float | None:
    """Return a response's Retry-After in seconds; the header is a number of seconds or a date."""
    written = response.getheader("Retry-After", "")
    if response.status not in SLOW_DOWN or not written:
        return None
    if written.isascii() and written.isdecimal():
        return float(written[:9])
    try:
        until = parsedate_to_datetime(written)
    except ValueError:
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
