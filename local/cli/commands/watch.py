"""`trading watch`: the prices of a feed, live, and an alert for each that rises by more than 2 % within a minute."""

import asyncio
import signal
from contextlib import nullcontext, suppress
from functools import partial

import click
from rich.console import Console
from websockets.exceptions import InvalidURI
from websockets.uri import parse_uri

from local.cli.alerter import Alerter, RefusedError
from local.cli.client import find_token
from local.cli.display import Display, JsonLines, Lines, LiveTable
from local.cli.options import as_json, examples
from local.cli.publisher import publishing

URL = "ws://localhost:8765"


def _url(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    with suppress(InvalidURI):
        if text is not None:
            parse_uri(f"ws{text.removeprefix('http')}" if text.startswith("http") else text)
        return text
    raise click.BadParameter(f"{text!r} is not the address of a feed, such as {URL}")


@click.command(
    epilog=examples(
        "trading watch", "trading watch --tickers AAPL,MSFT --json", "trading watch --url http://127.0.0.1:8000"
    )
)
@click.option(
    "--url",
    metavar="URL",
    callback=_url,
    default=URL,
    show_default=True,
    help="A feed (ws://…), or a trading system (http://…), whose price socket is used then.",
)
@click.option("--tickers", default="", help="Such as AAPL,MSFT. [default: all]")
@click.option("--publish", metavar="URL", callback=_url, help="Forward the prices to a trading system (http://…).")
@as_json
def command(*, url: str, tickers: str, publish: str | None, as_json: bool) -> None:
    """Watch the prices of a feed, and its alerts, until Ctrl-C.

    An alert is a price more than 2 % above the lowest of the minute before it. If a trading system requires a token,
    set TOKEN; for a system on this machine that is not necessary.
    """
    wanted = [ticker for ticker in tickers.split(",") if ticker]
    asyncio.run(_watch(url, wanted, publish, _display(as_json=as_json)))


def _display(*, as_json: bool) -> Display:
    if as_json:
        return JsonLines(_print)
    terminal = Console()
    return LiveTable(terminal) if terminal.is_terminal else Lines(_print)


def _print(text: str) -> None:
    print(text, flush=True)


async def _watch(url: str, tickers: list[str], publish: str | None, shown_by: Display) -> None:
    with shown_by as display:
        published = (
            publishing(publish, display.say, partial(find_token, publish, "prices:publish"))
            if publish
            else nullcontext()
        )
        async with published as publisher:
            token = partial(find_token, url, "prices:read")
            alerter = Alerter(url, display, tickers=tickers, publisher=publisher, token=token)
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
