"""A local replacement for API Gateway's JWT authorizer: verifies tokens and their scopes.

It follows https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
The issuer is this machine: `trading token` signs with a key in `.local`.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

ISSUER = "https://trading.local"
AUDIENCE = "trading"
ALGORITHMS = ["RS256", "RS384", "RS512"]  # API Gateway supports RSA only
TOKEN_SECONDS = 3_600


class UnauthorizedError(Exception):
    """The token is missing, expired, or not signed by this issuer for this API."""


class ForbiddenError(Exception):
    """The token is valid but lacks the scope."""


class UnknownChoiceError(Exception):
    """AUTH is neither `on` nor `off`."""


@dataclass(frozen=True)
class Authorizer:
    """Issues and verifies tokens signed with a key."""

    key: RSAKey
    issuer: str = ISSUER
    audience: str = AUDIENCE

    def authorize(self, authorization: str | None, scopes: Sequence[str]) -> dict[str, Any]:
        """Return the authorizer part of an event, for the Authorization header of a request and the route's scopes.

        Raises:
            UnauthorizedError: the token is missing, forged, expired, or for another API.
            ForbiddenError: it has none of the scopes.
        """
        claims = self._claims((authorization or "").split(" ")[-1])
        granted = _words(claims.get("scope") or claims.get("scp"))
        if scopes and not set(scopes) & set(granted):
            raise ForbiddenError
        return {
            "claims": {name: _text(value) for name, value in claims.items()},
            "scopes": [scope for scope in scopes if scope in granted] or None,
        }

    def _claims(self, token: str) -> Mapping[str, Any]:
        try:
            decoded = jwt.decode(token, self.key, algorithms=ALGORITHMS)
        except (JoseError, ValueError) as error:
            raise UnauthorizedError from error
        claims, now = decoded.claims, time.time()
        audiences = claims.get("aud", claims.get("client_id"))
        if not (
            decoded.header.get("kid") == self.key.kid
            and claims.get("iss") == self.issuer
            and self.audience in (audiences if isinstance(audiences, list) else [audiences])
            and claims.get("exp", 0) > now
            and claims.get("nbf", 0) <= now
            and claims.get("iat", 0) <= now
        ):
            raise UnauthorizedError
        return claims

    def token(self, subject: str, scopes: Sequence[str], seconds: float = TOKEN_SECONDS) -> str:
        """Return a token for a subject with these scopes, valid for `seconds`."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": subject,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + int(seconds),
        }
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)


def _words(claim: Any) -> list[str]:
    return [str(word) for word in claim] if isinstance(claim, list) else str(claim or "").split()


def _text(claim: Any) -> str:
    """Return a claim as API Gateway passes it on: as text, a list as "[a b]"."""
    return f"[{' '.join(_words(claim))}]" if isinstance(claim, list) else str(claim)


def of_this_laptop(folder: Path) -> Authorizer:
    """Return the authorizer whose key is in a folder; the key is created at first use."""
    file = folder / "token-key.pem"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_bytes(RSAKey.generate_key(2048).as_pem(private=True))
    key = RSAKey.import_key(file.read_bytes())
    key.ensure_kid()
    return Authorizer(key)


def chosen(folder: Path) -> Authorizer | None:
    """Return the authorizer of a folder if the environment has AUTH=on; None if AUTH is off or not set.

    Raises:
        UnknownChoiceError: AUTH has another value.
    """
    choice = os.environ.get("AUTH") or "off"
    if choice not in {"on", "off"}:
        raise UnknownChoiceError(f"AUTH must be on or off, not {choice}")
    return of_this_laptop(folder) if choice == "on" else None
