"""Authorization: who is calling, and whether their token allows what a route does.

API Gateway has checked the token's signature, issuer, audience and expiry. The scope is checked here, beside the code
that it protects, so that no spelling of a path reaches a route without it.
"""

import os
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from trading.http.problems import RequestError

# The scope of a route that anybody may call.
PUBLIC = ""
# Cognito puts the resource server's name before a scope.
SCOPE_PREFIX = "trading/"
ANONYMOUS = "local"


def authorize(event: Mapping[str, Any], scope: str) -> str:
    """Return the subject of the caller of an API Gateway event: the token's, or `local` where nobody signs in.

    Nobody signs in only where the environment says AUTH_REQUIRED=false, as on a laptop.

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
    """Return the words of a claim; API Gateway writes one that is a list as "[a b]"."""
    return set(str(claim or "").removeprefix("[").removesuffix("]").split())
