"""Live prices for a running system: a mock market, followed on its WebSocket and published."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from local.cli.alerter import Alerter
from local.cli.display import Lines
from local.cli.feed import Options
from local.cli.feed_server import serving
from local.cli.publisher import publishing


@asynccontextmanager
async def published(
    url: str, options: Options, port: int, say: Callable[[str], None], token: Callable[[], str | None] = lambda: None
) -> AsyncIterator[str]:
    """Run a market on a port (0: any), publish its prices to the system at a URL, and yield where it is served.

    Its alerts, and how the connections do, are told to `say`. `token` returns what lets prices in, where the system
    wants that; it is called for each request, because tokens expire.
    """
    async with serving(options, port) as feed, publishing(url, say, token) as publisher:
        alerter = Alerter(feed.url, Lines(say, shows_prices=False), publisher=publisher)
        following = asyncio.create_task(alerter.run())
        try:
            yield feed.url
        finally:
            following.cancel()
