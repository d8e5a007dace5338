"""`trading token SCOPE...`: prints a token for the local API when it runs with AUTH=on."""

import json
from datetime import UTC, datetime, timedelta

import click

from local.cli.client import FOLDER, SUBJECT
from local.cli.options import as_json, examples
from local.host import authorizer


@click.command(
    epilog=examples("trading token trades:read trades:write --subject desk-7", "TOKEN=$(trading token) trading watch")
)
@click.argument("scopes", nargs=-1, metavar="[SCOPE]...")
@click.option("--subject", default=SUBJECT, show_default=True, help="The caller, stored as `recorded_by` of trades.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=authorizer.TOKEN_SECONDS / 60,
    show_default=True,
    help="How long the token is valid.",
)
@as_json
def command(*, scopes: tuple[str, ...], subject: str, minutes: float, as_json: bool) -> None:
    """Print a token for the local API, as required by `AUTH=on make start`.

    Without scopes, the token allows everything.
    """
    granted = scopes or _all_scopes()
    token = authorizer.of_this_laptop(FOLDER).token(subject, granted, minutes * 60)
    if not as_json:
        click.echo(token)
        return
    expires_at = f"{datetime.now(UTC) + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"
    click.echo(json.dumps({"token": token, "subject": subject, "scopes": granted, "expires_at": expires_at}))


def _all_scopes() -> list[str]:
    from local.host import template  # noqa: PLC0415 - takes a second, needed only without scopes

    return template.read(template.kept()).scopes
