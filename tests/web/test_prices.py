import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from local.host.system import RunningSystem
from tests.web.conftest import Market, Open, accessibility_faults, send

# The system is the same for all tests, and so each has tickers of its own.
RISERS = {375: "RISEP", 1440: "RISED"}
PRICE = ".chosen .big"
TRADE = {"ticker": "AAPL", "price": "50.05", "quantity": 3, "side": "BUY"}


def row(ticker: str) -> str:
    return f".ticker-row:has-text('{ticker}')"


def wait_until_live(page: Page) -> None:
    expect(page.locator("#feed-state")).to_have_text("Live")


def test_prices_move_and_an_alert_appears_and_can_be_closed(open_page: Open, market: Market, width: int) -> None:
    page = open_page("prices?ticker=AAPL", width)
    wait_until_live(page)
    expect(page.locator(row("AAPL"))).to_contain_text("187.42")
    market.prices["AAPL"] = "188.10"
    expect(page.locator(row("AAPL"))).to_contain_text("188.10")
    expect(page.locator(PRICE)).to_have_text("188.10")
    expect(page.locator(".chart canvas").first).to_be_visible()
    expect(page.locator(".day-figures")).to_contain_text("188.10")

    riser = RISERS[width]
    market.publish(riser, "1000.00", "1030.00")
    expect(page.locator("#toasts")).to_contain_text(f"{riser} rose 3.00 % to 1,030.00")
    page.get_by_role("button", name="Close this message").click()
    expect(page.locator("#toasts")).to_be_empty()
    page.locator(".alerts").get_by_role("link", name=riser).click()
    expect(page.locator(".chosen h1")).to_have_text(riser)
    expect(page.locator(".chart").first).to_have_attribute("aria-label", re.compile("1 alert$"))
    page.get_by_role("button", name="5 min").click()
    page.get_by_role("button", name="Table").click()
    bars = page.get_by_role("region", name="Bars of prices").get_by_role("row")
    expect(bars.last).to_contain_text("1,000.00")


def test_tickers_can_be_searched_pinned_and_chosen_with_arrow_keys(open_page: Open, market: Market, width: int) -> None:
    del market
    page = open_page("prices", width)
    page.locator(row("XOM")).wait_for()
    tickers = page.locator(".tickers li")
    page.get_by_role("button", name="Pin MSFT").click()
    expect(tickers.first).to_contain_text("MSFT")
    page.reload()
    expect(tickers.first).to_contain_text("MSFT")
    expect(page.locator(".chosen h1")).to_have_text("MSFT")
    page.locator(row("XOM")).wait_for()
    page.locator(row("MSFT")).focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".chosen h1")).to_have_text("AAPL")
    expect(page).to_have_url(re.compile("ticker=AAPL"))
    page.get_by_role("searchbox", name="Search tickers").fill("xo")
    expect(tickers).to_have_count(1)
    page.get_by_role("searchbox", name="Search tickers").fill("NOBODY")
    expect(page.get_by_text("No ticker has")).to_be_visible()


def test_an_alert_can_be_muted_by_ticker_and_that_is_remembered(open_page: Open, market: Market) -> None:
    page = open_page("prices")
    alerts = page.locator(".alerts")
    wait_until_live(page)
    market.publish("MUTED", "50.00", "52.00")
    page.get_by_role("button", name="Mute MUTED", exact=True).click()
    expect(alerts).not_to_contain_text("MUTED")
    page.reload()
    unmute = page.get_by_role("button", name="Unmute MUTED")
    expect(unmute).to_be_visible()
    expect(alerts).not_to_contain_text("Loading")
    expect(alerts).not_to_contain_text("MUTED")
    unmute.click()
    expect(alerts).to_contain_text("MUTED")


def test_all_alerts_can_be_muted_and_are_still_listed(open_page: Open, market: Market) -> None:
    page = open_page("prices")
    wait_until_live(page)
    page.get_by_role("button", name="Mute all").click()
    market.publish("QUIET", "50.00", "52.00")
    expect(page.locator(".alerts")).to_contain_text("QUIET")
    expect(page.locator("#toasts")).to_be_empty()


def test_a_feed_that_falls_silent_is_called_stalled_until_it_speaks_again(open_page: Open, market: Market) -> None:
    page = open_page("prices", 375, clock="now")
    wait_until_live(page)
    market.stop()
    page.clock.fast_forward(11_000)
    expect(page.locator("#feed-state")).to_have_text("Stalled: no new prices")
    market.start()
    wait_until_live(page)


def test_a_socket_that_is_closed_is_opened_again_with_another_ticket(open_page: Open, market: Market) -> None:
    del market
    opened: list[WebSocketRoute] = []

    def prepare(page: Page) -> None:
        def connect(socket: WebSocketRoute) -> None:
            opened.append(socket)
            socket.connect_to_server()

        page.route_web_socket(re.compile("^ws://"), connect)

    page = open_page("prices", prepare=prepare)
    wait_until_live(page)
    with page.expect_websocket():
        opened[0].close()
    wait_until_live(page)
    assert len({socket.url for socket in opened}) == 2


def test_what_was_missed_while_offline_is_filled_in(open_page: Open, market: Market) -> None:
    page = open_page("prices?ticker=MSFT")
    wait_until_live(page)
    page.context.set_offline(True)
    expect(page.locator("#feed-state")).to_have_text("Offline: check your network")
    market.prices["MSFT"] = "422.20"
    with (
        page.expect_response(lambda response: "/api/prices/MSFT/averages" in response.url),
        page.expect_response(lambda response: "/api/alerts" in response.url),
    ):
        page.context.set_offline(False)
    wait_until_live(page)
    expect(page.locator(PRICE)).to_have_text("422.20")


def feed_of(*ticks: dict[str, Any] | str) -> Any:
    """Return what prepares a page whose price feed is these ticks and then falls silent."""
    texts = [tick if isinstance(tick, str) else json.dumps(tick) for tick in ticks]

    def prepare(page: Page) -> None:
        def feed(socket: WebSocketRoute) -> None:
            socket.on_message(lambda _: socket.send(f"[{','.join(texts)}]"))

        page.route_web_socket(re.compile("^ws://"), feed)

    return prepare


@pytest.mark.parametrize(
    ("price", "shown"), [('"price":187.40', "187.40"), ('"price": 9007199254.740993', "9,007,199,254.740993")]
)
def test_a_price_is_shown_with_the_digits_that_were_sent(open_page: Open, price: str, shown: str) -> None:
    tick = f'{{"ticker":"EXACT",{price},"timestamp":"2026-11-23T12:00:00Z"}}'
    page = open_page("prices?ticker=EXACT", prepare=feed_of(tick))
    expect(page.locator(PRICE)).to_have_text(shown)


def test_a_price_that_is_old_is_dimmed_and_says_so(open_page: Open) -> None:
    old = (datetime.now(UTC) - timedelta(minutes=10)).isoformat()
    page = open_page("prices?ticker=STALE", prepare=feed_of({"ticker": "STALE", "price": 10, "timestamp": old}))
    expect(page.locator(".chosen")).to_contain_text("10 min old")
    expect(page.locator(".tickers li")).to_have_class(re.compile("stale"))


@pytest.fixture
def gap(running: RunningSystem) -> str:
    """A ticker whose bars stop for an hour, and go on until ten minutes ago."""
    now = datetime.now(UTC)
    end = now - timedelta(seconds=now.timestamp() % 300, minutes=10)
    rows = [("GAPPY", end - timedelta(minutes=5 * number)) for number in range(48) if not 12 <= number < 24]
    connection = psycopg2.connect(running.environment["DATABASE_URL"])
    with connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into price_averages"
            " (ticker, bucket_start, price_sum, count, open, opened_at, high, low, close, closed_at)"
            " values (%s, %s, 500, 5, 99, now(), 103, 97, 101, now()) on conflict do nothing",
            rows,
        )
    connection.close()
    return "GAPPY"


def test_bars_are_drawn_as_candles_and_as_a_line_and_where_there_were_none_nothing_is_drawn(
    open_page: Open, gap: str, width: int
) -> None:
    page = open_page(f"prices?ticker={gap}&interval=5min", width)
    chart = page.locator(".chart").first
    expect(chart).to_have_attribute("aria-label", "GAPPY: 36 bars, 0 trades, 0 rules, 0 alerts")
    page.get_by_role("button", name="Line").click()
    expect(chart).to_have_attribute("aria-label", "GAPPY: 36 bars, 0 trades, 0 rules, 0 alerts")
    page.get_by_role("button", name="1 h", exact=True).click()
    expect(chart).to_have_attribute("aria-label", re.compile("GAPPY: [345] bars"))
    page.get_by_role("button", name="Table").click()
    expect(page.get_by_role("region", name="Bars of prices").get_by_role("row").nth(1)).to_contain_text("103.00")


def test_own_trades_and_the_prices_of_rules_are_marked_and_minutes_are_shown(
    open_page: Open, running: RunningSystem, market: Market, width: int
) -> None:
    ticker = {375: "MARKP", 1440: "MARKD"}[width]
    market.prices[ticker] = "50.20"
    send(f"{running.url}/api/trades", {**TRADE, "ticker": ticker, "timestamp": datetime.now(UTC).isoformat()})
    send(f"{running.url}/api/alert-rules", {"ticker": ticker, "kind": "above", "price": "60"})
    page = open_page(f"prices?ticker={ticker}&interval=5min", width)
    chart = page.locator(".chart").first
    expect(chart).to_have_attribute("aria-label", re.compile(f"{ticker}: [12] bars?, 1 trade, 1 rule, 0 alerts"))
    page.get_by_role("button", name="1 min").click()
    page.get_by_role("button", name="Table").click()
    expect(page.get_by_role("region", name="Bars of prices").get_by_role("row").last).to_contain_text("50.20")


NOTIFICATIONS = """
  window.told = [];
  Object.defineProperty(document, "hidden", { get: () => window.isElsewhere });
  window.Notification = class {
    static permission = "default";
    static requestPermission = async () => (this.permission = "granted");
    constructor(text) { window.told.push(text); }
  };
"""


def test_the_browser_notifies_of_alerts_when_it_was_asked_to(open_page: Open, market: Market, width: int) -> None:
    page = open_page("prices", width, prepare=lambda page: page.add_init_script(NOTIFICATIONS))
    wait_until_live(page)
    page.get_by_role("button", name="Notify me").click()
    expect(page.get_by_role("button", name="Notifying")).to_have_attribute("aria-pressed", "true")
    page.evaluate("window.isElsewhere = true")
    ticker = {375: "TELLP", 1440: "TELLD"}[width]
    market.publish(ticker, "50.00", "52.00")
    expect(page.locator(".alerts")).to_contain_text(ticker)
    assert page.evaluate("window.told") == [f"{ticker} rose 4.00 % to 52.00"]


def test_a_rule_is_added_alerts_and_is_paused_and_deleted(open_page: Open, market: Market, width: int) -> None:
    ticker = {375: "RULEP", 1440: "RULED"}[width]
    page = open_page("prices", width)
    wait_until_live(page)
    page.get_by_role("button", name="Rules").click()
    dialog = page.get_by_role("dialog", name="Alert rules")
    expect(dialog).to_contain_text("Every ticker rises 2 % within 1 min")
    assert accessibility_faults(page) == []
    dialog.get_by_role("combobox", name="Alert when its price").select_option("below")
    dialog.get_by_role("textbox", name="Ticker").fill(ticker)
    dialog.get_by_role("button", name="Add the rule").click()
    expect(dialog).to_contain_text("Fix the highlighted fields.")
    dialog.get_by_role("textbox", name="Price").fill("180")
    dialog.get_by_role("button", name="Add the rule").click()
    expect(dialog).to_contain_text(f"{ticker} is below 180.00")
    market.publish(ticker, "181.00", "179.50")
    expect(page.locator("#toasts")).to_contain_text(f"{ticker} is below 180.00: 179.50")
    dialog.get_by_role("button", name=f"Pause: {ticker}").click()
    expect(dialog).to_contain_text("Paused")
    dialog.get_by_role("button", name=f"Resume: {ticker}").click()
    expect(dialog).not_to_contain_text("Paused")
    dialog.get_by_role("button", name=f"Delete: {ticker}").click()
    expect(dialog).not_to_contain_text(ticker)
    dialog.get_by_role("button", name="Close", exact=True).click()
    expect(page.locator(".alerts")).to_contain_text("< 180.00")
    assert accessibility_faults(page) == []
