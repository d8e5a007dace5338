"""Calls to AWS without boto3: signed by botocore, sent over kept connections, and parsed by httptools.

Loading boto3's service models takes longer than importing everything else that a function needs, and one of its calls
takes four times as long. So this is for the calls that every request, or every client on a socket, has to wait for.
"""

import os
import select
import socket
import ssl
from collections.abc import Mapping
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
        request = AWSRequest("POST", self._url.geturl() + path, headers, data=body)
        SigV4Auth(_credentials(), self._service, os.environ["AWS_DEFAULT_REGION"]).add_auth(request)
        lines = {"Host": self._url.netloc, "Content-Length": len(body), **request.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        try:
            connection = self._connected()
            try:
                status, answer = connection.exchange(
                    f"POST {self._url.path}{path} HTTP/1.1\r\n{head}\r\n".encode() + body
                )
            except BaseException:
                connection.close()
                raise
        except (OSError, HttpParserError) as error:
            raise CallError(f"{self._url.netloc}: {error or type(error).__name__}") from error
        self._idle.append(connection)
        if status != HTTPStatus.OK:
            raise CallError(f"{status}: {answer[:500].decode(errors='replace')}", status)
        return answer

    def _connected(self) -> "_Connection":
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open():
                return connection
            connection.close()
        return _Connection(self._url, self._connect_seconds, self._read_seconds)


class _Connection:
    """A connection on which requests are sent one after another."""

    def __init__(self, url: SplitResult, connect_seconds: float, read_seconds: float) -> None:
        assert url.hostname  # noqa: S101 - a setting of the template
        self._socket = socket.create_connection((url.hostname, url.port or _PORTS[url.scheme]), connect_seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if url.scheme == "https":
            self._socket = _tls().wrap_socket(self._socket, server_hostname=url.hostname)
        self._socket.settimeout(read_seconds)
        self._is_kept = True

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send a request, and return the status and the body of the response.

        Raises:
            OSError: the connection ended, or the response does not come in time.
            httptools.HttpParserError: the response is not HTTP.
        """
        self._socket.sendall(request)
        response = _Response()
        while not response.is_complete:
            received = self._socket.recv(_READ_BYTES)
            if not received:
                raise ConnectionResetError("the connection was closed")
            response.parser.feed_data(received)
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
