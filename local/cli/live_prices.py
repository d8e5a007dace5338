"""Live prices for a running system: a mock market, followed on its WebSocket and published."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from local.cli.alerter import Alerter
from local.cli.display import Lines
from local.cli.feed import Options
from local.cli.feed_server import serving
from local.cli.publisher import publishing


@asynccontextmanager
async def published(
    url: str, options: Options, port: int, say: Callable[[str], None], token: Callable[[], str | None] = lambda: None
) -> AsyncIterator[str]:
    """Run a market on a port, publish its prices to the system at a URL, and yield where it is served.

    Where the port is taken, any other will do.

    Its alerts, and how the connections do, are told to `say`. `token` returns what lets prices in, where the system
    wants that; it is called for each request, because tokens expire.
    """
    async with AsyncExitStack() as stack:
        try:
            feed = await stack.enter_async_context(serving(options, port))
        except OSError:  # by a feed that somebody else started, say
            feed = await stack.enter_async_context(serving(options, 0))
        publisher = await stack.enter_async_context(publishing(url, say, token))
        alerter = Alerter(feed.url, Lines(say, shows_prices=False), publisher=publisher)
        following = asyncio.create_task(alerter.run())
        try:
            yield feed.url
        finally:
            following.cancel()
