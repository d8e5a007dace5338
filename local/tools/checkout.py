"""A copy of this checkout, in which tests and benchmarks run a system of their own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.host.postgres import Postgres
from local.host.template import ROOT

PARTS = ("functions", "layers", "local", "docs", "events")


def copy(folder: Path) -> None:
    """Copy what a system needs into a folder."""
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part)
    shutil.copy(ROOT / "template.yaml", folder)


@contextmanager
def copied(folder: Path) -> Iterator[Path]:
    """Copy what a system needs into a folder, and remove the folder with the system's data afterwards."""
    copy(folder)
    try:
        yield folder
    finally:
        Postgres(folder / ".local" / "postgres", 0).erase()
        shutil.rmtree(folder)
