import socket
from ipaddress import ip_address
from typing import Any

import pytest

from trading.notifications.webhooks import destinations
from trading.notifications.webhooks.destinations import Destination, DestinationError


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        ("https://example.com", "example.com", "/"),
        ("HTTPS://Example.COM:443/Hooks?a=1&b=%20", "example.com", "/Hooks?a=1&b=%20"),
        ("https://hooks.xn--bcher-kva.example/x", "hooks.xn--bcher-kva.example", "/x"),
        ("https://example.com?key=1", "example.com", "/?key=1"),
        ("https://1.example.com/@x:y", "1.example.com", "/@x:y"),
    ],
)
def test_an_https_url_of_a_host_name_is_a_destination(url: str, host: str, target: str) -> None:
    assert destinations.parse(url) == Destination(host, 443, target)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "http://example.com/",
        "ftp://example.com/",
        "https://",
        "https:///hooks",
        "https:/example.com",
        "https://example.com:8443/",
        "https://example.com:/",
        "https://example.com:0443/",
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com#@127.0.0.1/",
        "https://example.com/#part",
        "https://example.com/a b",
        "https://example.com/\r\nHost: other",
        "https://example.com\t.evil.example/",
        " https://example.com/",
        "https://example.com/\u00fc",
        "https://b\u00fccher.example/",
        "https://example\u3002com/",
        "https://localhost/",
        "https://example.com./",
        "https://-a.example/",
        "https://a..example/",
        f"https://{'a' * 64}.example/",
        f"https://example.com/{'a' * 2_000}",
        # Addresses, however they are written.
        "https://93.184.216.34/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://127.0.0.0x1/",
        "https://[::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://[fd00:ec2::254]/",
    ],
)
def test_every_other_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be an https URL with a host name on port 443"):
        destinations.parse(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9999", "http://127.0.0.1:9999/hooks"])
def test_loopback_is_a_destination_only_where_a_setting_says_so(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(ValueError, match="must be an https URL"):
        destinations.parse(url)
    monkeypatch.setenv("WEBHOOKS_TO_LOOPBACK", "true")
    assert destinations.parse(url).host == "127.0.0.1"
    assert destinations.resolve(destinations.parse(url), 1) == ["127.0.0.1"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.0.0.1:70000/",
        "http://127.0.0.1:0/",
        "http://localhost:80/",
        "http://127.0.0.2:80/",
    ],
)
def test_of_this_machine_no_other_spelling_is_let_in(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("WEBHOOKS_TO_LOOPBACK", "true")
    with pytest.raises(ValueError, match="must be an https URL"):
        destinations.parse(url)


NOT_PUBLIC = [
    "0.0.0.0",  # noqa: S104 - it is refused
    "10.0.0.1",
    "100.64.0.1",  # carrier-grade NAT
    "127.0.0.1",
    "169.254.169.254",  # AWS's metadata
    "172.16.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "192.168.0.1",
    "198.18.0.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::a9fe:a9fe",  # NAT64 of the metadata
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",  # Teredo
    "2001:db8::1",
    "2002:a00:1::1",  # 6to4 of 10.0.0.1
    "fc00::1",
    "fd00:ec2::254",  # AWS's metadata
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_the_internets_is_not_public(address: str) -> None:
    assert not destinations.is_public(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001::1"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert destinations.is_public(ip_address(address))


def resolving_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        assert host == "example.com"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_all_addresses_of_a_name_must_be_public(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving_to(monkeypatch, "8.8.8.8", "2606:4700:4700::1111", "8.8.8.8")
    destination = destinations.parse("https://example.com/")
    assert destinations.resolve(destination, 1) == ["8.8.8.8", "2606:4700:4700::1111"]
    resolving_to(monkeypatch, "8.8.8.8", "10.0.0.5")
    with pytest.raises(DestinationError, match=r"example\.com has the address 10\.0\.0\.5, which is not public"):
        destinations.resolve(destination, 1)


def test_a_name_that_is_not_there_or_takes_too_long_is_no_destination(monkeypatch: pytest.MonkeyPatch) -> None:
    destination = destinations.parse("https://example.com/")

    def missing(*_: Any, **__: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", missing)
    with pytest.raises(DestinationError, match="cannot be resolved"):
        destinations.resolve(destination, 1)

    def slow(*_: Any, **__: Any) -> None:
        import time  # noqa: PLC0415

        time.sleep(0.5)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with pytest.raises(DestinationError, match="not resolved in time"):
        destinations.resolve(destination, 0.01)
