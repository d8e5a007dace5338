"""`.venv-browser/bin/python -m benchmarks.browser URL`: what a browser measures of a system's page, as JSON.

Measures the first paint, in a browser without a cache, and the frame times while the socket sends twenty updates per
second for ten tickers.
"""

import json
import sys

from playwright.sync_api import Browser, sync_playwright

from local.cli.market import STARTING_PRICES
from local.tools.browser import executable

VIEWS = ("overview", "prices", "trades")
UPDATES_PER_SECOND = 20
WATCHED_SECONDS = 10

STREAM = """
  window.longTasks = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.longTasks.push(entry.duration);
  }).observe({ type: "longtask" });
  window.WebSocket = class {
    static OPEN = 1;
    readyState = 1;
    constructor() {
      setTimeout(() => this.onopen());
      setInterval(() => this.onmessage({ data: this.frame() }), 1000 / UPDATES);
    }
    frame() {
      const timestamp = new Date().toISOString();
      const moved = 1 + Math.sin(performance.now() / 3000) / 100;
      const ticks = Object.entries(PRICES).map(
        ([ticker, price]) => ({ ticker, price: +(price * moved).toFixed(2), timestamp }),
      );
      return JSON.stringify(ticks);
    }
    send() {}
    close() {}
  };
"""
FRAMES = """(seconds) => new Promise((resolve) => {
  const times = [];
  const count = (now) => {
    times.push(now);
    if (now - times[0] < seconds * 1000) requestAnimationFrame(count);
    else resolve(times.slice(1).map((time, index) => time - times[index]));
  };
  requestAnimationFrame(count);
})"""


def first_paints(browser: Browser, url: str, view: str, loads: int) -> list[float]:
    """Return the first paint of each load, in milliseconds after the request for the page."""
    found = []
    for _ in range(loads):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.goto(f"{url}/#/{view}")
        page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
        found.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        context.close()
    return found


def frames(browser: Browser, url: str) -> tuple[list[float], list[float]]:
    """Return the times between frames and the long tasks (over 50 ms), in milliseconds, under a stream of prices."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    stream = STREAM.replace("UPDATES", str(UPDATES_PER_SECOND)).replace("PRICES", json.dumps(STARTING_PRICES))
    page.add_init_script(stream)
    page.goto(f"{url}/#/prices?ticker=AAPL")
    page.locator(".ticker-row").first.wait_for()
    page.wait_for_timeout(3_000)
    page.evaluate("window.longTasks = []")
    between: list[float] = page.evaluate(FRAMES, WATCHED_SECONDS)
    tasks: list[float] = page.evaluate("window.longTasks")
    page.close()
    return between, tasks


def main(url: str, loads: int) -> None:
    """Measure the page at a URL, and print the results."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable())
        paints = {view: first_paints(browser, url, view, loads) for view in VIEWS}
        between, tasks = frames(browser, url)
        browser.close()
    print(json.dumps({"paints": paints, "between": between, "tasks": tasks, "seconds": WATCHED_SECONDS}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
