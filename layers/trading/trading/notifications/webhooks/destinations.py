"""Destinations: the URLs that a webhook may have, and the exact address that a delivery connects to.

A webhook makes this system call a host that a client chose. To prevent server-side request forgery (SSRF), every
address that the name resolves to is checked, and the connection is made to the checked address itself.
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

# A strict regular expression instead of a parser, so that no other URL parser can read an accepted URL differently.
_TARGET = r'(?P<target>[/?][!"$-\[\]-~]*)?'
_HTTPS = re.compile(rf"(?i:https)://(?P<host>[A-Za-z0-9.-]{{1,253}})(?::443)?{_TARGET}", re.ASCII)
_ON_THIS_MACHINE = re.compile(rf"http://127\.0\.0\.1:(?P<port>[0-9]{{1,5}}){_TARGET}", re.ASCII)
# At least two labels, the last beginning with a letter, which excludes all IPv4 notations (2130706433, 0x7f.1).
_NAME = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # excludes addresses that embed IPv4: mapped, compatible, NAT64


class DestinationError(Exception):
    """A delivery cannot be sent to the webhook's URL; the message says why."""


@dataclass(frozen=True, slots=True)
class Destination:
    """The destination of a delivery: host name, port, and path with query."""

    host: str
    port: int
    target: str
    is_tls: bool = True


def parse(url: str) -> Destination:
    """Parse a URL.

    For local use, an http URL of 127.0.0.1 is accepted if WEBHOOKS_TO_LOOPBACK is set.

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
    """Return the addresses of a destination, all public; connect to these and do not resolve the name again.

    Raises:
        DestinationError: the name cannot be resolved within `seconds`, or one of its addresses is not public.
    """
    if not destination.is_tls:
        return [destination.host]  # 127.0.0.1, which `parse` accepted
    # A lookup cannot be cancelled: one that takes too long is abandoned in its thread.
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
    except BaseException as error:  # noqa: BLE001 - raised where the result is awaited
        lookup.set_exception(error)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is public.

    Private and shared networks, loopback, link-local (including AWS's instance metadata), multicast, reserved
    addresses, and IPv6 addresses that embed an IPv4 address are not public.
    """
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast
