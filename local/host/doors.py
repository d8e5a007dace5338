"""Protection of local ports against web pages of other origins; programs and the local page are allowed.

Otherwise a page of another origin could send requests here, and one whose name resolves to 127.0.0.1 (DNS rebinding)
could read the responses. Browsers send the origin of a request in headers that pages cannot set; other programs send
none of them.
"""

import json
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

logger = logging.getLogger(__name__)

NAMES = ("localhost", "127.0.0.1", "[::1]", "host.docker.internal")  # the last is this machine's name in containers
HTTP_PORT = 80  # the default, which is omitted from URLs
# https://www.w3.org/TR/fetch-metadata/: a request by the user, or by a page of the same origin.
OWN_SITES = {"none", "same-origin"}

type WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def own_hosts(address: str, port: int) -> frozenset[str]:
    """Return the valid Host headers of a server, for the address and port that a client connected to."""
    names = {*NAMES, f"[{address}]" if ":" in address else address}
    return frozenset({f"{name}:{port}" for name in names} | (names if port == HTTP_PORT else set()))


def refusal(
    headers: Mapping[str, str], hosts: Collection[str], pages: Collection[str] = (), *, is_visit: bool = False
) -> str | None:
    """Return why a request is refused, or None if it is allowed.

    Args:
        headers: the request's headers; a mapping that finds the names as written here.
        hosts: the valid Host headers.
        pages: hosts of other servers whose pages may use this one.
        is_visit: whether the request is allowed as navigation, a GET whose response the linking page cannot read.
    """
    host, origin, site = (headers.get(name, "").lower() for name in ("Host", "Origin", "Sec-Fetch-Site"))
    if host not in hosts:
        return "The header Host names another server."
    if origin:
        is_own = origin in {f"http://{name}" for name in (*hosts, *pages)}
        return None if is_own else "The header Origin names the page of another server."
    if site and site not in OWN_SITES and not (is_visit and _opens_a_page(headers)):
        return "The header Sec-Fetch-Site says that another page sends this."
    return None


def middleware(page_port: int | None = None) -> "Middleware":
    """Return aiohttp middleware that refuses requests of other pages; the page at `page_port` is allowed."""

    @web.middleware
    async def refuse(request: web.Request, handler: "Handler") -> web.StreamResponse:
        assert request.transport is not None
        address, port = request.transport.get_extra_info("sockname")[:2]
        hosts = own_hosts(address, port)
        pages = own_hosts(address, page_port) if page_port else frozenset[str]()
        reason = refusal(request.headers, hosts, pages, is_visit=request.method == "GET")
        if reason is None:
            return await handler(request)
        logger.warning("%s %s 403: %s", request.method, request.path, reason)
        return web.json_response({"message": reason}, status=HTTPStatus.FORBIDDEN.value)

    return refuse


def guarded(application: WsgiApplication) -> WsgiApplication:
    """Return a WSGI application that refuses requests of other pages.

    Navigation is refused too, because AWS services also act on GET (`?Action=DeleteQueue`).
    """

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        headers = {
            name: environ[key]
            for name, key in (
                ("Host", "HTTP_HOST"),
                ("Origin", "HTTP_ORIGIN"),
                ("Sec-Fetch-Site", "HTTP_SEC_FETCH_SITE"),
            )
            if key in environ
        }
        reason = refusal(headers, own_hosts(environ["SERVER_NAME"], int(environ["SERVER_PORT"])))
        if reason is None:
            return application(environ, start_response)
        logger.warning("%s %s 403: %s", environ["REQUEST_METHOD"], environ["PATH_INFO"], reason)
        body = json.dumps({"message": reason}).encode()
        start_response("403 Forbidden", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return answer


def _opens_a_page(headers: Mapping[str, str]) -> bool:
    """Whether a request is a browser's navigation to a page."""
    return (headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest")) == ("navigate", "document")
