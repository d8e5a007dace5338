"""`trading watch`: shows the prices and alerts of a live feed or of a recording."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from functools import partial
from typing import TextIO

import click
from pydantic import ValidationError
from rich.console import Console
from websockets.exceptions import InvalidURI
from websockets.uri import parse_uri

from local.cli.alerter import Alerter, RefusedError
from local.cli.client import find_token
from local.cli.display import Display, JsonLines, Lines, LiveTable
from local.cli.options import as_json, examples
from local.cli.publisher import publishing
from local.cli.replay import replay as replayed
from local.cli.rules import lines_of, settings_of
from local.cli.watches import Watches
from trading.core.errors import InvalidError
from trading.prices.alert_rules import DEFAULT_RULE, AlertRule
from trading.prices.rule_records import NewAlertRule, rule_of

URL = "ws://localhost:8765"
_READABLE = click.File(encoding="utf-8", errors="replace")


def _url(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    with suppress(InvalidURI):
        if text is not None:
            parse_uri(f"ws{text.removeprefix('http')}" if text.startswith("http") else text)
        return text
    raise click.BadParameter(f"{text!r} is not the address of a feed, such as {URL}")


@click.command(
    epilog=examples(
        "trading watch",
        "trading watch --tickers AAPL,MSFT --json",
        "trading watch --url http://127.0.0.1:8000",
        "trading watch --rule 'AAPL rise 3% in 5m' --rule 'AAPL below 180 once'",
        "trading watch --replay prices.jsonl --rule '* fall 1% in 60s'",
    )
)
@click.option(
    "--url",
    metavar="URL",
    callback=_url,
    default=URL,
    show_default=True,
    help="A feed (ws://…), or a trading system (http://…) with its price socket.",
)
@click.option("--tickers", default="", help="Tickers, such as AAPL,MSFT. [default: all]")
@click.option("--publish", metavar="URL", callback=_url, help="Forward the prices to a trading system (http://…).")
@click.option("--rule", "texts", metavar="RULE", multiple=True, help="Replaces the default rule; may be repeated.")
@click.option("--rules", "file", type=_READABLE, help="A file with one rule per line.")
@click.option("--replay", type=_READABLE, help="Read a recording (`trading feed --record`) instead of a feed.")
@as_json
def command(  # noqa: PLR0913 - the options
    *,
    url: str,
    tickers: str,
    publish: str | None,
    texts: Sequence[str],
    file: TextIO | None,
    replay: TextIO | None,
    as_json: bool,
) -> None:
    """Watch the prices and alerts of a feed until Ctrl-C.

    By default, a price alerts if it is more than 2% above the lowest price of the last minute. A rule has the form
    TICKER rise|fall PERCENT in TIME, or TICKER above|below PRICE; TICKER may be * for every ticker, and a final `once`
    ends the rule with its first alert. If a trading system requires a token, set TOKEN; this is not necessary for a
    system on this machine.
    """
    wanted = [ticker for ticker in tickers.split(",") if ticker]
    rules = [_rule(text) for text in dict.fromkeys([*texts, *lines_of(file or ())])] or [DEFAULT_RULE]
    if replay is None:
        asyncio.run(_watch(url, wanted, rules, publish, _display(as_json=as_json)))
    elif publish:
        raise click.UsageError("--replay and --publish exclude each other.")
    else:
        display = JsonLines(_print) if as_json else Lines(_print)
        display.say(replayed(replay, Watches(rules), display, {ticker.upper() for ticker in wanted}))


def _rule(text: str) -> AlertRule:
    """Parse a rule."""
    try:
        return rule_of(NewAlertRule.model_validate(settings_of(text)))
    except ValidationError as error:
        problem = error.errors()[0]
        why = f"{problem['loc'][0]}: {problem['msg'].removeprefix('Value error, ')}"
    except (ValueError, InvalidError) as error:
        why = str(error)
    raise click.BadParameter(why, param_hint="--rule")


def _display(*, as_json: bool) -> Display:
    if as_json:
        return JsonLines(_print)
    terminal = Console()
    return LiveTable(terminal) if terminal.is_terminal else Lines(_print)


def _print(text: str) -> None:
    print(text, flush=True)


async def _watch(
    url: str, tickers: list[str], rules: Sequence[AlertRule], publish: str | None, shown_by: Display
) -> None:
    with shown_by as display:
        published = (
            publishing(publish, display.say, partial(find_token, publish, "prices:publish"))
            if publish
            else nullcontext()
        )
        async with published as publisher:
            token = partial(find_token, url, "prices:read")
            alerter = Alerter(url, display, tickers=tickers, rules=rules, publisher=publisher, token=token)
            running = asyncio.create_task(alerter.run())
            for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(signal_number, running.cancel)
            await asyncio.wait([running])
        error = None if running.cancelled() else running.exception()  # cancelled by Ctrl-C
        display.say(alerter.summary())
    if isinstance(error, RefusedError):
        raise click.ClickException(f"The feed refuses the connection ({error}).")
    if error:
        raise error
