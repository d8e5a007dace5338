"""Problems: what a client is told when a request cannot be served, as RFC 9457 words it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field of a request; `field` is its path: `price`, `trades[3].price`."""

    field: str
    message: str


@dataclass(frozen=True)
class Problem:
    """What a client is told: RFC 9457's members (section 3.1), and `errors`, which name fields."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError]

    def write(self) -> str:
        """Return the problem as JSON text."""
        return json.dumps(asdict(self))


class ProblemError(Exception):
    """A request that is answered with a problem instead of a result."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        # "about:blank": the status says what kind of problem it is (section 4.2.1).
        self.problem = Problem("about:blank", status.phrase, status.value, detail, list(errors))
        self.headers = dict(headers or {})


def invalid(*errors: FieldError) -> ProblemError:
    """Return the problem of a request whose fields are wrong (400)."""
    detail = "; ".join(f"{error.field}: {error.message}" for error in errors[:3])
    if len(errors) > 3:  # noqa: PLR2004 - three say enough in a sentence; `errors` has them all
        detail += f"; and {len(errors) - 3} more"
    return ProblemError(HTTPStatus.BAD_REQUEST, detail, errors)
