"""Errors: why a request cannot be carried out. `http/problems.py` turns each into a response."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field of a request; `field` is its path: `price`, `trades[3].price`."""

    field: str
    message: str


# Here, so that functions which page without a database need not load the driver.
BAD_CURSOR = FieldError("cursor", "is not a valid cursor; omit it to start at the first page")


class RefusalError(Exception):
    """A request that was understood but refused: the reason in a sentence, and the fields that caused it."""

    def __init__(self, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = list(errors)


class InvalidError(RefusalError):
    """Something in the request is malformed, out of range, or inconsistent with the rest."""

    def __init__(self, *errors: FieldError) -> None:
        detail = "; ".join(f"{error.field}: {error.message}" for error in errors[:3])
        if len(errors) > 3:  # noqa: PLR2004 - three are enough for a sentence; `errors` has them all
            detail += f"; and {len(errors) - 3} more"
        super().__init__(detail, errors)


class NotFoundError(RefusalError):
    """What the request is about does not exist."""


class ConflictError(RefusalError):
    """The request contradicts what is stored."""


class UnavailableError(Exception):
    """A dependency does not respond at the moment; the same request may succeed later."""
