"""Calls to AWS without its client: signed by botocore, and posted over connections that are kept.

What boto3 knows of a service takes longer to load than all else that a function needs, and each of its calls takes four
times as long as one of these. So they are for what every request, or every client on a socket, pays for.
"""

import os
import select
import socket
import ssl
from collections.abc import Iterator, Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from urllib.parse import SplitResult, urlsplit

import botocore
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_PORTS = {"http": 80, "https": 443}
_LINE_LIMIT = 65_536


class CallError(Exception):
    """A call was not answered with 200: `status` says with what, or is None where no answer came."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class SignedHttp:
    """A service at a URL, which several threads may call at a time. No call is tried twice.

    Connecting and reading are bounded one by one, and the two together by their sum.
    """

    def __init__(self, service: str, url: str, *, connect_seconds: float, read_seconds: float) -> None:
        self._service = service
        self._url = urlsplit(url)
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._idle: list[_Connection] = []

    def __del__(self) -> None:
        """Close what is idle."""
        for connection in self._idle:
            connection.close()

    def post(self, path: str, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> bytes:
        """Post to a path below the URL, and return the body of the answer.

        Raises:
            CallError: the service cannot be reached, does not answer in time, or answers with another status than 200.
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
        except (OSError, ValueError) as error:
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
    """A connection on which one request after the other is answered.

    It reads of HTTP what these services answer with: http.client's reading of headers takes longer than all the rest.
    """

    def __init__(self, url: SplitResult, connect_seconds: float, read_seconds: float) -> None:
        assert url.hostname  # noqa: S101 - a setting of the template
        self._socket = socket.create_connection((url.hostname, url.port or _PORTS[url.scheme]), connect_seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if url.scheme == "https":
            self._socket = _tls().wrap_socket(self._socket, server_hostname=url.hostname)
        self._socket.settimeout(read_seconds)
        self._incoming = self._socket.makefile("rb")
        self._is_kept = True

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send a request, and return the status and the body of the answer.

        Raises:
            OSError: the connection ended, or the answer does not come in time.
            ValueError: the answer is not HTTP, or does not say how long it is.
        """
        self._socket.sendall(request)
        version, status, *_ = self._line().split(b" ", 2)
        headers = dict(self._headers())
        if b"content-length" not in headers:
            raise ValueError("an answer without a Content-Length")
        length = int(headers[b"content-length"])
        body = self._incoming.read(length)
        if len(body) < length:
            raise ConnectionResetError("the answer was cut short")
        self._is_kept = version == b"HTTP/1.1" and headers.get(b"connection", b"").lower() != b"close"
        return int(status), body

    def _headers(self) -> Iterator[tuple[bytes, bytes]]:
        while line := self._line():
            name, _, value = line.partition(b":")
            yield name.lower(), value.strip()

    def _line(self) -> bytes:
        line = self._incoming.readline(_LINE_LIMIT)
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError("the connection was closed")
        return line[:-2]

    def is_open(self) -> bool:
        """Return whether it can carry another request: one that the service has closed can be read, to its end."""
        return self._is_kept and not select.select([self._socket], [], [], 0)[0]

    def close(self) -> None:
        """Close it."""
        self._incoming.close()
        self._socket.close()


def _credentials() -> Credentials:
    """Return those of the environment, where Lambda and the laptop put them, as they are now."""
    get = os.environ.get
    return Credentials(get("AWS_ACCESS_KEY_ID", ""), get("AWS_SECRET_ACCESS_KEY", ""), get("AWS_SESSION_TOKEN"))


@cache
def _tls() -> ssl.SSLContext:
    # The roots that AWS's own clients trust.
    return ssl.create_default_context(cafile=Path(botocore.__file__).with_name("cacert.pem"))
