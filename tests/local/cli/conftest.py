"""The HTTP API for the command line: the real handlers behind a real socket."""

import threading
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from urllib.parse import urlsplit

import pytest

from local.host.gateway import http_event
from tests.conftest import Channels, api_answer


class Api(HTTPServer):
    """The API, one request at a time; told to, it works and loses its next answer."""

    loses_next_answer = False

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Api

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = [(name.lower(), value) for name, value in self.headers.items()]
        event = http_event(self.command, parts.path, query=parts.query, headers=headers, body=body)
        # The command waits: what is written now is the handler's log, and none of the command's output.
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            answer = api_answer(event)
        if self.server.loses_next_answer:
            self.server.loses_next_answer = False
            return
        self.send_response(answer["statusCode"])
        for name, value in answer["headers"].items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer["body"].encode())

    do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - as the library looks for them

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api(database_url: str, channels: Channels, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """An API with an empty ledger, which commands find by themselves."""
    del database_url, channels
    monkeypatch.delenv("TOKEN", raising=False)
    with Api(("127.0.0.1", 0), _Handler) as server:
        monkeypatch.setenv("TRADING_URL", server.url)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
