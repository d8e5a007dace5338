"""`trading feed`: a mock market on ws://localhost:8765 that sends its prices to all clients."""

import asyncio
import errno
import json
import math
import re
import secrets
import signal
import sys
from typing import TextIO

import click

from local.cli import console
from local.cli.feed import Options
from local.cli.feed_server import LAST_PORT, PORT, serving
from local.cli.market import CALM, NORMAL, VOLATILE
from local.cli.options import as_json, examples
from trading.core.values import TICKER_PATTERN

SHORTEST_WAIT = 0.01


def _tickers(_: click.Context, __: click.Parameter, text: str) -> tuple[str, ...]:
    tickers = tuple(dict.fromkeys(text.split(",")))
    for ticker in tickers:
        if not re.fullmatch(TICKER_PATTERN, ticker):
            raise click.BadParameter(f"{ticker!r} is not a valid ticker, such as AAPL or BRK.B")
    return tickers


@click.command(
    epilog=examples(
        "trading feed", "trading feed --tickers AAPL,BRK.B --volatile --seed 7", "trading feed --record prices.jsonl"
    )
)
@click.option(
    "--port", type=click.IntRange(0, LAST_PORT), default=PORT, show_default=True, help="0 selects a free port."
)
@click.option("--tickers", callback=_tickers, default=",".join(Options.tickers), help="Tickers, such as AAPL,BRK.B.")
@click.option(
    "--interval", default=Options.interval, show_default=True, help="Seconds from one array of prices to the next."
)
@click.option("--speed", default=Options.speed, help="Market seconds for each real second.")
@click.option("--seed", help="The same seed gives the same prices.")
@click.option("--calm", is_flag=True, help="No jumps, and so no alerts.")
@click.option("--volatile", is_flag=True, help="An alert every few seconds.")
@click.option(
    "--record",
    type=click.File("a", encoding="utf-8", lazy=False),
    help="Append the prices to a file, for `trading watch --replay`.",
)
@as_json
def command(  # noqa: PLR0913 - the options
    *, port: int, tickers: tuple[str, ...], interval: float, speed: float, seed: str | None, calm: bool,
    volatile: bool, record: TextIO | None, as_json: bool,
) -> None:  # fmt: skip
    """Serve a mock market over WebSocket, on this machine only, until Ctrl-C."""
    if calm and volatile:
        raise click.UsageError("--calm and --volatile exclude each other")
    if not 1 <= speed < math.inf:
        raise click.BadParameter("must be 1 or more", param_hint="--speed")
    if not SHORTEST_WAIT <= interval / speed < math.inf:
        raise click.BadParameter(f"must be {SHORTEST_WAIT} seconds or more of real time", param_hint="--interval")
    mood = CALM if calm else VOLATILE if volatile else NORMAL
    options = Options(tickers, interval, seed or secrets.token_hex(4), mood, speed)
    console.show_all(sys.stderr if as_json else sys.stdout)
    try:
        asyncio.run(_serve(options, port, record, as_json=as_json))
    except OSError as error:
        why = "is taken by another program" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise click.ClickException(f"Port {port} {why}. Choose another with --port.") from None


async def _serve(options: Options, port: int, recording: TextIO | None, *, as_json: bool) -> None:
    stop = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    async with serving(options, port, recording) as feed:
        if as_json:
            started = {"url": feed.url, "tickers": options.tickers, "interval": options.interval, "seed": options.seed}
            print(json.dumps(started), flush=True)
        else:
            count = len(options.tickers)
            print(
                f"{count} tickers every {options.interval:g} s on {feed.url}, seed {options.seed}. Ctrl-C stops.",
                flush=True,
            )
        await stop.wait()
    if not as_json:
        print("Stopped.")
