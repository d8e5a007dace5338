"""Exponential backoff with jitter."""

import random
from collections.abc import Iterator

FIRST_SECONDS = 0.5


def waits(longest: float) -> Iterator[float]:
    """Yield waits in seconds: each twice the one before, up to `longest`, less a random part of up to a half.

    The jitter keeps clients that lost the same server from all reconnecting at the same moment.
    """
    wait = FIRST_SECONDS
    while True:
        yield wait * random.uniform(0.5, 1)  # noqa: S311 - not security-relevant
        wait = min(longest, wait * 2)
