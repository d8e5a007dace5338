"""Pages: where the next one starts, by the key of the last row (keyset), so that depth costs nothing."""

import base64
from datetime import UTC, datetime, timedelta

from trading.problems import FieldError, invalid

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BIGINT = 2**63


def encode_cursor(timestamp: datetime, row_id: int) -> str:
    """Return the opaque text that names a row by its sort key."""
    text = f"{(timestamp - _EPOCH) // _MICROSECOND}.{row_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, int]:
    """Return the sort key that `encode_cursor` was given.

    Raises:
        ProblemError: 400, the text is not a cursor of ours.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        microseconds, row_id = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").split(".")
        key = _EPOCH + int(microseconds) * _MICROSECOND, int(row_id)
    except (ValueError, OverflowError):
        key = None
    if key is None or not 0 <= key[1] < _BIGINT:
        raise invalid(FieldError("cursor", "is not a cursor that this API gave out; leave it away to start anew"))
    return key
