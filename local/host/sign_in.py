"""A local replacement for Cognito's sign-in pages: authorization code with PKCE (https://docs.aws.amazon.com/cognito).

Any user name is accepted with the local password, which `make start` prints. Codes and refresh tokens are kept in
memory, so the page asks to sign in again after a restart.
"""

import base64
import hashlib
import html
import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from local.host.authorizer import TOKEN_SECONDS, Authorizer
from local.host.page import BUILT

CLIENT_ID = "page"
CODE_SECONDS = 60
REFRESH_SECONDS = 12 * 3_600
NAME = re.compile(r"[\w.@+-]{1,64}")
# The form is submitted to this origin only, with an Origin header: with `no-referrer` a browser would send "null".
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; font-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
FORM = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Sign in · Trading</title>
<link rel="stylesheet" href="/{stylesheet}"></head>
<body><main><form class="panel centered sign-in" method="post">
<h1>Sign in to this laptop's system</h1>
<p class="muted">The password is in the terminal of <code>make start</code>. The name is up to you: trades are recorded
under it.</p>
<p class="bad" role="alert">{error}</p>
<div class="field"><label for="name">Name</label>
<input id="name" name="name" autocomplete="username" value="{name}" required maxlength="64"></div>
<div class="field"><label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required></div>
<button class="primary">Sign in</button>
</form></main></body></html>
"""


@dataclass(frozen=True)
class Grant:
    """The user and scopes for which a token can be issued, and the expiry."""

    subject: str
    scopes: tuple[str, ...]
    ends_at: float
    redirect_uri: str = ""
    challenge: str = ""


@dataclass(frozen=True)
class SignIn:
    """The sign-in endpoints, with their pending codes and refresh tokens."""

    authorizer: Authorizer
    password: str
    scopes: Sequence[str]
    _codes: dict[str, Grant] = field(default_factory=dict)
    _refresh_tokens: dict[str, Grant] = field(default_factory=dict)

    def add_to(self, app: web.Application) -> None:
        """Add the sign-in pages, and a config.json that refers to them."""
        app.router.add_get("/config.json", self.show_config)
        app.router.add_get("/oauth2/authorize", self.show_form)
        app.router.add_post("/oauth2/authorize", self.take_form)
        app.router.add_post("/oauth2/token", self.give_token)
        app.router.add_post("/oauth2/revoke", self.revoke)
        app.router.add_get("/logout", self.sign_out)

    async def show_config(self, _: web.Request) -> web.Response:
        """Return the page's configuration, with sign-in on the page's own origin."""
        provider = {"url": "", "clientId": CLIENT_ID, "scope": " ".join(self.scopes)}
        return web.json_response({"signIn": provider}, headers={"Cache-Control": "no-store"})

    async def show_form(self, request: web.Request) -> web.Response:
        """Show the sign-in form."""
        return _refusal(request) or _form()

    async def take_form(self, request: web.Request) -> web.Response:
        """Check the password, and redirect to the page with a code."""
        refused = _refusal(request)
        if refused:
            return refused
        sent = await request.post()
        name, password = str(sent.get("name", "")).strip(), str(sent.get("password", "")).strip()
        if not NAME.fullmatch(name):
            return _form(name, "A name has letters, digits, and . @ + - _ only.")
        if not secrets.compare_digest(password.encode(), self.password.encode()):
            return _form(name, "This is not the password.")
        query = request.query
        wanted = tuple(scope for scope in query.get("scope", "").split() if scope in self.scopes)
        code = secrets.token_urlsafe(32)
        self._codes[code] = Grant(
            name, wanted, time.time() + CODE_SECONDS, query["redirect_uri"], query["code_challenge"]
        )
        answer = urlencode({"code": code, "state": query.get("state", "")})
        return _redirect(f"{query['redirect_uri']}?{answer}")

    async def give_token(self, request: web.Request) -> web.Response:
        """Return tokens for a code with its PKCE verifier, or for a refresh token."""
        sent = await request.post()
        words = {name: str(value) for name, value in sent.items()}
        if words.get("client_id") != CLIENT_ID:
            return _error("invalid_client")
        match words.get("grant_type"):
            case "authorization_code":
                grant = self._codes.pop(words.get("code", ""), None)
                if grant is None or not _proves(words, grant):
                    return _error("invalid_grant")
                refresh_token = secrets.token_urlsafe(32)
                self._refresh_tokens[refresh_token] = Grant(grant.subject, grant.scopes, time.time() + REFRESH_SECONDS)
                return self._tokens(grant, refresh_token=refresh_token)
            case "refresh_token":
                grant = self._refresh_tokens.get(words.get("refresh_token", ""))
                if grant is None or grant.ends_at < time.time():
                    return _error("invalid_grant")
                return self._tokens(grant)
            case _:
                return _error("unsupported_grant_type")

    async def revoke(self, request: web.Request) -> web.Response:
        """Revoke a refresh token; an unknown one is not an error."""
        sent = await request.post()
        self._refresh_tokens.pop(str(sent.get("token", "")), None)
        return web.Response(headers={"Cache-Control": "no-store"})

    async def sign_out(self, request: web.Request) -> web.Response:
        """Redirect to the page: there is no session to end here."""
        target = request.query.get("logout_uri", "")
        return _redirect(target) if target == _page_of(request) else _error("invalid_request")

    def _tokens(self, grant: Grant, **more: Any) -> web.Response:
        token = self.authorizer.token(grant.subject, grant.scopes)
        answer = {"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer", **more}
        return web.json_response(answer, headers={"Cache-Control": "no-store"})


def password_of(folder: Path) -> str:
    """Return the password of a folder's system; it is created at first use."""
    file = folder / "sign-in-password"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text("-".join(secrets.token_hex(2) for _ in range(4)))
    return file.read_text().strip()


def _refusal(request: web.Request) -> web.Response | None:
    """Return an error if a sign-in request is not from the page: codes are sent to the page only."""
    wanted = request.query
    is_ours = (
        wanted.get("response_type") == "code"
        and wanted.get("client_id") == CLIENT_ID
        and wanted.get("redirect_uri") == _page_of(request)
        and wanted.get("code_challenge_method") == "S256"
        and wanted.get("code_challenge")
    )
    return None if is_ours else _error("invalid_request")


def _page_of(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}/"


def _proves(sent: Mapping[str, str], grant: Grant) -> bool:
    digest = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return (
        grant.ends_at >= time.time()
        and sent.get("redirect_uri") == grant.redirect_uri
        and secrets.compare_digest(challenge, grant.challenge)
    )


def _form(name: str = "", error: str = "") -> web.Response:
    index = BUILT / "index.html"
    found = re.search(r"assets-[0-9a-f]+/page\.css", index.read_text()) if index.exists() else None
    text = FORM.format(
        stylesheet=found.group() if found else "", name=html.escape(name, quote=True), error=html.escape(error)
    )
    return web.Response(text=text, content_type="text/html", status=403 if error else 200, headers=HEADERS)


def _redirect(target: str) -> web.Response:
    return web.Response(status=302, headers={**HEADERS, "Location": target})


def _error(reason: str) -> web.Response:
    return web.Response(
        status=400, body=json.dumps({"error": reason}), content_type="application/json", headers=HEADERS
    )
