import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from local.cli import webhook_listener
from local.cli.main import main
from local.cli.webhook_listener import Listener, UnverifiedError, verify
from tests.local.cli.conftest import Api
from trading.notifications.webhooks import messages

pytestmark = pytest.mark.usefixtures("api", "webhook_tables")

SECRET = messages.new_secret()


@pytest.fixture
def listener() -> Iterator[tuple[Listener, list[str]]]:
    said: list[str] = []
    with Listener(0, said.append) as server:
        server.secret = SECRET
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server, said
        server.shutdown()
        thread.join()


def test_a_webhook_is_added_tested_listed_and_removed(
    listener: tuple[Listener, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    server, said = listener
    assert main(["webhooks", "add", server.url, "--ticker", "msft", "--event", "trade.recorded.v1", "--json"]) == 0
    webhook = json.loads(capsys.readouterr().out)
    server.secret = webhook["secret"]
    assert (webhook["ticker"], webhook["events"]) == ("MSFT", ["trade.recorded.v1"])

    assert main(["webhooks", "test", webhook["id"]]) == 0
    assert "Delivered: HTTP 204" in capsys.readouterr().out
    [line] = said
    assert line.startswith("verified  webhook.tested.v1  ")

    assert main(["webhooks", "list"]) == 0
    listed = capsys.readouterr().out
    assert webhook["id"] in listed
    assert "active" in listed
    assert webhook["secret"] not in listed

    assert main(["webhooks", "rm", webhook["id"]]) == 0
    assert main(["webhooks", "list"]) == 0
    assert "There are no webhooks." in capsys.readouterr().out


def test_a_test_that_does_not_arrive_fails_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    with Listener(0, print) as closed:
        url = closed.url
    assert main(["webhooks", "add", url, "--json"]) == 0
    webhook = json.loads(capsys.readouterr().out)
    assert main(["webhooks", "test", webhook["id"]]) == 1
    assert capsys.readouterr().err == "Error: The test did not arrive: Connection refused.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "http://example.com/"], "url: must be an https URL"),
        (["add", "https://example.com/", "--kind", "telegram"], "chat_id: is required for telegram"),
        (["rm", "../trades"], "is not the id of a webhook"),
        (["rm", "0f3b2c1d-9e8f-4a7b-8c6d-5e4f3a2b1c0d"], "There is no webhook 0f3b2c1d"),
        (["listen", "--url", "https://trading.example.com"], "give --secret"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["webhooks", *arguments]) != 0
    assert said in capsys.readouterr().err


def test_listening_creates_a_webhook_prints_what_arrives_and_deletes_it(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del api

    def serve(listener: Listener, _: float) -> None:
        assert main(["webhooks", "list", "--json"]) == 0
        [webhook] = json.loads(capsys.readouterr().out.partition("\n")[2])
        assert webhook["url"] == listener.url
        listener.timeout = 5
        answering = threading.Thread(target=listener.handle_request)
        answering.start()
        assert main(["webhooks", "test", webhook["id"]]) == 0
        answering.join()
        raise KeyboardInterrupt

    monkeypatch.setattr(webhook_listener.Listener, "serve_forever", serve)
    assert main(["webhooks", "listen", "--port", "0"]) == 130
    assert "Delivered: HTTP 204" in capsys.readouterr().out  # which is what is verified
    assert main(["webhooks", "list"]) == 0
    assert "There are no webhooks." in capsys.readouterr().out


def test_what_is_not_signed_with_the_secret_is_refused_and_said(listener: tuple[Listener, list[str]]) -> None:
    server, said = listener
    body = Path("events/webhook_sender/published.json").read_text()
    for headers in ({}, messages.headers(messages.new_secret(), "1", int(time.time()), body)):
        with pytest.raises(HTTPError, match="400"):
            urlopen(Request(server.url, body.encode(), headers), timeout=5)  # noqa: S310
    assert said == ["NOT VERIFIED  it is not signed", "NOT VERIFIED  its signature is not that of this webhook"]


@pytest.mark.parametrize("late", [-301, 301])
def test_a_message_of_another_time_is_not_verified(late: int) -> None:
    headers = messages.headers(SECRET, "1", int(time.time()) + late, "{}")
    with pytest.raises(UnverifiedError, match="five minutes"):
        verify(SECRET, headers, "{}")


def test_no_text_of_a_message_commands_the_terminal() -> None:
    assert "\x1b" not in webhook_listener.line_of('{"type": "\\u001b[2J", "id": "1"}')
    assert "\x1b" not in webhook_listener.line_of("\x1b[2J")
    assert webhook_listener.line_of("[]") == "[]"
