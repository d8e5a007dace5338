"""The Chromium that looks at the page in tests, for pictures and in benchmarks."""

import shutil

# Debian's package of a Chromium that has no windows, which takes a quarter of the other one's work.
NAMES = ("chromium-headless-shell", "chromium")


class NoBrowserError(Exception):
    """There is no Chromium; the message says what to do."""


def executable() -> str:
    """Return where this machine's Chromium is.

    Raises:
        NoBrowserError: nowhere.
    """
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise NoBrowserError(f"there is no Chromium: apt-get install {NAMES[0]}")
