"""Problem details (RFC 9457): the body of every error response."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus

from trading.core.errors import ConflictError, FieldError, InvalidError, NotFoundError, RefusalError

MEDIA_TYPE = "application/problem+json"
ERRORS_LIMIT = 100  # a Lambda response is limited to 6 MB

STATUSES: dict[type[RefusalError], HTTPStatus] = {
    InvalidError: HTTPStatus.BAD_REQUEST,
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
}


@dataclass(frozen=True)
class Problem:
    """A problem: the members of RFC 9457 (section 3.1), and `errors`, which lists at most 100 fields."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError]

    def write(self) -> str:
        """Return the problem as JSON."""
        return json.dumps(asdict(self))


class RequestError(RefusalError):
    """A request that is refused at the HTTP level, with a specific status and headers: 401, 403, 405, 413, 415."""

    def __init__(self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})


def problem_of(error: RefusalError) -> Problem:
    """Return the problem for an error."""
    status = error.status if isinstance(error, RequestError) else STATUSES[type(error)]
    return problem(status, error.detail, error.errors)


def problem(status: HTTPStatus, detail: str, errors: list[FieldError] | None = None) -> Problem:
    """Return a problem of type "about:blank", whose meaning is that of its status (section 4.2.1)."""
    listed = list(errors or [])
    if len(listed) > ERRORS_LIMIT:
        detail = f"{detail} (the first {ERRORS_LIMIT} of {len(listed):,} errors are listed)"
    return Problem("about:blank", status.phrase, status.value, detail, listed[:ERRORS_LIMIT])
