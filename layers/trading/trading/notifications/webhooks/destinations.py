"""Destinations: which URLs a webhook may have, and to which address exactly a delivery goes.

A webhook makes this system call a host that somebody else chose. It must not become a way to hosts that only this
system can reach: whatever a name resolves to is checked, and the connection is made to the checked address itself.
"""

import os
import re
import socket
from concurrent.futures import Future
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from threading import Thread

TLS_PORT = 443
LOOPBACK = "127.0.0.1"
URL_PHRASE = "must be an https URL with a host name on port 443, such as https://example.com/hooks"
URL_LIMIT = 2_000  # characters

# One expression instead of a parser: what it does not match, no other reader of URLs can take for something else.
_TARGET = r'(?P<target>[/?][!"$-\[\]-~]*)?'
_HTTPS = re.compile(rf"(?i:https)://(?P<host>[A-Za-z0-9.-]{{1,253}})(?::443)?{_TARGET}", re.ASCII)
_ON_THIS_MACHINE = re.compile(rf"http://127\.0\.0\.1:(?P<port>[0-9]{{1,5}}){_TARGET}", re.ASCII)
# At least two labels, the last of which begins with a letter: no spelling of an IPv4 address (2130706433, 0x7f.1) does.
_NAME = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # without addresses that stand for IPv4 ones: mapped, compatible, NAT64


class DestinationError(Exception):
    """A delivery cannot go where its webhook says; the message says why."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a delivery goes: a host name, a port, and the path with its query."""

    host: str
    port: int
    target: str
    is_tls: bool = True


def parse(url: str) -> Destination:
    """Return where a URL leads.

    An http URL of 127.0.0.1 is accepted where WEBHOOKS_TO_LOOPBACK says so, as on a laptop.

    Raises:
        ValueError: it is not an https URL with a host name on port 443.
    """
    local = _ON_THIS_MACHINE.fullmatch(url)
    if local and os.environ.get("WEBHOOKS_TO_LOOPBACK") == "true" and 0 < int(local["port"]) < 1 << 16:
        return Destination(LOOPBACK, int(local["port"]), _target(local["target"]), is_tls=False)
    match = _HTTPS.fullmatch(url)
    if len(url) > URL_LIMIT or match is None or not _NAME.fullmatch(match["host"].lower()):
        raise ValueError(URL_PHRASE)
    return Destination(match["host"].lower(), TLS_PORT, _target(match["target"]))


def _target(written: str | None) -> str:
    return written if written and written.startswith("/") else f"/{written or ''}"


def resolve(destination: Destination, seconds: float) -> list[str]:
    """Return the addresses of a destination, all of them public; connect to these, and do not resolve the name again.

    Raises:
        DestinationError: the name cannot be resolved in so many seconds, or one of its addresses is not public.
    """
    if not destination.is_tls:
        return [destination.host]  # 127.0.0.1, which `parse` let in
    # Nothing ends a lookup: one that takes too long is left behind in its thread.
    lookup: Future[list[str]] = Future()
    Thread(target=_look_up, args=[destination, lookup], daemon=True).start()
    try:
        addresses = lookup.result(seconds)
    except TimeoutError:
        raise DestinationError(f"{destination.host} was not resolved in time") from None
    except (OSError, UnicodeError) as error:
        raise DestinationError(f"{destination.host} cannot be resolved: {error}") from None
    for address in addresses:
        if not is_public(ip_address(address)):
            raise DestinationError(f"{destination.host} has the address {address}, which is not public")
    return addresses


def _look_up(destination: Destination, lookup: "Future[list[str]]") -> None:
    try:
        found = socket.getaddrinfo(destination.host, destination.port, type=socket.SOCK_STREAM)
        lookup.set_result(list(dict.fromkeys(str(address[0]) for *_, address in found)))
    except BaseException as error:  # noqa: BLE001 - whoever waits for the result raises it
        lookup.set_exception(error)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one of the internet's.

    Not public are private and shared networks, loopback, link-local (with AWS's metadata), multicast, reserved ones,
    and IPv6 addresses that contain an IPv4 address.
    """
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast
