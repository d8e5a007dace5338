"""What a function is told by its environment."""

import os


class MissingSettingError(RuntimeError):
    """The environment lacks a variable that this function cannot work without."""


def setting(name: str) -> str:
    """Return the environment variable `name`.

    Raises:
        MissingSettingError: it is not set, or empty (the template declares some variables as empty, because
            `sam local` can only override those that are declared).
    """
    value = os.environ.get(name)
    if not value:
        raise MissingSettingError(f"set the environment variable {name}")
    return value
