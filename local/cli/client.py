"""A client of the trading system's HTTP API for commands, with each problem as a one-sentence error.

    api = Client(url, "trades:write")
    trade = api.post("/api/trades/", {"ticker": "MSFT", …})
    for alert in api.pages("/api/alerts/", ticker="MSFT"):
        …

The URL is the given one, TRADING_URL, that of the system running from this checkout, or http://127.0.0.1:8000. The
token is TOKEN; for a system on this machine, a token with the command's scopes is signed with the key in `.local`, if
that exists (a system with AUTH=on or `trading token` creates it).
"""

import json
import os
import shlex
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import click

from local.cli.console import printable
from trading.core.values import read_json

FOLDER = Path(__file__).resolve().parents[2] / ".local"
DEFAULT_URL = "http://127.0.0.1:8000"
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
TIMEOUT_SECONDS = 30.0  # as in API Gateway
SUBJECT = "local"

url_option = click.option(
    "--url",
    metavar="URL",
    help=f"The trading system. [default: TRADING_URL, the system that runs here, or {DEFAULT_URL}]",
)


class ProblemError(click.ClickException):
    """The system refused, failed or did not respond; `status` is the HTTP status, if there was a response."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Answer:
    """A response of the API: its body, JSON or text, and the path of the next page if there is one."""

    status: int
    body: Any
    next: str | None


class Client:
    """Calls the API, one request at a time. Every method raises ProblemError, which ends a command in one sentence."""

    def __init__(self, url: str | None = None, *scopes: str) -> None:
        self.url = find_url(url)
        self._scopes = scopes
        proxies = [urllib.request.ProxyHandler({})] if is_here(self.url) else []
        self._opener = urllib.request.build_opener(_NoRedirects, *proxies)

    def get(self, path: str, **query: object) -> Any:
        """GET a path and return the body; parameters that are None are omitted."""
        return self.call("GET", _with_query(path, query)).body

    def pages(self, path: str, **query: object) -> Iterator[Any]:
        """Yield the elements of an array, page by page."""
        for answer in self.answers(path, **query):
            yield from answer.body

    def answers(self, path: str, **query: object) -> Iterator[Answer]:
        """Yield the pages of a list; parameters that are None are omitted."""
        following: str | None = _with_query(path, query)
        while following:
            answer = self.call("GET", following)
            yield answer
            following = answer.next

    def post(self, path: str, body: object) -> Any:
        """POST a body as JSON, and return the response body."""
        return self.call("POST", path, json.dumps(body).encode()).body

    def send(self, path: str, body: bytes, content_type: str, **query: object) -> Answer:
        """POST a file, and return the whole response; parameters that are None are omitted."""
        return self.call("POST", _with_query(path, query), body, content_type)

    def call(self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json") -> Answer:
        """Send a request, and return the whole response. Numbers with a fraction are decimals."""
        # Concatenated, so that no path, not even a link from the API, can lead to another host.
        request = urllib.request.Request(f"{self.url}{path}", body, method=method)  # noqa: S310 - checked by find_url
        if body is not None:
            request.add_header("Content-Type", content_type)
        if token := find_token(self.url, *self._scopes):
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                text = response.read().decode()
                is_json = response.headers.get_content_subtype() == "json"
                return Answer(
                    response.status, read_json(text) if is_json else text, _next(response.headers.get("Link"))
                )
        except urllib.error.HTTPError as error:
            with error:
                raise ProblemError(_sentence(error, error.read(), self._scopes), error.code) from None
        except OSError as error:
            why = printable(str(getattr(error, "reason", error))) or type(error).__name__
            raise ProblemError(
                f"No answer from {self.url} ({why}). Start a system with `make start`, or name another one with --url"
                " or TRADING_URL."
            ) from None
        except (HTTPException, ValueError):
            raise ProblemError(f"What answers at {self.url} is not a trading system.") from None


def find_url(given: str | None) -> str:
    """Return the URL of the trading system.

    Raises:
        click.BadParameter: the URL is not valid.
    """
    url = given or os.environ.get("TRADING_URL") or environment().get("TRADING_URL") or DEFAULT_URL
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.BadParameter(f"{url!r} is not the URL of a trading system, such as {DEFAULT_URL}")
    return url.rstrip("/")


def find_token(url: str, *scopes: str) -> str | None:
    """Return a token for a system, or None if there is none. Call it for each request, because tokens expire.

    Tokens are signed here only for a system on this machine.
    """
    if token := os.environ.get("TOKEN"):
        return token
    if not is_here(url) or not (FOLDER / "token-key.pem").exists():
        return None
    from local.host import authorizer  # noqa: PLC0415 - takes a quarter of a second, needed only for a token

    return authorizer.of_this_laptop(FOLDER).token(SUBJECT, scopes)


def environment() -> dict[str, str]:
    """Return the environment that a running system has written for other programs."""
    try:
        lines = (FOLDER / "environment").read_text().splitlines()
    except OSError:
        return {}
    return dict(word.split("=", 1) for line in lines for word in shlex.split(line) if "=" in word)


def is_here(url: str) -> bool:
    """Whether a URL is on this machine."""
    return urlsplit(url).hostname in LOOPBACK


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirects, because the target would receive the token."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _with_query(path: str, query: dict[str, object]) -> str:
    known = urlencode({name: str(value) for name, value in query.items() if value is not None})
    return f"{path}?{known}" if known else path


def _next(link: str | None) -> str | None:
    """Return the target of a Link header with rel=next, the only relation that the API uses."""
    return link[1 : link.index(">")] if link and 'rel="next"' in link else None


def _sentence(error: urllib.error.HTTPError, body: bytes, scopes: Sequence[str]) -> str:
    """Return the API's problem detail, or API Gateway's message, with a hint."""
    try:
        problem = read_json(body.decode())
        said = problem.get("detail") or problem.get("title") or problem.get("message")
    except (ValueError, AttributeError):
        said = None
    text = f"HTTP {error.code}: {printable(str(said or error.reason))}".rstrip(".")
    if error.code in {401, 403}:
        token = f"token that allows {' and '.join(scopes)}" if scopes else "valid token"
        return f"{text}. Set TOKEN to a {token}; `./trading token` prints one for a system on this machine."
    if retry_after := error.headers.get("Retry-After"):
        return f"{text}. Try again in {printable(retry_after)} s."
    return f"{text}."
