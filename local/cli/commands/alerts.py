"""`trading alerts`: the alert rules of a trading system."""

import json
from typing import Any

import click

from local.cli.client import Client, url_option
from local.cli.options import as_json, examples, print_json
from local.cli.rules import WINDOW_EXAMPLE, Window, described
from local.cli.tables import numbers, show, texts
from local.cli.trade_options import shown_time

PATH = "/api/alert-rules"

rule_id = click.argument("rule_id", metavar="ID", type=click.IntRange(min=1))


@click.group(
    epilog=examples(
        "trading alerts add AAPL --rise 3% --within 5m",
        "trading alerts add AAPL --below 180 --once",
        "trading alerts list",
        "trading alerts pause 2",
    )
)
def command() -> None:
    """Create, list, pause and delete alert rules.

    A rule alerts if a price rises or falls by a percentage within a time window, or if it is above or below a limit.
    """


@command.command(
    epilog=examples("trading alerts add AAPL --fall 3% --within 5m", "trading alerts add AAPL --above 200")
)
@click.argument("ticker")
@click.option("--rise", metavar="PERCENT", help="Rises by more than this, such as 3%.")
@click.option("--fall", metavar="PERCENT", help="Falls by more than this.")
@click.option(
    "--within", metavar="TIME", type=Window(), help=f"The window of a rise or fall: {WINDOW_EXAMPLE}, at most 15m."
)
@click.option("--above", metavar="PRICE", help="Is above this price.")
@click.option("--below", metavar="PRICE", help="Is below this price.")
@click.option("--once", is_flag=True, help="The rule ends with its first alert.")
@url_option
@as_json
def add(*, ticker: str, within: int | None, once: bool, url: str | None, as_json: bool, **kinds: str | None) -> None:
    """Create a rule for TICKER, or * for every ticker; it applies to prices from now on."""
    given = {kind: value for kind, value in kinds.items() if value is not None}
    if len(given) != 1:
        raise click.UsageError("Name one of --rise, --fall, --above and --below.")
    [(kind, value)] = given.items()
    is_move = kind in {"rise", "fall"}
    if is_move != (within is not None):
        wrong = f"--{kind} needs --within, such as 5m" if is_move else f"--within is not for --{kind}"
        raise click.UsageError(f"{wrong}.")
    settings = {"percent": value.removesuffix("%"), "window_seconds": within} if is_move else {"price": value}
    rule = Client(url, "alerts:write").post(PATH, {"ticker": ticker.upper(), "kind": kind, "once": once, **settings})
    _tell(f"Created rule {rule['id']}: {described(rule)}.", rule, as_json=as_json)


@command.command("list", epilog=examples("trading alerts list"))
@url_option
@as_json
def list_(*, url: str | None, as_json: bool) -> None:
    """List the rules."""
    rules = Client(url, "prices:read").get(PATH)
    if as_json:
        print_json(rules)
    elif rules:
        show(
            [
                numbers("id", [str(rule["id"]) for rule in rules]),
                texts("rule", [described(rule) for rule in rules]),
                texts("state", [_state(rule) for rule in rules]),
                texts("created by", [rule["created_by"] for rule in rules]),
            ]
        )
    else:
        click.echo("There are no rules.")


@command.command(epilog=examples("trading alerts pause 2"))
@rule_id
@url_option
@as_json
def pause(*, rule_id: int, url: str | None, as_json: bool) -> None:
    """Pause a rule: it raises no alerts until it is resumed."""
    rule = _changed(rule_id, url, paused=True)
    _tell(f"Paused rule {rule_id}: {described(rule)}.", rule, as_json=as_json)


@command.command(epilog=examples("trading alerts resume 2"))
@rule_id
@url_option
@as_json
def resume(*, rule_id: int, url: str | None, as_json: bool) -> None:
    """Resume a rule that is paused or has ended; it applies to prices from now on."""
    rule = _changed(rule_id, url, paused=False)
    _tell(f"Resumed rule {rule_id}: {described(rule)}.", rule, as_json=as_json)


@command.command(epilog=examples("trading alerts rm 2"))
@rule_id
@url_option
@as_json
def rm(*, rule_id: int, url: str | None, as_json: bool) -> None:
    """Delete a rule; its alerts are kept."""
    rule = Client(url, "alerts:write").call("DELETE", f"{PATH}/{rule_id}").body
    _tell(f"Deleted rule {rule_id}: {described(rule)}.", rule, as_json=as_json)


def _changed(rule_id: int, url: str | None, *, paused: bool) -> dict[str, Any]:
    body = json.dumps({"paused": paused}).encode()
    rule: dict[str, Any] = Client(url, "alerts:write").call("PATCH", f"{PATH}/{rule_id}", body).body
    return rule


def _tell(text: str, rule: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(rule)
    else:
        click.echo(text)


def _state(rule: dict[str, Any]) -> str:
    if rule["paused"]:
        return "paused"
    return f"alerted {shown_time(rule['ended_at'])} UTC" if rule["ended_at"] else "active"
