"""A browser on a running system, whose prices a test decides."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from local.cli.market import STARTING_PRICES
from local.host.system import RunningSystem
from local.tools import build_page
from local.tools.browser import executable
from tests.local.conftest import loop, running  # noqa: F401 - the system of the laptop's tests

WIDTHS = {"phone": 375, "desktop": 1440}
TICK_SECONDS = 0.5
# At worst a queue's poll, a function's start, and a machine that is busy with something else.
TIMEOUT_MS = 60_000
expect.set_options(timeout=TIMEOUT_MS)


def pytest_configure(config: pytest.Config) -> None:
    """Build the page, and install what checks it, once for all processes of tests."""
    if not hasattr(config, "workerinput"):
        build_page.install_tools()
        build_page.build()


def send(url: str, body: object, method: str = "POST", content_type: str = "application/json") -> Any:
    """Send the API what a test needs, and return what it answers."""
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    request = Request(url, data, {"Content-Type": content_type}, method=method)  # noqa: S310
    with urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


class Market:
    """A market that ticks until it is stopped."""

    def __init__(self, url: str) -> None:
        self.prices = {ticker: str(price) for ticker, price in STARTING_PRICES.items()}
        self._url = url
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._tick)

    def start(self) -> None:
        """Open, once more after it was stopped."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._tick)
        self._thread.start()

    def stop(self) -> None:
        """Fall silent."""
        self._stopped.set()
        self._thread.join()

    def publish(self, ticker: str, *prices: str) -> None:
        """Publish prices of a ticker of one moment each, the last one now."""
        now = datetime.now(UTC)
        ticks = [
            {"ticker": ticker, "price": price, "timestamp": (now - timedelta(seconds=age)).isoformat()}
            for price, age in zip(prices, range(len(prices) - 1, -1, -1), strict=True)
        ]
        send(f"{self._url}/api/prices", {"prices": ticks})

    def _tick(self) -> None:
        while not self._stopped.wait(TICK_SECONDS):
            now = datetime.now(UTC).isoformat()
            ticks = [{"ticker": ticker, "price": price, "timestamp": now} for ticker, price in self.prices.items()]
            send(f"{self._url}/api/prices", {"prices": ticks})


@pytest.fixture
def market(running: RunningSystem) -> Iterator[Market]:  # noqa: F811 - the fixture's name is its import's
    """An open market."""
    market = Market(running.url)
    market.start()
    yield market
    market.stop()


# Names of other origins, which resolve to this machine, as a rebound one does.
FOREIGN_NAMES = "--host-resolver-rules=MAP *.example 127.0.0.1"


@pytest.fixture(scope="package")
def browser(running: RunningSystem) -> Iterator[Browser]:  # noqa: F811
    """The machine's own Chromium, which is closed before the system that it looks at."""
    del running
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=[FOREIGN_NAMES])
        yield browser
        browser.close()


def somebody(browser: Browser) -> BrowserContext:
    """Return a profile of somebody in Berlin."""
    context = browser.new_context(
        timezone_id="Europe/Berlin", reduced_motion="reduce", accept_downloads=True, locale="en-US"
    )
    context.set_default_timeout(TIMEOUT_MS)
    return context


@pytest.fixture(scope="package")
def viewer(browser: Browser) -> Iterator[BrowserContext]:
    """Somebody who has the page's files in their cache."""
    context = somebody(browser)
    yield context
    context.close()


Open = Callable[..., Page]


@pytest.fixture(params=list(WIDTHS.values()), ids=list(WIDTHS))
def width(request: pytest.FixtureRequest) -> int:
    """A phone's or a desktop's width, in CSS pixels."""
    return int(request.param)


@pytest.fixture
def open_page(running: RunningSystem, browser: Browser, viewer: BrowserContext) -> Iterator[Open]:  # noqa: F811
    """A function that opens a view of the page; no script may fail there, and nothing break the policy of the page."""
    pages: list[Page] = []
    others: list[BrowserContext] = []
    faults: list[str] = []

    def open_view(
        view: str,
        width: int = 1440,
        scheme: Any = "light",
        prepare: Callable[[Page], None] | None = None,
        clock: str | None = None,
    ) -> Page:
        context = viewer
        if clock:  # it is of all pages of a context
            context = somebody(browser)
            context.clock.install(time=None if clock == "now" else clock)
            others.append(context)
        page = context.new_page()
        pages.append(page)
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if "Policy" in said.text else None)
        if prepare:
            prepare(page)
        page.goto(view if view.startswith("http") else f"{running.url}/#/{view}")
        page.locator("main > :is(.view, .panel)").wait_for()
        return page

    yield open_view
    viewer.set_offline(False)
    viewer.clear_permissions()
    for page in pages:
        storage = {"origin": running.url, "storageTypes": "local_storage"}
        page.context.new_cdp_session(page).send("Storage.clearDataForOrigin", storage)
        page.close()
    for context in others:
        context.close()
    assert faults == []


def accessibility_faults(page: Page) -> list[tuple[str, str, list[str]]]:
    """Return what axe finds wrong with what a page shows."""
    page.evaluate((build_page.SOURCE / "node_modules" / "axe-core" / "axe.min.js").read_text())
    found: list[dict[str, Any]] = page.evaluate("axe.run().then((results) => results.violations)")
    return [(fault["id"], fault["help"], [node["html"][:160] for node in fault["nodes"]][:3]) for fault in found]


def trades_of(url: str, ticker: str) -> list[dict[str, Any]]:
    """Return what the API has of a ticker."""
    with urlopen(f"{url}/api/trades?ticker={ticker}", timeout=60) as answer:  # noqa: S310
        found: list[dict[str, Any]] = json.load(answer)
    return found
