"""`make pictures`: takes the screenshots of the page for the documents, with sample data.

It starts a temporary system. Needs Chromium and the environment of the page's tests.
"""

import asyncio
import json
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psycopg2
from playwright.sync_api import Browser, Page, expect, sync_playwright
from psycopg2.extras import execute_values

from local.cli.market import STARTING_PRICES, Market, Mood
from local.host import system
from local.host.system import RunningSystem
from local.host.template import ROOT
from local.tools import build_page
from local.tools.browser import executable

PICTURES = ROOT / "docs" / "pictures"
SEED = "sample"
BAR = timedelta(minutes=5)
BARS = 17 * 24 * 12
TICKS_OF_A_BAR = 10
CLOSED_HOURS = range(22, 24)  # UTC: hours without trading, which are gaps in charts
TRADE_COUNT = 1_200
DAY = "2026-11-25"
MOOD = Mood(volatility=0.35, quiet_seconds=6 * 3_600)
HISTORY_DAYS = 1_000
VIEWS = {
    "overview": "overview",
    "profit": "overview",
    "position": "overview?of=main&ticker=MSFT&currency=USD",
    "prices": "prices?ticker=AAPL&interval=hour",
    "trades": "trades?status=all",
    "import": "import",
    "analysis": f"analysis?date={DAY}",
    "simulation": "simulation",
}
BROKERS_FILE = """Date,Action,Symbol,Quantity,Price,Fees & Comm
11/20/2026,Sell,NVDA,40,171.20,0.05
11/18/2026,Qualified Dividend,MSFT,,,
11/17/2026,Buy,JPM,15,296.85,
11/12/2026,Buy,BRK/B,4,498.30,
11/12/2026,Sell,AAPL,10,268.40,0.04
11/06/2026,Buy,NVDA,40,158.75,
11/05/2026,Buy,AAPL,25,262.10,
11/03/2026,MoneyLink Transfer,,,,
"""
ALERTS = 4  # before the first screenshot
TIMEOUT_MS = 120_000
LINES_DRAWN = (
    "[...document.querySelectorAll('.positions-table .sparkline path')].every((line) => line.getAttribute('d'))"
)
SIZES = {"": (1440, 900), "-phone": (375, 812)}


def send(url: str, body: object, method: str = "POST", content_type: str = "application/json") -> Any:
    """Send a request and return the response body."""
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    with urlopen(Request(url, data, {"Content-Type": content_type}, method=method), timeout=60) as answer:  # noqa: S310
        return json.load(answer)


def fill(url: str, environment: Mapping[str, str], s3: Any) -> None:
    """Fill a system with some weeks of bars, trades, a day's analysis and the history of a ticker."""
    closes = _insert_bars(environment["DATABASE_URL"])
    trades = list(_trades(closes))
    for start in range(0, len(trades), 1_000):
        send(f"{url}/api/trades/batch", {"trades": trades[start : start + 1_000]})
    send(f"{url}/api/trades/2/void", {"reason": "Entered twice"})
    send(f"{url}/api/trades/3/correct", {"reason": "Wrong price", "price": trades[1]["price"]})
    _put_day(environment, s3, trades)
    for age in range(2, 8):
        send(f"{url}/api/exports", {"date": str(date.fromisoformat(DAY) - timedelta(days=age))})
    send(f"{url}/api/alert-rules", {"ticker": "AAPL", "kind": "above", "price": "195"})
    for ticker in ("MSFT", "AAPL"):
        send(f"{url}/api/histories/{ticker}", _history(ticker), "PUT", "text/csv")


def _insert_bars(database_url: str) -> dict[tuple[str, datetime], Decimal]:
    """Insert bars that end at the opening prices of the market, and return their closes.

    A reversed random walk is a random walk too.
    """
    market = Market(list(STARTING_PRICES), SEED, MOOD)
    paths: list[dict[str, Decimal]] = []
    for _ in range(BARS * TICKS_OF_A_BAR):
        paths.append(market.prices())
        market.move(BAR.total_seconds() / TICKS_OF_A_BAR)
    paths.reverse()
    now = datetime.now(UTC).replace(microsecond=0)
    last = now - timedelta(seconds=now.timestamp() % BAR.total_seconds()) - BAR
    rows: list[tuple[object, ...]] = []
    closes: dict[tuple[str, datetime], Decimal] = {}
    for number in range(BARS):
        start = last - BAR * (BARS - 1 - number)
        if start.hour in CLOSED_HOURS:
            continue
        ticks = paths[number * TICKS_OF_A_BAR : (number + 1) * TICKS_OF_A_BAR]
        for ticker in STARTING_PRICES:
            prices = [tick[ticker] for tick in ticks]
            count = random.Random(f"{ticker}{number}").randint(60, 150)  # noqa: S311 - sample data
            total = sum(prices) / len(prices) * count
            closes[ticker, start] = prices[-1]
            extremes = (prices[0], start, max(prices), min(prices), prices[-1], start + BAR - timedelta(seconds=1))
            rows.append((ticker, start, total, count, *extremes))
    connection = psycopg2.connect(database_url)
    with connection, connection.cursor() as cursor:
        execute_values(
            cursor,
            "insert into price_averages"
            " (ticker, bucket_start, price_sum, count, open, opened_at, high, low, close, closed_at) values %s"
            " on conflict do nothing",
            rows,
            page_size=1_000,
        )
    connection.close()
    return closes


def _trades(closes: Mapping[tuple[str, datetime], Decimal]) -> Iterator[dict[str, Any]]:
    """Yield some weeks of trades, newest first, at the closes of bars where there are any."""
    chance = random.Random(SEED)  # noqa: S311 - sample data
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=7)
    last = {ticker: Decimal(str(price)) for ticker, price in STARTING_PRICES.items()}
    for number in range(TRADE_COUNT):
        ticker = chance.choice(list(STARTING_PRICES))
        bar = at.replace(minute=at.minute - at.minute % 5, second=0, microsecond=0)
        drifted = last[ticker] * Decimal(str(1 + chance.gauss(-0.001, 0.015)))
        last[ticker] = closes.get((ticker, bar), drifted)
        yield {
            "ticker": ticker,
            "side": chance.choice(["BUY", "BUY", "SELL"]),
            "quantity": chance.choice([5, 10, 25, 40, 50, 100, 120, 0.5]),
            "price": f"{last[ticker]:.2f}",
            "fee": "1.00",
            "timestamp": at.isoformat(),
            "tags": chance.choice([[], [], ["earnings"], ["swing"]]),
            "note": "Half of the position" if number % 9 == 0 else None,
            "account": "growth" if ticker in {"NVDA", "TSLA"} else "main",
        }
        at -= timedelta(minutes=chance.uniform(2, 90))


def _put_day(environment: Mapping[str, str], s3: Any, trades: Sequence[Mapping[str, Any]]) -> None:
    """Put a trade file into the bucket, with some invalid lines."""
    columns = ("ticker", "price", "quantity", "side")
    times = [f"{DAY}T{8 + number // 60:02}:{number % 60:02}:00Z" for number in range(480)]
    rows = [",".join([*(str(trade[name]) for name in columns), at]) for trade, at in zip(trades, times, strict=False)]
    rows[17:17] = ["AAPL,190.10,10,HOLD," + times[3], "MSFT,n/a,5,BUY," + times[4], "TSLA,171.20,-4,BUY," + times[5]]
    text = "\n".join([",".join([*columns, "timestamp"]), *rows]) + "\n"
    key = f"{date.fromisoformat(DAY):%Y/%m/%d}/trades.csv"
    s3.put_object(Bucket=environment["DATA_BUCKET"], Key=key, Body=text.encode())


def _history(ticker: str) -> str:
    """Return some years of daily prices as CSV."""
    chance = random.Random(f"{SEED}/{ticker}")  # noqa: S311 - sample data
    price, day, lines = 96.0, date(2022, 1, 3), ["date,open,close"]
    while len(lines) <= HISTORY_DAYS:
        if day.weekday() < 5:  # noqa: PLR2004 - Saturday
            opened, price = price * (1 + chance.gauss(0, 0.003)), price * (1 + chance.gauss(0.0006, 0.016))
            lines.append(f"{day},{opened:.2f},{price:.2f}")
        day += timedelta(days=1)
    return "\n".join(lines) + "\n"


class LiveMarket:
    """Publishes live prices, starting with the market's opening prices, until it is stopped."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        """Open the market."""
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        market = Market(list(STARTING_PRICES), SEED, Mood(volatility=0.3, quiet_seconds=90))
        while not self._stopped.wait(0.5):
            market.move(2)
            now = datetime.now(UTC).isoformat()
            ticks = [{"ticker": name, "price": str(price), "timestamp": now} for name, price in market.prices().items()]
            send(f"{self._url}/api/prices", {"prices": ticks})


def take(browser: Browser, url: str, folder: Path) -> None:
    """Take a screenshot of every view: for desktop and phone, light and dark."""
    for name, view in VIEWS.items():
        for suffix, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(
                    viewport={"width": width, "height": height}, color_scheme=scheme, timezone_id="Europe/Berlin"
                )
                context.set_default_timeout(TIMEOUT_MS)
                page = context.new_page()
                page.goto(f"{url}/#/{view}")
                page.locator("main h1").first.wait_for()
                _prepare(page, name)
                file = folder / f"{name}{suffix}{'-dark' if scheme == 'dark' else ''}.png"
                page.screenshot(path=file)
                print(file, flush=True)
                context.close()


def _prepare(page: Page, view: str) -> None:
    """Bring a view into the state for its screenshot."""
    if view == "overview":
        page.locator(".profit-panel canvas").first.wait_for()
        expect(page.locator(".positions-table .sparkline path[d='']")).to_have_count(0, timeout=TIMEOUT_MS)
    if view == "profit":
        page.get_by_role("button", name="Calendar").click()
        page.locator(".profit-panel").scroll_into_view_if_needed()
    if view == "position":
        page.locator("dialog tbody tr").first.wait_for()
        page.locator("dialog canvas").first.wait_for()
    if view == "prices":
        page.locator(".ticker-row").first.wait_for()
        time.sleep(4)
    if view == "import":
        file = {"name": "Transactions.csv", "mimeType": "text/csv", "buffer": BROKERS_FILE.encode()}
        page.locator("input[type=file]").set_input_files(file)
        page.locator(".import-lists tbody tr").first.wait_for()
    if view == "simulation":
        page.get_by_label("Ticker").fill("MSFT")
        page.get_by_role("button", name="Sweep", exact=True).click()
        page.get_by_role("button", name="Simulate").click()
        page.locator("#simulation-figures dd").first.wait_for()
    if view == "analysis":
        page.locator("#analysis-figures dd").first.wait_for()
    if view == "trades":
        page.locator(".trade-row[data-id]").first.wait_for()
    page.wait_for_timeout(1_000)


def _wait_for_alerts(url: str) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        with urlopen(f"{url}/api/alerts", timeout=60) as answer:  # noqa: S310
            if len(json.load(answer)) >= ALERTS:
                return
        time.sleep(1)


def main() -> None:
    """Start a system, fill it, take the screenshots, and stop it."""
    build_page.build()
    folder = Path(tempfile.mkdtemp(prefix="trading-pictures-"))
    folder.chmod(0o755)  # as root, PostgreSQL's account needs access
    try:
        asyncio.run(_photograph(folder))
    finally:
        shutil.rmtree(folder)


async def _photograph(folder: Path) -> None:
    async with system.running(folder, 0) as running:
        await asyncio.to_thread(_take_all, running)


def _take_all(running: RunningSystem) -> None:
    fill(running.url, running.environment, running.aws.client("s3"))
    with LiveMarket(running.url), sync_playwright() as playwright:
        _wait_for_alerts(running.url)
        browser = playwright.chromium.launch(executable_path=executable())
        take(browser, running.url, PICTURES)
        browser.close()


if __name__ == "__main__":
    main()
