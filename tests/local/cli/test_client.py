import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click
import pytest

from local.cli import client
from local.cli.client import Client, ProblemError, find_token, find_url
from local.host import authorizer


class System:
    """A trading system that gives the answers of its script, and keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str | None, bytes]] = []
        self.answers: list[tuple[int, str, dict[str, str]]] = []
        self.url = ""

    def will_answer(self, status: int, body: Any, content_type: str = "application/json", **headers: str) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self.answers.append((status, text, {"Content-Type": content_type, **headers}))


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[System]:
    """One that is served, on a machine where nothing else is."""
    monkeypatch.setattr(client, "FOLDER", tmp_path)
    monkeypatch.delenv("TOKEN", raising=False)
    monkeypatch.delenv("TRADING_URL", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # which is not for this machine
    system = System()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            system.asked.append((self.command, self.path, self.headers["Authorization"], body))
            status, text, headers = system.answers.pop(0)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = answer  # noqa: N815 - as the library looks for them

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        system.url = f"http://127.0.0.1:{server.server_port}"
        yield system
        server.shutdown()
        thread.join()


def test_what_is_asked_for_is_sent_and_fractions_keep_their_digits(system: System) -> None:
    system.will_answer(200, '{"price": 310.50}')
    system.will_answer(201, {"id": 1})
    api = Client(system.url + "/")
    assert str(api.get("/api/trades/", ticker="BRK.B", limit=2, side=None)["price"]) == "310.50"
    assert api.post("/api/trades/", {"ticker": "MSFT"}) == {"id": 1}
    assert system.asked == [
        ("GET", "/api/trades/?ticker=BRK.B&limit=2", None, b""),
        ("POST", "/api/trades/", None, b'{"ticker": "MSFT"}'),
    ]


def test_the_pages_of_a_list_are_one_list(system: System) -> None:
    system.will_answer(200, [1, 2], Link='</api/alerts/?limit=2&cursor=abc>; rel="next"')
    system.will_answer(200, [3])
    assert list(Client(system.url).pages("/api/alerts/", limit=2)) == [1, 2, 3]
    assert [path for _, path, _, _ in system.asked] == ["/api/alerts/?limit=2", "/api/alerts/?limit=2&cursor=abc"]


def test_text_is_text_and_any_body_can_be_sent(system: System) -> None:
    system.will_answer(200, "a,b\n", "text/csv")
    answer = Client(system.url).call("POST", "/api/imports", b"\xff", "application/octet-stream")
    assert (answer.status, answer.body, answer.next) == (200, "a,b\n", None)
    assert system.asked[0][3] == b"\xff"


PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("status", "body", "headers", "said"),
    [
        (400, {"detail": "price: must not be negative"}, {}, "HTTP 400: price: must not be negative."),
        (404, {"title": "Not Found"}, {}, "HTTP 404: Not Found."),
        (429, {"message": "Too Many Requests"}, {}, "HTTP 429: Too Many Requests."),
        (503, {"detail": "It is away."}, {"Retry_After": "5"}, "HTTP 503: It is away. Try again in 5 s."),
        (500, "<html>", {}, "HTTP 500: Internal Server Error."),
        (502, "[]", {}, "HTTP 502: Bad Gateway."),
        (400, {"detail": "ticker\x1b[2J is wrong"}, {}, "HTTP 400: ticker\\x1b[2J is wrong."),
    ],
)  # fmt: skip
def test_a_problem_is_one_sentence(system: System, status: int, body: Any, headers: dict[str, str], said: str) -> None:
    system.will_answer(status, body, PROBLEM, **headers)
    with pytest.raises(ProblemError) as problem:
        Client(system.url).get("/api/trades/")
    assert (str(problem.value), problem.value.status) == (said, status)


def test_who_has_no_token_is_told_where_one_comes_from(system: System) -> None:
    system.will_answer(401, {"message": "Unauthorized"})
    with pytest.raises(ProblemError, match=r"HTTP 401: Unauthorized\. Set TOKEN .* `./trading token` prints one"):
        Client(system.url).get("/api/trades/")


def test_who_may_not_is_told_what_a_token_has_to_allow(system: System) -> None:
    system.will_answer(403, {"detail": "The access token needs the scope trades:write."}, PROBLEM)
    with pytest.raises(ProblemError, match=r"Set TOKEN to a token that allows trades:read and trades:write; "):
        Client(system.url, "trades:read", "trades:write").get("/api/trades/")


def test_a_redirect_is_not_followed_for_it_would_take_the_token_along(system: System) -> None:
    system.will_answer(302, "", Location=f"{system.url}/elsewhere")
    with pytest.raises(ProblemError, match="HTTP 302"):
        Client(system.url).get("/api/trades/")
    assert len(system.asked) == 1


def test_where_nothing_answers_is_said_and_what_helps() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(
        ProblemError, match=rf"No answer from http://127.0.0.1:{port} .*Start a system with `make start`"
    ):
        Client(f"http://127.0.0.1:{port}").get("/")


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH\r\n", b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"']
)
def test_what_is_no_trading_system_is_said_to_be_none(answer: bytes) -> None:
    with answering(answer) as port, pytest.raises(ProblemError, match="is not a trading system"):
        Client(f"http://127.0.0.1:{port}").get("/")


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4_096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_the_url_is_the_given_one_or_the_environments_or_that_of_the_system_here(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del system
    assert find_url(None) == "http://127.0.0.1:8000"
    (tmp_path / "environment").write_text("OTHER='a b'\nTRADING_URL=http://127.0.0.1:8010\n")
    assert find_url(None) == "http://127.0.0.1:8010"
    monkeypatch.setenv("TRADING_URL", "https://api.example.com/")
    assert find_url(None) == "https://api.example.com"
    assert find_url("http://localhost:9000") == "http://localhost:9000"


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://localhost", "http://", "file:///etc/passwd"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(click.BadParameter, match="is not the URL of a trading system"):
        find_url(url)


def test_a_token_is_the_environments_or_made_for_this_machine_and_no_other(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_token(system.url, "trades:read") is None
    door = authorizer.of_this_laptop(tmp_path)
    system.will_answer(200, [])
    Client(system.url, "trades:read", "trades:write").get("/api/trades/")
    claims = door.authorize(system.asked[0][2], ["trades:write"])["claims"]
    assert (claims["sub"], claims["scope"]) == ("local", "trades:read trades:write")
    assert find_token("https://api.example.com", "trades:read") is None
    monkeypatch.setenv("TOKEN", "mine")
    assert find_token("https://api.example.com", "trades:read") == "mine"
