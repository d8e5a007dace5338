"""How long to wait before something is tried again."""

import random
from collections.abc import Iterator

FIRST_SECONDS = 0.5


def waits(longest: float) -> Iterator[float]:
    """Yield seconds: each twice the one before, up to `longest`, less up to a half by chance.

    The chance keeps those who lost the same server from all coming back at the same moment.
    """
    wait = FIRST_SECONDS
    while True:
        yield wait * random.uniform(0.5, 1)  # noqa: S311 - nobody is harmed who guesses it
        wait = min(longest, wait * 2)
