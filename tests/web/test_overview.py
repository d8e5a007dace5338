"""What somebody holds, what it is worth and has earned, and from which trades."""

import json
import re
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from local.host.system import RunningSystem
from tests.web.conftest import Market, Open, accessibility_faults, send
from tests.web.test_results import wait_for_analysis

TABLE = "Table of positions"


@pytest.fixture
def account() -> str:
    """An account in which nobody has traded."""
    return f"desk-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def ticker() -> str:
    """A ticker that nobody has traded."""
    return "".join(chr(ord("A") + byte % 26) for byte in uuid.uuid4().bytes[:5])


def record(url: str, *trades: dict[str, Any]) -> list[dict[str, Any]]:
    """Record trades, an hour after one another, the last one half an hour ago."""
    last = datetime.now(UTC) - timedelta(minutes=30)
    instants = [last - timedelta(hours=number) for number in reversed(range(len(trades)))]
    rows = [{"side": "BUY", "timestamp": at.isoformat(), **trade} for trade, at in zip(trades, instants, strict=True)]
    recorded: list[dict[str, Any]] = send(f"{url}/api/trades/batch", {"trades": rows})
    return recorded


def position(page: Page, ticker: str) -> Locator:
    return page.get_by_role("region", name=TABLE).get_by_role("row").filter(has_text=ticker)


def figure(page: Page, name: str) -> Locator:
    return page.locator("#portfolio dl > div").filter(has=page.get_by_text(name, exact=True)).locator("dd")


def wait_for_tick(url: str, account: str) -> None:
    """Wait until a position has the price of a tick, which is the work of other processes."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with urlopen(f"{url}/api/positions?account={account}", timeout=60) as answer:  # noqa: S310
            if json.load(answer)[0]["price_source"] == "tick":
                return
        time.sleep(0.2)
    raise AssertionError(f"{account} has no price of a tick")


def test_value_and_profit_move_with_the_prices(
    open_page: Open, running: RunningSystem, market: Market, width: int, ticker: str
) -> None:
    account = f"desk-{ticker}"
    market.prices[ticker] = "110"
    trade = {"account": account, "ticker": ticker, "quantity": 10, "price": "100", "fee": "1.50"}
    record(running.url, {**trade, "timestamp": datetime.now(UTC).isoformat()})  # what is of today is not yesterday's
    wait_for_tick(running.url, account)
    page = open_page(f"overview?account={account}", width)
    expect(position(page, ticker)).to_contain_text("1,100.00")
    expect(figure(page, "Value, USD")).to_have_text("1,100.00")
    expect(figure(page, "Unrealized, USD")).to_have_text("+98.50")
    market.prices[ticker] = "90.25"
    expect(position(page, ticker)).to_contain_text("902.50")
    expect(figure(page, "Value, USD")).to_have_text("902.50")
    expect(figure(page, "Today, USD")).to_have_text("\N{MINUS SIGN}99.00")
    expect(figure(page, "Realized, USD")).to_have_text("0.00")
    expect(position(page, ticker).locator(".sparkline path")).to_have_attribute("d", re.compile("^M"))
    position(page, ticker).get_by_role("button", name=ticker).click()
    chart = page.get_by_role("dialog").get_by_role("img", name=f"{ticker}: 1 trade")
    expect(chart.locator("canvas").first).to_be_visible()
    page.keyboard.press("Escape")
    market.prices[ticker] = "90.50"  # nothing draws any more what is closed
    expect(position(page, ticker)).to_contain_text("905.00")


def test_a_profit_is_traced_to_its_trades(
    open_page: Open, running: RunningSystem, width: int, account: str, ticker: str
) -> None:
    parts = {"account": account, "ticker": ticker}
    bought, more, sold = record(
        running.url,
        {**parts, "quantity": 50, "price": "310.50", "fee": "1"},
        {**parts, "quantity": 5, "price": "300"},
        {**parts, "quantity": 20, "price": "320", "side": "SELL", "fee": "0.40"},
    )
    page = open_page(f"overview?account={account}", width)
    expect(figure(page, "Realized, USD")).to_have_text("+189.20")
    position(page, ticker).get_by_role("button", name=ticker).click()
    dialog = page.get_by_role("dialog", name=f"{ticker} {account} · USD")
    lots = dialog.get_by_role("region", name="Open lots").locator("tbody tr")
    expect(lots).to_have_count(2)
    expect(lots.first).to_contain_text(f"#{bought['id']}")
    expect(lots.last).to_contain_text(f"#{more['id']}")
    expect(dialog).to_contain_text("All 1 together are the realized profit, +189.20 USD, fees included.")
    [match] = dialog.get_by_role("region", name="Where the realized profit comes from").locator("tbody tr").all()
    expect(match).to_contain_text("6,210.40")
    expect(match).to_contain_text("6,399.60")
    expect(match.get_by_role("link", name=f"#{sold['id']}")).to_be_visible()
    expect(page).to_have_url(re.compile(f"ticker={ticker}"))  # it can be handed on
    page.reload()
    expect(dialog).to_contain_text("+189.20 USD")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page).to_have_url(re.compile(f"#/overview\\?account={account}$"))


def test_positions_can_be_sorted_and_closed_ones_looked_at(
    open_page: Open, running: RunningSystem, width: int, account: str
) -> None:
    record(
        running.url,
        {"account": account, "ticker": "SMALL", "quantity": 1, "price": "10"},
        {"account": account, "ticker": "LARGE", "quantity": 9, "price": "10"},
        {"account": account, "ticker": "GONE", "quantity": 3, "price": "10"},
        {"account": account, "ticker": "GONE", "quantity": 3, "price": "12", "side": "SELL"},
    )
    page = open_page(f"overview?account={account}", width)
    rows = page.get_by_role("region", name=TABLE).locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("LARGE")
    page.get_by_role("button", name="Value").click()
    expect(rows.first).to_contain_text("SMALL")
    expect(page.locator("#positions-count")).to_have_text("2 open positions, 1 closed.")
    page.get_by_role("button", name="Closed").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("GONE")


def test_an_account_is_chosen_and_each_currency_has_totals_of_its_own(
    open_page: Open, running: RunningSystem, width: int, account: str, ticker: str
) -> None:
    other = f"{account}-2"
    record(
        running.url,
        {"account": account, "ticker": ticker, "quantity": 2, "price": "10", "currency": "EUR"},
        {"account": account, "ticker": ticker, "quantity": 3, "price": "11"},
        {"account": other, "ticker": ticker, "quantity": 5, "price": "12"},
    )
    page = open_page("overview", width)
    page.get_by_label("Account").select_option(account)
    expect(position(page, ticker)).to_have_count(2)
    expect(figure(page, "Value, EUR")).to_have_text("20.00")
    expect(figure(page, "Value, USD")).to_have_text("36.00")  # at the last price of any account: 12
    expect(page.locator(".recent li")).to_have_count(2)


def test_what_others_record_appears_by_itself(
    open_page: Open, running: RunningSystem, account: str, ticker: str
) -> None:
    record(running.url, {"account": account, "ticker": ticker, "quantity": 1, "price": "10"})
    page = open_page(f"overview?account={account}", clock="now")
    expect(figure(page, "Value, USD")).to_have_text("10.00")
    record(running.url, {"account": account, "ticker": ticker, "quantity": 1, "price": "20"})
    page.clock.fast_forward(5_000)
    expect(figure(page, "Value, USD")).to_have_text("40.00")
    expect(page.locator(".recent li")).to_have_count(2)


def test_profit_by_day_is_a_chart_and_a_table(
    open_page: Open, running: RunningSystem, width: int, account: str, ticker: str
) -> None:
    parts = {"account": account, "ticker": ticker, "quantity": 1}
    record(
        running.url,
        {**parts, "price": "10", "timestamp": "2024-01-02T10:00:00Z"},
        {**parts, "price": "10", "timestamp": "2024-01-02T11:00:00Z"},
        {**parts, "price": "14", "side": "SELL", "timestamp": "2024-01-02T12:00:00Z"},
        {**parts, "price": "9", "side": "SELL", "timestamp": "2024-01-05T12:00:00Z"},
    )
    page = open_page(f"overview?account={account}", width)
    panel = page.locator(".profit-panel")
    expect(panel).to_contain_text("Nothing was closed in this time.")
    panel.get_by_role("button", name="All").click()
    expect(panel).to_contain_text("+3.00 USD on 2 days with sales, 1 of them with a gain")
    expect(panel.locator("canvas").first).to_be_visible()
    panel.get_by_role("button", name="Table").click()
    rows = panel.get_by_role("region", name="Profit of each day").locator("tbody tr")
    expect(rows.first).to_contain_text("2024-01-05")
    expect(rows.first).to_contain_text("\N{MINUS SIGN}1.00")
    expect(rows.last).to_contain_text("+4.00")


def test_profit_by_day_is_a_calendar(
    open_page: Open, running: RunningSystem, width: int, account: str, ticker: str
) -> None:
    parts = {"account": account, "ticker": ticker, "quantity": 1}
    record(
        running.url,
        {**parts, "price": "1000", "quantity": 2, "timestamp": "2024-01-02T10:00:00Z"},
        {**parts, "price": "2200", "side": "SELL", "timestamp": "2024-01-02T12:00:00Z"},
        {**parts, "price": "999", "side": "SELL", "timestamp": "2024-01-05T12:00:00Z"},
    )
    page = open_page(f"overview?account={account}", width, clock="2024-02-10T12:00:00Z")
    page.get_by_role("button", name="Calendar").click()
    calendar = page.locator(".calendar")
    expect(calendar).to_contain_text("February 2024")
    expect(calendar.get_by_role("button", name="The month after")).to_be_disabled()
    calendar.get_by_role("button", name="The month before").click()
    expect(calendar).to_contain_text("+1,199.00 USD")
    expect(calendar.get_by_title("2024-01-02: +1,200.00 USD, 1 gain, 0 losses")).to_contain_text(
        {375: "+1.2k", 1440: "+1,200"}[width], use_inner_text=True
    )
    expect(calendar.get_by_title("2024-01-05")).to_contain_text("\N{MINUS SIGN}1")
    expect(calendar.get_by_role("row").nth(1)).to_contain_text("+1,199")  # the week
    expect(calendar.get_by_role("button", name="The month before")).to_be_disabled()
    assert accessibility_faults(page) == []


def test_totals_are_of_all_pages(open_page: Open, running: RunningSystem, account: str) -> None:
    record(running.url, *({"account": account, "ticker": f"P{name}", "quantity": 1, "price": "10"} for name in "ABC"))

    def in_small_pages(route: Route) -> None:
        route.continue_(url=route.request.url.replace("limit=1000", "limit=2"))

    page = open_page(
        f"overview?account={account}", prepare=lambda page: page.route("**/api/positions?*", in_small_pages)
    )
    expect(page.get_by_role("region", name=TABLE).locator("tbody tr")).to_have_count(3)
    expect(figure(page, "Value, USD")).to_have_text("30.00")


def test_without_trades_the_way_on_is_said(open_page: Open, width: int) -> None:
    def answer_nothing(page: Page) -> None:
        page.route(re.compile("/api/(positions|portfolio|profit|trades)"), lambda route: route.fulfill(json=[]))

    page = open_page("overview", width, prepare=answer_nothing)
    expect(page.get_by_role("heading", name="There are no trades yet")).to_be_visible()
    page.get_by_role("link", name="Record a trade").click()
    expect(page.locator("#record-form").get_by_label("Ticker")).to_be_focused()


def test_sample_data_fills_the_views_and_can_be_taken_back(open_page: Open, running: RunningSystem, width: int) -> None:
    def hide_all_but_the_sample(page: Page) -> None:
        def answer(route: Route) -> None:
            response = route.fetch()
            route.fulfill(json=[each for each in response.json() if each["account"] == "sample"])

        page.route("**/api/positions?*", answer)

    page = open_page("overview", width, prepare=hide_all_but_the_sample)
    page.get_by_role("button", name="Try it with sample data").click()
    page.get_by_text("The account sample has sample data.").wait_for()
    expect(position(page, "SAP")).to_contain_text("EUR")
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    wait_for_analysis(running.url, str(yesterday))
    page.get_by_role("link", name="Simulation", exact=True).click()
    expect(page.get_by_role("group", name="Stored histories").get_by_role("button", name="SAMPL")).to_be_visible()
    page.get_by_role("link", name="Overview", exact=True).click()
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_role("heading", name="There are no trades yet")).to_be_visible()
    with urlopen(f"{running.url}/api/trades?account=sample", timeout=60) as answer:  # noqa: S310
        assert json.load(answer) == []
    page.get_by_role("link", name="Simulation", exact=True).click()
    expect(page.get_by_role("group", name="Stored histories").get_by_role("button", name="SAMPL")).to_have_count(0)
