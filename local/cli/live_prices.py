"""Live prices for a running system: a mock market whose feed is followed and published."""

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
    """Run a market on a port, publish its prices to the system at a URL, and yield the feed's URL.

    If the port is in use, another one is chosen. Alerts and changes of the connections are passed to `say`. `token`
    returns the access token, if the system requires one; it is called for each request, because tokens expire.
    """
    async with AsyncExitStack() as stack:
        try:
            feed = await stack.enter_async_context(serving(options, port))
        except OSError:  # in use, perhaps by a feed that was started separately
            feed = await stack.enter_async_context(serving(options, 0))
        publisher = await stack.enter_async_context(publishing(url, say, token))
        alerter = Alerter(feed.url, Lines(say, shows_prices=False), publisher=publisher)
        following = asyncio.create_task(alerter.run())
        try:
            yield feed.url
        finally:
            following.cancel()
