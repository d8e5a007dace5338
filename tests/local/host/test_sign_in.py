"""Signing in on a laptop, as the page does it: a form, a code with its proof, tokens, and an end to them."""

import asyncio
import base64
import hashlib
import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from aiohttp import web

from local.host import gateway, sign_in
from local.host.authorizer import Authorizer, of_this_laptop
from local.host.gateway import Gateway
from local.host.page import Page
from local.host.sign_in import SignIn

PASSWORD = "0123-4567"
SCOPES = ["trades:read", "trades:write"]
VERIFIER = "a" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")

Answer = tuple[int, dict[str, str], str]


@pytest.fixture
def authorizer(tmp_path: Path) -> Authorizer:
    """The laptop's authorizer."""
    return of_this_laptop(tmp_path)


class Browser:
    """Sends requests as a browser does for a page at this address."""

    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"

    def __call__(self, method: str, path: str, sent: dict[str, str] | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(self.address, timeout=10)
        own = {"Origin": f"http://{self.address}", "Content-Type": "application/x-www-form-urlencoded"} if sent else {}
        connection.request(method, path, urlencode(sent) if sent else None, {**own, **headers})
        response = connection.getresponse()
        answer = response.status, dict(response.getheaders()), response.read().decode()
        connection.close()
        return answer

    def authorize(self, **changes: str) -> str:
        """Return the path that the page goes to for signing in."""
        wanted = {
            "response_type": "code",
            "client_id": "page",
            "redirect_uri": f"http://{self.address}/",
            "scope": "openid trades:read admin",
            "state": "mine",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        return f"/oauth2/authorize?{urlencode(wanted)}"

    def code(self) -> str:
        """Sign in, and return the code that the page gets."""
        status, headers, _ = self("POST", self.authorize(), {"name": "desk-7", "password": PASSWORD})
        assert status == 302
        target = urlsplit(headers["Location"])
        assert f"{target.scheme}://{target.netloc}{target.path}" == f"http://{self.address}/"
        [code], [state] = parse_qs(target.query)["code"], parse_qs(target.query)["state"]
        assert state == "mine"
        return code

    def redeem(self, **changes: str) -> tuple[int, dict[str, Any]]:
        """Ask for tokens."""
        sent = {
            "grant_type": "authorization_code",
            "client_id": "page",
            "redirect_uri": f"http://{self.address}/",
            "code_verifier": VERIFIER,
            **changes,
        }
        status, _, body = self("POST", "/oauth2/token", sent)
        return status, json.loads(body)


@pytest.fixture
def browser(loop: asyncio.AbstractEventLoop, authorizer: Authorizer) -> Iterator[Browser]:
    """A browser before a gateway with sign-in pages."""
    pages = SignIn(authorizer, PASSWORD, SCOPES)
    runner = web.AppRunner(gateway.application(Gateway([], {}, authorizer), Page({}), pages))

    async def serve() -> int:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port: int = runner.addresses[0][1]
        return port

    yield Browser(asyncio.run_coroutine_threadsafe(serve(), loop).result(10))
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)


def test_the_page_is_told_to_sign_in_on_its_own_origin(browser: Browser) -> None:
    _, _, body = browser("GET", "/config.json")
    assert json.loads(body) == {"signIn": {"url": "", "clientId": "page", "scope": "trades:read trades:write"}}


def test_who_knows_the_password_gets_a_token_for_the_scopes_that_there_are(
    browser: Browser, authorizer: Authorizer
) -> None:
    status, tokens = browser.redeem(code=browser.code())
    assert status == 200
    caller = authorizer.authorize(f"Bearer {tokens['access_token']}", ["trades:read"])
    assert (caller["claims"]["sub"], caller["claims"]["scope"]) == ("desk-7", "trades:read")


@pytest.mark.parametrize("sent", [{"name": "desk-7", "password": "0123"}, {"name": "<b>", "password": PASSWORD}])
def test_others_see_the_form_again_with_the_reason(browser: Browser, sent: dict[str, str]) -> None:
    status, headers, body = browser("POST", browser.authorize(), sent)
    assert status == 403
    assert "Location" not in headers
    assert re.search(r'role="alert">[^<]+</p>', body)
    assert "<b>" not in body


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://example.com/"},
        {"client_id": "another"},
        {"response_type": "token"},
        {"code_challenge_method": "plain"},
        {"code_challenge": ""},
    ],
)
def test_a_code_goes_to_the_page_alone(browser: Browser, changes: dict[str, str]) -> None:
    for method, sent in (("GET", None), ("POST", {"name": "desk-7", "password": PASSWORD})):
        status, headers, _ = browser(method, browser.authorize(**changes), sent)
        assert (status, "Location" in headers) == (400, False)


def test_a_code_is_redeemed_once_by_who_asked_for_it(browser: Browser) -> None:
    assert browser.redeem(code=browser.code(), code_verifier="b" * 43) == (400, {"error": "invalid_grant"})
    assert browser.redeem(code=browser.code(), redirect_uri="http://127.0.0.1:1/") == (400, {"error": "invalid_grant"})
    code = browser.code()
    assert browser.redeem(code=code)[0] == 200
    assert browser.redeem(code=code) == (400, {"error": "invalid_grant"})
    assert browser.redeem(code="guessed") == (400, {"error": "invalid_grant"})


def test_a_code_that_is_old_is_worth_nothing(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "CODE_SECONDS", -1)
    assert browser.redeem(code=browser.code()) == (400, {"error": "invalid_grant"})


def test_a_refresh_token_gives_tokens_until_it_is_revoked(browser: Browser) -> None:
    _, tokens = browser.redeem(code=browser.code())
    again = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert browser.redeem(**again)[0] == 200
    assert browser("POST", "/oauth2/revoke", {"token": tokens["refresh_token"], "client_id": "page"})[0] == 200
    assert browser.redeem(**again) == (400, {"error": "invalid_grant"})


def test_a_page_of_another_origin_can_neither_sign_in_nor_get_a_token(browser: Browser) -> None:
    sent = {"name": "desk-7", "password": PASSWORD}
    for path in (browser.authorize(), "/oauth2/token", "/oauth2/revoke"):
        assert browser("POST", path, sent, Origin="https://example.com")[0] == 403
        assert browser("POST", path, sent, Host="example.com")[0] == 403


def test_signing_out_leads_back_to_the_page_and_nowhere_else(browser: Browser) -> None:
    own = f"http://{browser.address}/"
    status, headers, _ = browser("GET", f"/logout?{urlencode({'client_id': 'page', 'logout_uri': own})}")
    assert (status, headers["Location"]) == (302, own)
    assert browser("GET", f"/logout?{urlencode({'logout_uri': 'https://example.com/'})}")[0] == 400


def test_the_password_of_a_folder_stays_and_is_its_owners_alone(tmp_path: Path) -> None:
    password = sign_in.password_of(tmp_path)
    assert sign_in.password_of(tmp_path) == password
    assert (tmp_path / "sign-in-password").stat().st_mode & 0o077 == 0
