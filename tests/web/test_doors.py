"""A page of another origin, in a real browser, can neither read nor write at any port of the laptop."""

import asyncio
import http.server
import threading
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from local.cli.feed import Options
from local.cli.feed_server import serving
from local.host.system import RunningSystem
from tests.web.conftest import Open, send, trades_of

FOREIGN = "foreign.example"  # a name that resolves to this machine, as a rebound one does

READ = "(url) => fetch(url).then((response) => response.text(), () => 'refused')"
SEND = """
  ([url, body]) => fetch(url, { method: "POST", mode: "no-cors", headers: { "Content-Type": "text/plain" }, body })
    .then(() => "sent", () => "refused")
"""
SUBMIT = """
  ([url, body]) => {
    const [name, value] = body.split("=");
    const target = crypto.getRandomValues(new Uint32Array(1)).join();
    const frame = Object.assign(document.createElement("iframe"), { name: target });
    const form = document.createElement("form");
    Object.assign(form, { action: url, method: "POST", enctype: "text/plain", target });
    form.append(Object.assign(document.createElement("input"), { name, value }));
    document.body.append(frame, form);
    return new Promise((done) => {
      frame.onload = () => done("sent");
      setTimeout(() => done("no answer"), 10_000);
      form.submit();
    });
  }
"""
CONNECT = """
  (url) => new Promise((done) => {
    const socket = new WebSocket(url);
    socket.onopen = () => done("open");
    socket.onerror = () => done("refused");
  })
"""


class Server(http.server.BaseHTTPRequestHandler):
    """A server that has nothing to do with the laptop's, and lets everybody read."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Foreign</title>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def foreign_server() -> Iterator[int]:
    """The port of the other origin's server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def foreign_page(browser: Browser, foreign_server: int) -> Iterator[Page]:
    """A page of another origin, whose name resolves to this machine."""
    page = browser.new_page()
    page.goto(f"http://{FOREIGN}:{foreign_server}/")
    expect(page).to_have_title("Foreign")
    yield page
    page.close()


@pytest.fixture
def feed_url(loop: asyncio.AbstractEventLoop) -> Iterator[str]:
    """Where the mock market of `make start` is served."""
    stop = asyncio.Event()
    served: asyncio.Queue[str] = asyncio.Queue()

    async def serve() -> None:
        async with serving(Options(seed="doors"), 0) as feed:
            await served.put(feed.url)
            await stop.wait()

    done = asyncio.run_coroutine_threadsafe(serve(), loop)
    yield asyncio.run_coroutine_threadsafe(served.get(), loop).result(30)
    loop.call_soon_threadsafe(stop.set)
    done.result(30)


def test_it_reads_nothing(foreign_page: Page, foreign_server: int, running: RunningSystem) -> None:
    # That a page can read across origins here at all, where it is let.
    assert "Foreign" in foreign_page.evaluate(READ, f"http://other.example:{foreign_server}/")
    api, aws = running.url, running.aws.endpoint
    targets = [
        f"{api}/api/trades",
        f"{api}/api/health",
        f"{api}/config.json",
        f"{api}/docs/openapi.json",
        f"{aws}/{running.environment['DATA_BUCKET']}",
        f"{aws}/?Action=ListQueues",
        running.socket_url.replace("ws:", "http:"),
    ]
    assert {target: foreign_page.evaluate(READ, target) for target in targets} == dict.fromkeys(targets, "refused")


@pytest.mark.parametrize("way", [SEND, SUBMIT], ids=["script", "form"])
def test_it_writes_nothing(foreign_page: Page, running: RunningSystem, way: str) -> None:
    ticker = "".join(chr(ord("A") + byte % 26) for byte in uuid.uuid4().bytes[:5])
    name = f"foreign-{uuid.uuid4().hex}"
    trade = (
        f'{{"ticker":"{ticker}","price":"1","quantity":1,"side":"BUY","timestamp":"2026-05-01T12:00:00Z","note":"="}}'
    )
    foreign_page.evaluate(way, [f"{running.url}/api/trades", trade])
    foreign_page.evaluate(way, [f"{running.aws.endpoint}/?Action=CreateQueue&QueueName={name}", "a=b"])
    foreign_page.evaluate(way, [f"{running.aws.endpoint}/{running.environment['DATA_BUCKET']}/{name}", "a=b"])
    assert trades_of(running.url, ticker) == []
    assert "QueueUrls" not in running.aws.client("sqs").list_queues(QueueNamePrefix=name)
    listed = running.aws.client("s3").list_objects_v2(Bucket=running.environment["DATA_BUCKET"], Prefix=name)
    assert listed["KeyCount"] == 0


def test_it_opens_no_socket(foreign_page: Page, open_page: Open, running: RunningSystem, feed_url: str) -> None:
    ticket_url = send(f"{running.url}/api/prices/ticket", {})["url"]
    assert foreign_page.evaluate(CONNECT, ticket_url) == "refused"
    assert foreign_page.evaluate(CONNECT, feed_url) == "refused"
    # The page of this very machine can, with the ticket that nobody has used yet.
    assert open_page("prices").evaluate(CONNECT, ticket_url) == "open"


def test_a_name_that_was_made_to_resolve_here_shows_nothing(foreign_page: Page, running: RunningSystem) -> None:
    for target in (running.url, running.aws.endpoint, running.socket_url.replace("ws:", "http:")):
        response = foreign_page.goto(f"http://{FOREIGN}:{urlsplit(target).port}/")
        assert response
        assert response.status == 403
        assert foreign_page.evaluate("fetch('/api/trades').then((response) => response.status)") == 403
