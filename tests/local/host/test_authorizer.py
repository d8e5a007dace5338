"""The door of the laptop's gateway: every token that API Gateway refuses is refused, in its words."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiohttp import ClientSession, web
from joserfc import jwt
from joserfc.jwk import RSAKey

from local.host import authorizer, gateway
from local.host.authorizer import AUDIENCE, ISSUER, Authorizer
from local.host.gateway import Gateway
from local.host.page import Page
from local.host.template import Route

if TYPE_CHECKING:
    from local.host.functions import LocalFunction

ROUTES = [
    Route("GET /trades", "Echo", has_authorizer=True, scopes=("trading/trades:read", "trades:read")),
    Route("GET /any", "Echo", has_authorizer=True),
    Route("GET /health", "Echo"),
    Route("$default", "Echo"),
]


class Echo:
    """A function that answers what its event says of who is calling."""

    log = Path()

    async def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        return {"statusCode": 200, "body": json.dumps(event["requestContext"].get("authorizer"))}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Authorizer:
    """The authorizer of a laptop."""
    return authorizer.of_this_laptop(tmp_path_factory.mktemp("local"))


@pytest.fixture(scope="module")
def stranger() -> Authorizer:
    """An issuer who says the same of itself, and has another key."""
    key = RSAKey.generate_key(2048)
    key.ensure_kid()
    return Authorizer(key)


def claims(**changes: object) -> dict[str, Any]:
    now = int(time.time())
    given = {"iss": ISSUER, "aud": AUDIENCE, "sub": "desk-7", "scope": "trades:read", "iat": now, "exp": now + 60}
    return {name: value for name, value in {**given, **changes}.items() if value is not None}


def signed(door: Authorizer, **changes: object) -> str:
    return jwt.encode({"alg": "RS256", "kid": door.key.kid}, claims(**changes), door.key)


def ask(door: Authorizer | None, path: str, authorization: str | None) -> tuple[int, Any, str | None]:
    """Ask a gateway with that door over HTTP, and return the status, the body and the challenge."""

    async def answer() -> tuple[int, Any, str | None]:
        functions = {"Echo": cast("LocalFunction", Echo())}
        runner = web.AppRunner(gateway.application(Gateway(ROUTES, functions, door), Page({})))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        headers = {"Authorization": authorization} if authorization is not None else {}
        try:
            async with ClientSession() as session, session.get(f"http://{host}:{port}{path}", headers=headers) as got:
                return got.status, await got.json(content_type=None), got.headers.get("WWW-Authenticate")
        finally:
            await runner.cleanup()

    return asyncio.run(answer())


def test_a_good_token_lets_in_and_the_function_hears_who_it_is(door: Authorizer) -> None:
    status, caller, _ = ask(door, "/trades", f"Bearer {door.token('desk-7', ['trades:read', 'trades:write'])}")
    assert status == 200
    assert (caller["jwt"]["claims"]["sub"], caller["jwt"]["scopes"]) == ("desk-7", ["trades:read"])
    assert all(isinstance(claim, str) for claim in caller["jwt"]["claims"].values())


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": None, "client_id": AUDIENCE},  # a Cognito access token
        {"aud": ["others", AUDIENCE]},
        {"scope": "trading/trades:read openid"},  # with the name of Cognito's resource server
        {"scope": None, "scp": "trades:read"},
        {"scope": None, "scp": ["trades:write", "trades:read"]},
    ],
)
def test_every_spelling_that_api_gateway_takes_is_taken(door: Authorizer, changes: dict[str, Any]) -> None:
    assert ask(door, "/trades", f"Bearer {signed(door, **changes)}")[0] == 200
    assert ask(door, "/trades", signed(door, **changes))[0] == 200


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def bad_tokens(door: Authorizer, stranger: Authorizer) -> Iterator[tuple[str, str | None]]:
    """Return tokens that let nobody in, and what is wrong with each."""
    now = int(time.time())
    good = signed(door)
    header, payload, signature = good.split(".")
    other_payload = encoded(claims(sub="somebody"))
    unsigned = encoded({"alg": "none", "kid": door.key.kid})
    confused = f"{encoded({'alg': 'HS256', 'kid': door.key.kid})}.{payload}"
    forged = hmac.digest(door.key.as_pem(private=False), confused.encode(), "sha256")
    yield "no token", None
    yield "nothing", ""
    yield "no token after the word", "Bearer"
    yield "no JWT", "Bearer of.good.news"
    yield "expired", signed(door, exp=now - 1)
    yield "without an end", signed(door, exp=None)
    yield "not yet valid", signed(door, nbf=now + 60)
    yield "of the future", signed(door, iat=now + 60)
    yield "another issuer", signed(door, iss="https://issuer.example")
    yield "another audience", signed(door, aud="others")
    yield "another client", signed(door, aud=None, client_id="others")
    yield "another audience, whatever the client", signed(door, aud="others", client_id=AUDIENCE)
    yield "another key", signed(stranger)
    yield "another key under our name", jwt.encode({"alg": "RS256", "kid": door.key.kid}, claims(), stranger.key)
    yield "our key under another name", jwt.encode({"alg": "RS256", "kid": "x"}, claims(), door.key)
    yield "alg none", f"{unsigned}.{payload}."
    yield "alg none, with a signature", f"{unsigned}.{payload}.{signature}"
    yield "the public key as a secret", f"{confused}.{base64.urlsafe_b64encode(forged).rstrip(b'=').decode()}"
    yield "tampered with", f"{header}.{other_payload}.{signature}"
    yield "cut short", good[:-8]


def test_every_bad_token_is_refused_in_api_gateways_words(door: Authorizer, stranger: Authorizer) -> None:
    for wrong, token in bad_tokens(door, stranger):
        authorization = token if token is None or token.startswith("Bearer") else f"Bearer {token}"
        for path in ("/trades", "/any"):
            answer = ask(door, path, authorization)
            assert answer == (401, {"message": "Unauthorized"}, "Bearer"), wrong


@pytest.mark.parametrize("scope", ["trades:write", "trades:reads", "read", "", None])
def test_a_good_token_without_the_scope_of_a_route_is_forbidden(door: Authorizer, scope: str | None) -> None:
    assert ask(door, "/trades", f"Bearer {signed(door, scope=scope)}")[:2] == (403, {"message": "Forbidden"})


def test_a_route_without_scopes_takes_any_good_token(door: Authorizer) -> None:
    status, caller, _ = ask(door, "/any", f"Bearer {signed(door, scope=None)}")
    assert (status, caller["jwt"]["scopes"]) == (200, None)


def test_a_claim_that_is_a_list_reaches_the_function_in_brackets(door: Authorizer) -> None:
    _, caller, _ = ask(door, "/any", f"Bearer {signed(door, scope=None, scp=['a', 'b'])}")
    assert caller["jwt"]["claims"]["scp"] == "[a b]"


def test_health_and_what_no_route_matches_are_open_and_without_a_door_everything_is(door: Authorizer) -> None:
    for path in ("/health", "/elsewhere"):
        assert ask(door, path, None)[:2] == (200, None)
        assert ask(door, path, "Bearer nonsense")[:2] == (200, None)
    assert ask(None, "/trades", None)[:2] == (200, None)


def test_the_key_is_kept_and_is_its_owners_alone(tmp_path: Path) -> None:
    first, second = (authorizer.of_this_laptop(tmp_path) for _ in range(2))
    assert first.key.kid == second.key.kid
    assert (tmp_path / "token-key.pem").stat().st_mode & 0o777 == 0o600
    assert second.authorize(first.token("desk-7", ["a"]), ["a"])["claims"]["sub"] == "desk-7"


@pytest.mark.parametrize(("choice", "is_chosen"), [("on", True), ("off", False), ("", False)])
def test_the_door_is_shut_where_the_environment_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: str, *, is_chosen: bool
) -> None:
    monkeypatch.setenv("AUTH", choice)
    assert (authorizer.chosen(tmp_path) is not None) == is_chosen


def test_a_choice_that_is_neither_is_an_error_and_not_an_open_door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTH", "ON")
    with pytest.raises(authorizer.UnknownChoiceError, match="AUTH must be on or off, not ON"):
        authorizer.chosen(tmp_path)
