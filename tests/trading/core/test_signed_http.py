import os
import re
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore import auth
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from trading.core.signed_http import CallError, SignedHttp


class Service:
    """An HTTP service on this machine: what it was sent, over how many connections, and how it answers."""

    def __init__(self) -> None:
        self.url = ""
        self.heard: list[AWSRequest] = []
        self.connections: set[object] = set()
        self.status = 200
        self.answer = b"fine"
        self.closes = False
        self.closed = threading.Event()
        self.raw = b""
        self.odd: dict[str, bytes] = {}  # by path: what is sent before the connection ends; if nothing, it stays silent
        self.over = threading.Event()


@pytest.fixture
def service() -> Iterator[Service]:
    there = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            there.heard.append(
                AWSRequest("POST", f"http://{self.headers['host']}{self.path}", dict(self.headers), data=body)
            )
            there.connections.add(self.client_address)
            if self.path in there.odd:
                self.wfile.write(there.odd[self.path])
                self.close_connection = bool(there.odd[self.path]) or there.over.wait(10)
                return
            if there.raw:
                self.wfile.write(there.raw)
                self.close_connection = True
                return
            self.send_response(there.status)
            self.send_header("content-length", str(len(there.answer)))
            self.end_headers()
            self.wfile.write(there.answer)
            self.close_connection = there.closes

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def shutdown_request(self, request: Any) -> None:
            super().shutdown_request(request)
            there.closed.set()

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        there.url = f"http://127.0.0.1:{server.server_port}"
        yield there
        there.over.set()
        server.shutdown()


def client(service: Service) -> SignedHttp:
    return SignedHttp("execute-api", f"{service.url}/live", connect_seconds=1, read_seconds=0.2)


def is_signed_by(request: AWSRequest, credentials: Credentials) -> bool:
    """Check a signature as AWS does: sign what came, with the headers that it names, at the time that it names."""
    given = request.headers["authorization"]
    named = re.search(r"SignedHeaders=([a-z0-9;-]+)", given)
    assert named
    again = AWSRequest(
        "POST",
        request.url,
        {name: request.headers[name] for name in named[1].split(";") if name != "x-amz-date"},
        data=request.data,
    )
    at = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    with pytest.MonkeyPatch.context() as then:
        then.setattr(auth, "get_current_datetime", lambda *_, **__: at)
        SigV4Auth(credentials, "execute-api", os.environ["AWS_DEFAULT_REGION"]).add_auth(again)
    return bool(again.headers["authorization"] == given)


def test_a_call_carries_its_body_and_a_signature_of_what_arrives(service: Service) -> None:
    assert client(service).post("/@connections/a%2Fb%3D", b"hello", {"X-Amz-Target": "Thing.Do"}) == b"fine"
    [heard] = service.heard
    assert heard.url == f"{service.url}/live/@connections/a%2Fb%3D"
    assert heard.data == b"hello"
    assert heard.headers["x-amz-target"] == "Thing.Do"
    assert is_signed_by(heard, Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]))


def test_credentials_that_have_changed_sign_the_next_call(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = client(service)
    calls.post("/", b"")
    for name, value in (("ACCESS_KEY_ID", "new"), ("SECRET_ACCESS_KEY", "secret"), ("SESSION_TOKEN", "token")):
        monkeypatch.setenv(f"AWS_{name}", value)
    calls.post("/", b"")
    before, after = service.heard
    new = Credentials("new", "secret", "token")
    assert not is_signed_by(before, new)
    assert is_signed_by(after, new)
    assert after.headers["x-amz-security-token"] == "token"


def test_a_connection_is_kept_for_the_next_call_whatever_the_first_came_to(service: Service) -> None:
    calls = client(service)
    service.status, service.answer = 410, b'{"message": "Gone"}'
    with pytest.raises(CallError, match=r"410: .*Gone") as raised:
        calls.post("/", b"")
    assert raised.value.status == 410
    service.status = 200
    calls.post("/", b"")
    assert len(service.connections) == 1


def test_a_connection_that_the_service_has_closed_is_replaced_before_the_call(service: Service) -> None:
    calls = client(service)
    service.closes = True
    for _ in range(3):
        service.closed.clear()
        assert calls.post("/", b"") == b"fine"
        assert service.closed.wait(5)
    assert len(service.connections) == 3


def test_a_connection_that_the_service_is_about_to_close_is_not_used_again(service: Service) -> None:
    calls = client(service)
    service.raw = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfine"
    for _ in range(3):
        assert calls.post("/", b"") == b"fine"
    assert len(service.connections) == 3


def test_an_answer_may_come_in_chunks_or_without_a_body(service: Service) -> None:
    service.raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n2\r\nne\r\n0\r\n\r\n"
    assert client(service).post("/", b"") == b"fine"
    service.raw = b"HTTP/1.1 204 No Content\r\n\r\n"
    with pytest.raises(CallError, match="204"):
        client(service).post("/", b"")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
    ],
)
def test_an_answer_that_cannot_be_read_is_none(service: Service, raw: bytes) -> None:
    service.raw = raw or b"\r\n"
    with pytest.raises(CallError) as raised:
        client(service).post("/", b"")
    assert raised.value.status is None
    assert len(service.heard) == 1


def test_several_are_posted_to_at_a_time_and_each_gets_its_bodies_in_order_until_one_fails(service: Service) -> None:
    def bodies(number: int) -> Iterator[bytes]:
        yield b"first"
        if number == 5:
            raise CallError("enough")
        yield b"last"

    calls = client(service)
    posts = ((f"/{number}", bodies(number)) for number in range(12))
    outcomes = {path: str(error) for path, error in calls.post_each(posts, at_once=4)}
    assert outcomes == {f"/{number}": "enough" if number == 5 else "None" for number in range(12)}
    for number in range(12):
        heard = [request.data for request in service.heard if request.url == f"{service.url}/live/{number}"]
        assert heard == ([b"first"] if number == 5 else [b"first", b"last"])
    assert len(service.connections) == 4


def test_of_several_who_does_not_answer_or_breaks_off_holds_up_nobody(service: Service) -> None:
    service.odd = {"/live/1": b"", "/live/2": b"HTTP/1.1 200 OK\r\nContent-Le", "/live/3": b"nonsense\r\n\r\n"}
    posts = ((f"/{number}", iter([b""])) for number in range(8))
    outcomes = dict(client(service).post_each(posts, at_once=4))
    assert {path for path, error in outcomes.items() if error} == {"/1", "/2", "/3"}
    assert "timed out" in str(outcomes["/1"])
    assert {error.status for error in outcomes.values() if error} == {None}


def test_posts_that_end_in_an_error_leave_no_connection_half_used(service: Service) -> None:
    def posts() -> Iterator[tuple[str, Iterator[bytes]]]:
        yield "/1", iter([b""])
        raise ValueError("the table is away")

    calls = client(service)
    with pytest.raises(ValueError, match="away"):
        list(calls.post_each(posts(), at_once=4))
    service.answer = b"of the next call"
    assert calls.post("/2", b"") == b"of the next call"


def test_who_does_not_answer_or_is_not_there_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        calls = SignedHttp("sqs", url, connect_seconds=0.1, read_seconds=0.1)
        with pytest.raises(CallError, match="timed out"):
            calls.post("/", b"")
    with pytest.raises(CallError, match="refused"):
        calls.post("/", b"")
