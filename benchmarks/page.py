"""Measure the page of a running system: `.venv-browser/bin/python -m benchmarks.page [URL]`.

Measures the first paint, in a browser without a cache, and the frame times while the socket sends twenty updates per
second for ten tickers.
"""

import json
import sys
from statistics import median, quantiles

from playwright.sync_api import Browser, sync_playwright

from local.cli.market import STARTING_PRICES
from local.tools import build_page
from local.tools.browser import executable

LOADS = 15
UPDATES_PER_SECOND = 20
WATCHED_SECONDS = 10
FRAME = 1_000 / 60  # milliseconds

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


def first_paints(browser: Browser, url: str, view: str) -> list[float]:
    """Return the first paint of each load, in milliseconds after the request for the page."""
    found = []
    for _ in range(LOADS):
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


def main() -> None:
    """Measure the page at the URL on the command line, and print the results."""
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
    print(f"scripts: {build_page.build():,} bytes gzipped")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable())
        for view in ("prices", "trades"):
            paints = first_paints(browser, url, view)
            print(f"first paint of {view}: median {median(paints):.0f} ms, slowest of {LOADS} {max(paints):.0f} ms")
        between, tasks = frames(browser, url)
        late = sum(each > 1.5 * FRAME for each in between)
        print(
            f"{len(between)} frames in {WATCHED_SECONDS} s: 99th percentile {quantiles(between, n=100)[98]:.1f} ms,"
            f" {late} late; {len(tasks)} tasks of more than 50 ms"
        )
        browser.close()


if __name__ == "__main__":
    main()
