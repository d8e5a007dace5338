"""Authorization: the caller's identity, and whether the token has the scope of a route.

API Gateway has verified the token's signature, issuer, audience and expiry. The scope is checked here, close to the
code that it protects, so that no variant of a path can bypass it.
"""

import os
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from trading.http.problems import RequestError

# The scope of a route that needs no token.
PUBLIC = ""
# Cognito prefixes scopes with the name of the resource server.
SCOPE_PREFIX = "trading/"
ANONYMOUS = "local"


def authorize(event: Mapping[str, Any], scope: str) -> str:
    """Return the subject of an API Gateway event's token, or `local` without authentication.

    Authentication is off only if the environment has AUTH_REQUIRED=false, for local use.

    Raises:
        RequestError: 401, there is no token; 403, it does not have the scope, or it is an ID token.
    """
    authorizer = event["requestContext"].get("authorizer")
    if authorizer is None:
        if scope == PUBLIC or os.environ.get("AUTH_REQUIRED") == "false":
            return ANONYMOUS
        raise RequestError(HTTPStatus.UNAUTHORIZED, "Send an access token.", {"WWW-Authenticate": "Bearer"})
    claims = authorizer["jwt"]["claims"]
    granted = _words(claims.get("scope")) | _words(claims.get("scp"))
    if scope != PUBLIC and (claims.get("token_use") == "id" or not granted & {scope, SCOPE_PREFIX + scope}):
        raise RequestError(HTTPStatus.FORBIDDEN, f"The access token needs the scope {scope}.")
    return str(claims.get("sub") or claims.get("client_id") or ANONYMOUS)


def _words(claim: object) -> set[str]:
    """Return the words of a claim; API Gateway formats a list as "[a b]"."""
    return set(str(claim or "").removeprefix("[").removesuffix("]").split())
