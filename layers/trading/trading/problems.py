"""Problems: what a client is told when a request cannot be served, as RFC 9457 words it."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field of a request; `field` is its path: `price`, `trades[3].price`."""

    field: str
    message: str


class ProblemError(Exception):
    """A request that is answered with a problem instead of a result."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        errors: list[FieldError] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors or []
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """Return the problem's members (RFC 9457, section 3.1) and `errors`, the extension that names fields."""
        return {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            "errors": [{"field": error.field, "message": error.message} for error in self.errors],
        }


def invalid(*errors: FieldError) -> ProblemError:
    """Return the problem of a request whose fields are wrong (400)."""
    detail = "; ".join(f"{error.field}: {error.message}" for error in errors[:3])
    if len(errors) > 3:  # noqa: PLR2004 - three say enough in a sentence; `errors` has them all
        detail += f"; and {len(errors) - 3} more"
    return ProblemError(HTTPStatus.BAD_REQUEST, detail, list(errors))
