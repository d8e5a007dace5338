import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest

from tests.trading.notifications.webhooks.receivers import (
    Authority,
    Behavior,
    Receiver,
    answers,
    closes,
    keeps_silent,
    listening,
    repeats,
    sends,
)
from trading.notifications.webhooks import destinations, sending
from trading.notifications.webhooks.sending import Answer

HOST = "hooks.example.com"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("WEBHOOKS_TO_LOOPBACK", "true")
    with listening() as receiver:
        yield receiver


def send(url: str) -> Answer:
    return sending.post(url, b'{"a": 1}', {"Content-Type": "application/json", "webhook-id": "1"})


def test_a_body_and_its_headers_arrive_as_they_were_given(receiver: Receiver) -> None:
    assert send(f"{receiver.url}?key=1").is_success
    [request] = receiver.requests
    assert request.line == "POST /hooks?key=1 HTTP/1.1"
    assert request.headers["host"] == "127.0.0.1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "1"
    assert request.body == b'{"a": 1}'


@pytest.mark.parametrize("status", [201, 204, 299, 400, 404, 410, 500])
def test_a_status_is_an_answer_and_only_2xx_is_success(receiver: Receiver, status: int) -> None:
    receiver.behavior = answers(status, body=b"")
    answer = send(receiver.url)
    assert (answer.status, answer.error, answer.is_success) == (status, None, status < 300)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(receiver: Receiver, status: int) -> None:
    with listening() as other:
        receiver.behavior = answers(status, f"Location: {other.url}")
        answer = send(receiver.url)
        assert (answer.status, answer.is_success, other.connections) == (status, False, 0)


def test_a_receiver_may_ask_to_be_left_alone_for_seconds_or_until_a_time(receiver: Receiver) -> None:
    until = datetime.now(UTC) + timedelta(seconds=100)
    for status, written, expected in (
        (429, "120", 120),
        (503, "120", 120),
        (429, format_datetime(until, usegmt=True), 100),
        (429, format_datetime(until - timedelta(hours=1), usegmt=True), 0),
        (429, "9" * 400, 999_999_999),
        (429, "soon", None),
        (429, "-5", None),
        (429, "\u0665", None),
        (500, "120", None),
        (200, "120", None),
    ):
        receiver.behavior = answers(status, f"Retry-After: {written}")
        assert send(receiver.url).retry_after == pytest.approx(expected, abs=3)


@pytest.mark.parametrize(
    ("behavior", "status", "error"),
    [
        (closes, None, "RemoteDisconnected"),
        (sends(b"220 mail.example ESMTP\r\n"), None, "BadStatusLine"),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), 200, ""),
        (sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"), 200, ""),
        (repeats(b"x" * 65_536), None, "BadStatusLine"),
        (repeats(b"HTTP/1.1 100 Continue\r\n\r\n"), None, "not HTTP"),
        (repeats(b"x: y\r\n", head=b"HTTP/1.1 200 OK\r\n"), None, "not HTTP"),
        (repeats(b"x" * 65_536, head=b"HTTP/1.1 200 OK\r\n\r\n"), 200, ""),
        (
            repeats(
                b"10000\r\n" + b"x" * 65_536 + b"\r\n", head=b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n"
            ),
            500,
            "",
        ),
    ],
)
def test_an_answer_that_is_cut_short_endless_or_not_http_is_read_within_bounds(
    receiver: Receiver, behavior: Behavior, status: int | None, error: str
) -> None:
    receiver.behavior = behavior
    answer = send(receiver.url)
    assert answer.status == status
    assert error in (answer.error or "")
    assert (answer.error is None) == (status is not None)


@pytest.mark.parametrize(
    ("behavior", "status"),
    [
        (keeps_silent, None),
        (repeats(b"x", head=b"HTTP/1.1 200 OK\r\nx: ", every=0.02), None),
        (repeats(b"x", head=b"HTTP/1.1 200 OK\r\n\r\n", every=0.02), 200),
    ],
)
def test_a_receiver_that_is_slow_is_waited_for_until_the_deadline(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, behavior: Behavior, status: int | None
) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.3)
    receiver.behavior = behavior
    started = time.monotonic()
    answer = send(receiver.url)
    assert (answer.status, answer.error) == (status, None if status else "no answer within 0.3 seconds")
    assert time.monotonic() - started < 5


def test_a_receiver_that_is_not_there_is_an_answer_without_a_status(receiver: Receiver) -> None:
    with listening() as gone:
        url = gone.url
    del receiver
    answer = send(url)
    assert (answer.status, answer.error, answer.is_success) == (None, "Connection refused", False)


def test_a_url_that_is_not_accepted_any_more_is_not_sent_to(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WEBHOOKS_TO_LOOPBACK")
    assert "must be an https URL" in (send(receiver.url).error or "")
    assert receiver.connections == 0


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    """A certificate authority that this process trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    sending._tls.cache_clear()  # noqa: SLF001 - it has read the certificates
    yield Authority.make(tmp_path)
    sending._tls.cache_clear()  # noqa: SLF001


def resolving_to(monkeypatch: pytest.MonkeyPatch, *answered: str, public: str = "127.0.0.1") -> list[str]:
    """Let HOST have the addresses one after the other, each time it is looked up, and one address be public."""
    real, names, addresses = socket.getaddrinfo, [], iter(answered)

    def getaddrinfo(host: str, *arguments: Any, **options: Any) -> Any:
        if host == HOST:
            names.append(host)
            return real(next(addresses), *arguments, **options)
        return real(host, *arguments, **options)

    def is_public(address: IPv4Address | IPv6Address) -> bool:
        return str(address) == public

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(destinations, "is_public", is_public)
    return names


def test_a_certificate_of_the_hosts_name_is_accepted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    resolving_to(monkeypatch, "127.0.0.1")
    with listening(tls=authority.server(HOST)) as receiver:
        monkeypatch.setattr(destinations, "TLS_PORT", receiver.port)
        assert send(f"https://{HOST}/hooks").status == 200
        assert receiver.requests[0].headers["host"] == HOST


@pytest.mark.parametrize("name", ["example.com", "127.0.0.1", "other.example.com"])
def test_a_certificate_of_another_name_is_refused_before_anything_is_sent(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    resolving_to(monkeypatch, "127.0.0.1")
    with listening(tls=authority.server(name)) as receiver:
        monkeypatch.setattr(destinations, "TLS_PORT", receiver.port)
        answer = send(f"https://{HOST}/hooks")
        assert (answer.status, receiver.requests) == (None, [])
        assert (answer.error or "").startswith("TLS: Hostname mismatch")


def test_a_certificate_of_nobody_and_a_host_without_tls_are_refused(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving_to(monkeypatch, "127.0.0.1", "127.0.0.1")
    stranger = authority.server(HOST)
    monkeypatch.delenv("SSL_CERT_FILE")
    with listening(tls=stranger) as receiver:
        monkeypatch.setattr(destinations, "TLS_PORT", receiver.port)
        assert (send(f"https://{HOST}/hooks").error or "").startswith("TLS: ")
        assert receiver.requests == []
    with listening() as receiver:
        receiver.behavior = answers(200)
        monkeypatch.setattr(destinations, "TLS_PORT", receiver.port)
        monkeypatch.setattr(sending, "SECONDS", 0.5)
        assert send(f"https://{HOST}/hooks").status is None


def test_a_name_that_changes_its_address_after_the_check_is_connected_at_the_checked_one(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = resolving_to(monkeypatch, "127.0.0.2", "127.0.0.1", "127.0.0.1", public="127.0.0.2")
    with (
        listening("127.0.0.2", tls=authority.server(HOST)) as checked,
        listening("127.0.0.1", checked.port, tls=authority.server(HOST)) as internal,
    ):
        monkeypatch.setattr(destinations, "TLS_PORT", checked.port)
        assert send(f"https://{HOST}/hooks").status == 200
        assert (len(checked.requests), internal.connections, names) == (1, 0, [HOST])
        answer = send(f"https://{HOST}/hooks")  # now it resolves to the other
        assert answer.error == f"{HOST} has the address 127.0.0.1, which is not public"
        assert internal.connections == 0
