"""`trading webhooks`: manages the webhooks that receive the system's events."""

from contextlib import suppress
from typing import Any

import click

from local.cli import tables
from local.cli.client import Client, ProblemError, is_here, url_option
from local.cli.console import printable
from local.cli.options import as_json, examples, print_json

SCOPE = "webhooks:write"
PATH = "/api/webhooks"
PORT = 9999


@click.group(
    epilog=examples(
        "trading webhooks add https://example.com/hooks --event trade.recorded.v1 --ticker MSFT",
        "trading webhooks list",
        "trading webhooks test WEBHOOK",
        "trading webhooks listen",
    )
)
def command() -> None:
    """Send the system's events to a program, Slack or Telegram."""


@command.command(
    epilog=examples(
        "trading webhooks add https://example.com/hooks",
        "trading webhooks add https://hooks.slack.com/services/T0/B0/X --kind slack --event price.alerted.v1",
    )
)
@click.argument("receiver", metavar="URL")
@click.option("--kind", type=click.Choice(["standard", "slack", "telegram"]), default="standard", show_default=True)
@click.option("--chat-id", metavar="ID", help="The Telegram chat to write to.")
@click.option("--event", "events", metavar="TYPE", multiple=True, help="May be repeated. [default: every type]")
@click.option("--ticker", metavar="TICKER", help="Only events of this ticker.")
@click.option("--account", metavar="NAME", help="Only events of this account.")
@click.option("--rule", "rule_id", metavar="ID", type=int, help="Only alerts of this rule.")
@url_option
@as_json
def add(*, receiver: str, url: str | None, as_json: bool, events: tuple[str, ...], **settings: Any) -> None:
    """Create a webhook, and print its secret: it is not shown again."""
    if settings["ticker"]:
        settings["ticker"] = settings["ticker"].upper()
    wanted = {name: value for name, value in settings.items() if value is not None}
    if events:
        wanted["events"] = list(events)
    webhook = Client(url, SCOPE).post(PATH, {"url": receiver, **wanted})
    if as_json:
        print_json(webhook)
        return
    click.echo(f"Created webhook {webhook['id']}.")
    if webhook["secret"]:
        click.echo(f"Its secret, which is not shown again: {webhook['secret']}")


@command.command(name="list", epilog=examples("trading webhooks list", "trading webhooks list --json"))
@url_option
@as_json
def list_(*, url: str | None, as_json: bool) -> None:
    """List the webhooks, oldest first."""
    found = Client(url, SCOPE).get(PATH)
    if as_json:
        print_json(found)
    elif found:
        tables.show(
            [
                tables.texts("id", [each["id"] for each in found]),
                tables.texts("kind", [each["kind"] for each in found]),
                tables.texts("url", [each["url"] for each in found]),
                tables.texts("events", [" ".join(each["events"] or ["all"]) for each in found]),
                tables.texts("status", [_status(each) for each in found]),
            ]
        )
    else:
        click.echo("There are no webhooks.")


def _status(webhook: dict[str, Any]) -> str:
    if webhook["paused"]:
        return f"paused ({webhook['paused_because']})"
    return f"failing since {webhook['failing_since']}" if webhook["failing_since"] else "active"


@command.command(epilog=examples("trading webhooks test 0f3b2c1d-9e8f-4a7b-8c6d-5e4f3a2b1c0d"))
@click.argument("webhook_id", metavar="WEBHOOK")
@url_option
@as_json
def test(*, webhook_id: str, url: str | None, as_json: bool) -> None:
    """Send a test event, and show the receiver's response; the exit code is 1 if it was not delivered."""
    delivery = Client(url, SCOPE).post(f"{PATH}/{_id(webhook_id)}/test", {})
    attempt = delivery["attempts"][-1]
    if as_json:
        print_json(delivery)
    if delivery["status"] != "delivered":
        why = f"HTTP {attempt['status']}" if attempt["status"] else attempt["error"]
        raise click.ClickException(f"The test did not arrive: {printable(why)}.")
    if not as_json:
        click.echo(f"Delivered: HTTP {attempt['status']} after {attempt['milliseconds']} ms.")


@command.command(epilog=examples("trading webhooks rm 0f3b2c1d-9e8f-4a7b-8c6d-5e4f3a2b1c0d"))
@click.argument("webhook_id", metavar="WEBHOOK")
@url_option
def rm(*, webhook_id: str, url: str | None) -> None:
    """Delete a webhook. Pending deliveries are not sent."""
    Client(url, SCOPE).call("DELETE", f"{PATH}/{_id(webhook_id)}")
    click.echo(f"Deleted webhook {webhook_id}.")


def _id(webhook_id: str) -> str:
    if not webhook_id.replace("-", "").isalnum() or not webhook_id.isascii():
        raise click.BadParameter(f"{webhook_id!r} is not the id of a webhook; `./trading webhooks list` shows them")
    return webhook_id


@command.command(
    epilog=examples("trading webhooks listen", "trading webhooks listen --port 8080 --secret whsec_c2VjcmV0")
)
@click.option("--port", type=click.IntRange(0, 65_535), default=PORT, show_default=True, help="Port; 0 for any.")
@click.option("--secret", metavar="SECRET", help="Secret of an existing webhook. [default: create a temporary one]")
@url_option
def listen(*, port: int, secret: str | None, url: str | None) -> None:
    """Receive, verify and print events on a port of this machine until Ctrl-C.

    Without --secret, a temporary webhook is created in the system running here, and deleted at the end.
    """
    from local.cli.webhook_listener import Listener  # noqa: PLC0415 - needed only here

    api = Client(url, SCOPE)
    if secret is None and not is_here(api.url):
        raise click.UsageError("A system elsewhere cannot reach this machine: give --secret, and forward the port.")
    try:
        listener = Listener(port, click.echo)
    except OSError as error:
        raise click.ClickException(f"Port {port} cannot be listened on: {error.strerror}.") from None
    with listener:
        created = api.post(PATH, {"url": listener.url}) if secret is None else None
        listener.secret = created["secret"] if created else secret or ""
        click.echo(f"Listening on {listener.url} (Ctrl-C ends it).")
        try:
            listener.serve_forever(0.1)
        finally:
            if created:
                with suppress(ProblemError):  # the system has stopped, or the webhook is already deleted
                    api.call("DELETE", f"{PATH}/{created['id']}")
