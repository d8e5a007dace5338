"""Live prices for a running system: a mock market, followed on its WebSocket and published."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from local import price_feed
from local.authorizer import Authorizer
from local.price_alerter import Alerter
from local.price_display import Lines
from local.price_feed import Options
from local.price_publisher import publishing


@asynccontextmanager
async def published(
    url: str, options: Options, port: int, say: Callable[[str], None], door: Authorizer | None
) -> AsyncIterator[str]:
    """Run a market on a port (0: any), publish its prices to the system at a URL, and yield where it is served.

    Its alerts, and how the connections do, are told to `say`.
    """
    token = (lambda: door.token("market", ["prices:publish"])) if door else None
    async with price_feed.serving(options, port) as feed, publishing(url, say, token) as publisher:
        alerter = Alerter(feed.url, Lines(say, shows_prices=False), publisher=publisher)
        following = asyncio.create_task(alerter.run())
        try:
            yield feed.url
        finally:
            following.cancel()
