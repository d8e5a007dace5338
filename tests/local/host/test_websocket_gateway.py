import asyncio
import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientSession
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from local.host.system import RunningSystem

pytestmark = pytest.mark.usefixtures("running")


HANDSHAKE = (
    "GET /?{query} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Market:
    """A publisher of prices and the sockets of a running system."""

    def __init__(self, running: RunningSystem, session: ClientSession) -> None:
        self._running = running
        self._session = session
        # Each test has a minute of its own, so that the rule knows no ticker of another.
        self._now = datetime.now(UTC)

    async def ticket(self) -> str:
        """Return the address that a new ticket opens."""
        async with self._session.post("/api/prices/ticket/") as response:
            return str((await response.json())["url"])

    async def open(self) -> ClientConnection:
        """Connect with a new ticket."""
        return await connect(await self.ticket(), close_timeout=0.2)

    async def nobody_is_connected(self) -> None:
        """Wait until the system knows of no connection."""
        table = self._running.environment["CONNECTIONS_TABLE"]
        dynamodb = self._running.aws.client("dynamodb")
        while (await asyncio.to_thread(dynamodb.scan, TableName=table))["Items"]:  # noqa: ASYNC110 - a table has no event
            await asyncio.sleep(0.05)

    async def publish(self, ticker: str, *prices: str) -> None:
        """Publish prices of a ticker, a second apart."""
        body = [
            {"ticker": ticker, "price": price, "timestamp": (self._now + timedelta(seconds=number)).isoformat()}
            for number, price in enumerate(prices, start=-len(prices))
        ]
        self._now += timedelta(milliseconds=10)
        async with self._session.post("/api/prices/", json={"prices": body}) as response:
            assert response.status == 202


def visit(running: RunningSystem, tour: Any) -> None:
    """Run a visit to a running system's market."""

    async def run() -> None:
        async with ClientSession(running.url) as session, asyncio.timeout(30):
            await tour(Market(running, session))

    asyncio.run(run())


async def heard(socket: ClientConnection) -> Any:
    return json.loads(await socket.recv())


async def say(socket: ClientConnection, **message: object) -> Any:
    await socket.send(json.dumps(message))
    return await heard(socket)


def test_prices_and_alerts_reach_who_follows_them(running: RunningSystem) -> None:
    async def tour(market: Market) -> None:
        async with await market.open() as everything, await market.open() as apple:
            assert (await say(apple, action="subscribe", tickers=["TA"]))["tickers"] == ["TA"]
            await market.publish("TA", "98.00", "100.10")
            for socket in (everything, apple):
                [price] = await heard(socket)
                assert (price["ticker"], price["price"]) == ("TA", 100.10)
                alert = await heard(socket)
                assert (alert["type"], alert["ticker"], alert["rise_percent"]) == ("alert", "TA", "2.14")
            await market.publish("TB", "5")
            assert [price["ticker"] for price in await heard(everything)] == ["TB"]
            assert await say(apple, action="ping") == {"type": "pong"}

    visit(running, tour)


def test_a_ticket_opens_one_socket_and_nothing_opens_without_one(running: RunningSystem) -> None:
    async def tour(market: Market) -> None:
        url = await market.ticket()
        async with connect(url):
            for address in (url, running.socket_url, f"{running.socket_url}?ticket=guessed"):
                with pytest.raises(InvalidStatus, match="401"):
                    await connect(address)

    visit(running, tour)


def test_whatever_is_said_is_answered_and_what_is_too_long_ends_the_socket(running: RunningSystem) -> None:
    garbage = ["", "hello", "[]", "{}", '{"action": "$connect"}', '{"action": "@"}', "[" * 10_000, "\x00", "ü" * 1_000]

    async def tour(market: Market) -> None:
        async with await market.open() as socket:
            for text in garbage:
                await socket.send(text)
            answers = [await heard(socket) for _ in garbage]
            assert {answer["type"] for answer in answers} == {"error"}
            assert await say(socket, action="list") == {"type": "subscribed", "tickers": ["*"]}
            await socket.send("x" * 200_000)
            with pytest.raises(ConnectionClosed):
                await socket.recv()

    visit(running, tour)


def test_who_dies_or_does_not_read_holds_up_nobody(running: RunningSystem) -> None:
    async def tour(market: Market) -> None:
        async with AsyncExitStack() as stack:
            sockets = [await stack.enter_async_context(await market.open()) for _ in range(4)]
            await market.publish("TC", "1")
            for socket in sockets[:3]:
                await heard(socket)
            sockets[0].transport.abort()
            sockets[3].transport.pause_reading()
            await market.publish("TC", "2")
            for socket in sockets[1:3]:
                assert (await heard(socket))[0]["price"] == 2

    visit(running, tour)


def test_who_vanishes_while_connecting_leaves_nothing_behind(running: RunningSystem) -> None:
    async def tour(market: Market) -> None:
        host, port = "127.0.0.1", int(running.socket_url.rpartition(":")[2])
        for _ in range(5):
            query = (await market.ticket()).partition("?")[2]
            _, writer = await asyncio.open_connection(host, port)
            writer.write(HANDSHAKE.format(query=query, host=f"{host}:{port}").encode())
            await writer.drain()
            writer.transport.abort()
        async with await market.open() as socket:
            assert await say(socket, action="ping") == {"type": "pong"}
        await market.nobody_is_connected()

    visit(running, tour)


def test_two_hundred_who_connect_at_once_all_hear(running: RunningSystem) -> None:
    async def tour(market: Market) -> None:
        async with AsyncExitStack() as stack:
            sockets = await asyncio.gather(*(market.open() for _ in range(200)))
            for socket in sockets:
                stack.push_async_callback(socket.close)
            await market.publish("TD", "1")
            frames = await asyncio.gather(*map(heard, sockets))
            assert all(price["ticker"] == "TD" for [price] in frames)

    visit(running, tour)
