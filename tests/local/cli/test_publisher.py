import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from local.cli import backoff
from local.cli import publisher as price_publisher
from local.cli.publisher import Publisher, publishing
from trading.prices.ticks import Tick

START = datetime(2025, 6, 3, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.01)
    monkeypatch.setattr(price_publisher, "FINISH_SECONDS", 5.0)


class Api:
    """A trading system that keeps what it is sent, and answers as it is told to."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.tokens: list[str | None] = []
        self.statuses: list[int] = []
        self.refuses: Callable[[dict[str, Any]], str | None] = lambda _: None
        self.problem: dict[str, Any] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def sent(self) -> list[str]:
        return [row["ticker"] for body in self.bodies for row in json.loads(body)["prices"]]

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.text()
        if self.statuses:
            return web.Response(status=self.statuses.pop(0))
        rows = json.loads(body)["prices"]
        errors = [
            {"field": f"prices[{position}].price", "message": message}
            for position, row in enumerate(rows)
            if (message := self.refuses(row))
        ]
        if errors or self.problem:
            return web.json_response(self.problem or {"errors": errors}, status=400)
        self.bodies.append(body)
        self.tokens.append(request.headers.get("Authorization"))
        return web.Response(status=202)

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/api/prices/", self.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = runner.addresses[0][1]
        return runner


def tick(ticker: str, number: int = 0, price: str = "98.00") -> Tick:
    return Tick(ticker, Decimal(price), START + timedelta(seconds=number))


def publish(
    api: Api, talk: Callable[[Publisher], Awaitable[None]], token: Callable[[], str | None] = lambda: None
) -> tuple[list[str], str]:
    """Offer prices to an API, and return what was said of it, and the summary."""
    said: list[str] = []
    summary = ""

    async def serve() -> None:
        nonlocal summary
        runner = await api.start()
        async with asyncio.timeout(10), publishing(api.url, said.append, token) as publisher:
            await talk(publisher)
        summary = publisher.summary()
        await runner.cleanup()

    asyncio.run(serve())
    return said, summary


def offering(*ticks: Tick) -> Callable[[Publisher], Awaitable[None]]:
    async def talk(publisher: Publisher) -> None:
        publisher.offer(ticks)

    return talk


def test_prices_arrive_with_their_digits() -> None:
    api = Api()
    said, summary = publish(api, offering(tick("AAPL"), tick("BRK.B", price="187.4200")))
    rows = (
        '{"ticker":"AAPL","price":98.00,"timestamp":"2025-06-03T12:00:00Z"}',
        '{"ticker":"BRK.B","price":187.4200,"timestamp":"2025-06-03T12:00:00Z"}',
    )
    assert api.bodies == [f'{{"prices":[{",".join(rows)}]}}']
    assert (said, summary) == ([], "published 2")


def test_each_batch_has_a_fresh_token_where_one_is_wanted() -> None:
    api, issued = Api(), iter(["first", "second"])
    publish(api, offering(*(tick("AAPL", number) for number in range(150))), lambda: next(issued))
    assert api.tokens == ["Bearer first", "Bearer second"]
    publish(api, offering(tick("AAPL")))
    assert api.tokens[2] is None


def test_batches_are_small_and_keep_the_order() -> None:
    api = Api()
    publish(api, offering(*(tick("AAPL", number) for number in range(250))))
    batches = [json.loads(body)["prices"] for body in api.bodies]
    assert [len(batch) for batch in batches] == [100, 100, 50]
    stamps = [row["timestamp"] for batch in batches for row in batch]
    assert stamps == sorted(stamps)


def test_tickers_that_the_trading_system_has_no_use_for_are_skipped_and_named_once() -> None:
    api = Api()

    async def talk(publisher: Publisher) -> None:
        for number in range(3):
            publisher.offer([tick("MOCKSTOCK_A", number), tick("AAPL", number), tick("MOCKSTOCK_B", number)])

    said, summary = publish(api, talk)
    assert api.sent() == ["AAPL"] * 3
    assert said == ["Not published, MOCKSTOCK_A, MOCKSTOCK_B: the trading system has tickers such as AAPL or BRK.B."]
    assert summary == "published 3, skipped 6"


def test_rows_that_are_refused_are_skipped_and_the_rest_is_sent() -> None:
    api = Api()
    api.refuses = lambda row: "is too high" if row["price"] > 500 else None
    said, summary = publish(
        api, offering(tick("AAPL"), tick("MSFT", price="501"), tick("AAPL", 1), tick("MSFT", 1, price="502"))
    )
    assert api.sent() == ["AAPL", "AAPL"]
    assert said == ["Not published, MSFT: is too high."]
    assert summary == "published 2, skipped 2"


def test_a_refusal_that_names_no_row_costs_its_batch_and_not_the_next() -> None:
    api = Api()

    async def talk(publisher: Publisher) -> None:
        api.problem = {"detail": "no"}
        publisher.offer([tick("AAPL")])
        await publisher.finish()
        api.problem = None
        publisher.offer([tick("AAPL", 1)])

    said, summary = publish(api, talk)
    assert len(said) == 1
    assert summary == "published 1, skipped 1"


def test_a_trading_system_that_is_busy_is_asked_again() -> None:
    api = Api()
    api.statuses = [503, 500, 429]
    said, summary = publish(api, offering(tick("AAPL")))
    assert api.sent() == ["AAPL"]
    assert said == [
        "The trading system is unavailable (HTTP 503); keeping up to 10,000 prices for it.",
        "The trading system is back.",
    ]
    assert summary == "published 1"


def test_while_it_is_away_the_newest_prices_are_kept_and_the_loss_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_publisher, "KEPT", 20)
    api, said = Api(), list[str]()

    async def serve() -> str:
        await (await api.start()).cleanup()  # its port is known then, and nobody there
        async with asyncio.timeout(10), publishing(api.url, said.append) as publisher:
            publisher.offer([tick("FIRST")])
            await asyncio.sleep(0.1)
            publisher.offer([tick("AAPL", number) for number in range(50)])
            runner = await api.start()
            await publisher.finish()
        await runner.cleanup()
        return publisher.summary()

    assert asyncio.run(serve()) == "published 21, dropped 30"
    assert api.sent() == ["FIRST", *["AAPL"] * 20]
    assert '"timestamp":"2025-06-03T12:00:49Z"' in api.bodies[-1]
    assert said[0].startswith("The trading system is unavailable (Cannot connect to host 127.0.0.1")
    assert said[1:] == ["The trading system is back; 30 prices were dropped meanwhile, the oldest."]


def test_what_could_not_be_sent_in_the_end_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_publisher, "FINISH_SECONDS", 0.1)
    api = Api()
    api.statuses = [503] * 1_000
    _, summary = publish(api, offering(tick("AAPL"), tick("MSFT")))
    assert summary == "published 0, not sent 2"


def test_waits_grow_up_to_a_limit_and_are_never_quite_the_same() -> None:
    waits = [wait for wait, _ in zip(backoff.waits(0.08), range(50), strict=False)]
    limits = [0.01, 0.02, 0.04, *[0.08] * 47]
    assert all(limit / 2 <= wait <= limit for wait, limit in zip(waits, limits, strict=True))
    assert len(set(waits)) > 40
