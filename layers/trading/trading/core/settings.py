"""Settings: the environment variables of a function."""

import os


class MissingSettingError(RuntimeError):
    """A required environment variable is not set."""


def setting(name: str) -> str:
    """Return the environment variable `name`.

    Raises:
        MissingSettingError: it is not set or empty (the template declares some variables as empty, because
            `sam local` can only override declared ones).
    """
    value = os.environ.get(name)
    if not value:
        raise MissingSettingError(f"set the environment variable {name}")
    return value
