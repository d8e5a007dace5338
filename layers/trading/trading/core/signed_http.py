"""Calls to AWS without boto3: signed by botocore, sent over kept connections, and parsed by httptools.

Loading boto3's service models takes longer than importing everything else that a function needs, and one of its calls
takes four times as long. So this is for the calls that every request, or every client on a socket, has to wait for.
"""

import os
import select
import selectors
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from urllib.parse import SplitResult, urlsplit

import botocore
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from httptools import HttpParserError, HttpResponseParser

_PORTS = {"http": 80, "https": 443}
_READ_BYTES = 65_536


class CallError(Exception):
    """The response was not 200: `status` is what it was, or None if there was no response."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class SignedHttp:
    """A service at a URL, which several threads may call at a time. No call is retried.

    Connecting and each read have a timeout of their own.
    """

    def __init__(self, service: str, url: str, *, connect_seconds: float, read_seconds: float) -> None:
        self._service = service
        self._url = urlsplit(url)
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._idle: list[_Connection] = []

    def __del__(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.close()

    def post(self, path: str, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> bytes:
        """Post to a path below the URL, and return the body of the response.

        Raises:
            CallError: the service cannot be reached, does not respond in time, or its response is not 200.
        """
        connection = self._sent(path, body, headers)
        while (answer := self._received(connection)) is None:
            pass
        return answer

    def post_each(
        self, posts: Iterable[tuple[str, Iterator[bytes]]], at_once: int
    ) -> Iterator[tuple[str, CallError | None]]:
        """Post to several paths at a time, and yield each path when it is done, with the error if there was one.

        The bodies for a path are posted one after another, up to the first failure. Iterating over them may raise
        CallError too, which counts as one.
        """
        with selectors.DefaultSelector() as waiting:
            try:
                for path, bodies in posts:
                    while len(waiting.get_map()) >= at_once:
                        yield from self._go_on(waiting)
                    yield from self._next(waiting, path, bodies)
                while waiting.get_map():
                    yield from self._go_on(waiting)
            finally:
                for key in waiting.get_map().values():
                    key.data[0].close()

    def _next(
        self, waiting: selectors.BaseSelector, path: str, bodies: Iterator[bytes]
    ) -> Iterator[tuple[str, CallError | None]]:
        """Send the next body for a path; yield the outcome if there is none left or it cannot be sent."""
        try:
            body = next(bodies, None)
            if body is None:
                yield path, None
            else:
                connection = self._sent(path, body)
                waiting.register(connection, selectors.EVENT_READ, (connection, path, bodies))
        except CallError as error:
            yield path, error

    def _go_on(self, waiting: selectors.BaseSelector) -> Iterator[tuple[str, CallError | None]]:
        """Wait until something arrives, and send the next body wherever a response is complete."""
        ready = waiting.select(self._read_seconds)
        for key, _ in ready:
            connection, path, bodies = key.data
            try:
                is_complete = self._received(connection, seconds=0) is not None
            except CallError as error:
                waiting.unregister(connection)
                yield path, error
            else:
                if is_complete:
                    waiting.unregister(connection)
                    yield from self._next(waiting, path, bodies)
        if not ready:  # each has waited that long
            for key in list(waiting.get_map().values()):
                connection, path, _ = key.data
                waiting.unregister(connection)
                connection.close()
                yield path, self._error("timed out")

    def _sent(self, path: str, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> "_Connection":
        """Send a request, and return the connection that will carry the response."""
        # Without the host the signer parses the URL several times to find it: a seventh of its work.
        request = AWSRequest("POST", self._url.geturl() + path, {"Host": self._url.netloc, **headers}, data=body)
        SigV4Auth(_credentials(), self._service, os.environ["AWS_DEFAULT_REGION"]).add_auth(request)
        head = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
        start = f"POST {self._url.path}{path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n{head}\r\n"
        try:
            connection = self._connected()
            connection.send(start.encode() + body)
        except OSError as error:
            raise self._error(error) from error
        return connection

    def _received(self, connection: "_Connection", seconds: float | None = None) -> bytes | None:
        """Read what has arrived of a response, and return its body once it is complete."""
        try:
            answer = connection.receive(self._read_seconds if seconds is None else seconds)
        except (OSError, HttpParserError) as error:
            raise self._error(error) from error
        if answer is None:
            return None
        self._idle.append(connection)
        status, body = answer
        if status != HTTPStatus.OK:
            raise CallError(f"{status}: {body[:500].decode(errors='replace')}", status)
        return body

    def _error(self, reason: object) -> CallError:
        return CallError(f"{self._url.netloc}: {reason or type(reason).__name__}")

    def _connected(self) -> "_Connection":
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open():
                return connection
            connection.close()
        return _Connection(self._url, self._connect_seconds, self._read_seconds)


class _Connection:
    """A connection on which requests are sent one after another."""

    def __init__(self, url: SplitResult, connect_seconds: float, send_seconds: float) -> None:
        assert url.hostname  # noqa: S101 - a setting of the template
        self._send_seconds = send_seconds
        self._socket = socket.create_connection((url.hostname, url.port or _PORTS[url.scheme]), connect_seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if url.scheme == "https":
            self._socket = _tls().wrap_socket(self._socket, server_hostname=url.hostname)
        self._is_kept = True
        self._response = _Response()

    def fileno(self) -> int:
        """Return the descriptor of its socket, which a selector waits for."""
        return self._socket.fileno()

    def send(self, request: bytes) -> None:
        """Send a request; if that fails, the connection is closed.

        Raises:
            OSError: the connection ended, or the other side does not take the request in time.
        """
        self._response = _Response()
        self._socket.settimeout(self._send_seconds)
        try:
            self._socket.sendall(request)
        except BaseException:
            self.close()
            raise

    def receive(self, seconds: float) -> tuple[int, bytes] | None:
        """Read once, and return the status and the body of the response if it is complete.

        With 0 seconds, do not wait. If reading fails, the connection is closed.

        Raises:
            OSError: the connection ended, or nothing comes in time.
            httptools.HttpParserError: the response is not HTTP.
        """
        response = self._response
        self._socket.settimeout(seconds)
        try:
            received = self._socket.recv(_READ_BYTES)
            response.parser.feed_data(received)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None  # less than a TLS record
        except BaseException:
            self.close()
            raise
        if not received:
            self.close()
            raise ConnectionResetError("the connection was closed")
        if not response.is_complete:
            return None
        self._is_kept = response.keeps_connection
        return response.parser.get_status_code(), b"".join(response.body)

    def is_open(self) -> bool:
        """Return whether it can carry another request. A connection that the service closed is readable, to its end."""
        return self._is_kept and not select.select([self._socket], [], [], 0)[0]

    def close(self) -> None:
        """Close it."""
        self._socket.close()


class _Response:
    """A response as httptools reads it, which calls these methods."""

    def __init__(self) -> None:
        self.parser = HttpResponseParser(self)
        self.body: list[bytes] = []
        self.is_complete = False
        self.keeps_connection = False

    def on_body(self, part: bytes) -> None:
        self.body.append(part)

    def on_message_complete(self) -> None:
        self.is_complete = True
        self.keeps_connection = self.parser.should_keep_alive()


def _credentials() -> Credentials:
    """Return the credentials in the environment, where Lambda and the laptop put them; they change over time."""
    get = os.environ.get
    return Credentials(get("AWS_ACCESS_KEY_ID", ""), get("AWS_SECRET_ACCESS_KEY", ""), get("AWS_SESSION_TOKEN"))


@cache
def _tls() -> ssl.SSLContext:
    # The roots that boto3 trusts.
    return ssl.create_default_context(cafile=Path(botocore.__file__).with_name("cacert.pem"))
