import csv
import re
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from playwright.sync_api import Page, Route, expect

from local.host.system import RunningSystem
from tests.web.conftest import Open, send, trades_of

MANY = 10_000


@pytest.fixture
def ticker() -> str:
    """A ticker that nobody has traded."""
    return "".join(chr(ord("A") + byte % 26) for byte in uuid.uuid4().bytes[:5])


def fill(page: Page, ticker: str, price: str = "310.50", quantity: str = "50") -> None:
    if page.get_by_role("button", name="Open", exact=True).is_visible():
        page.get_by_role("button", name="Open", exact=True).click()
    form = page.locator("#record-form")
    form.get_by_label("Ticker").fill(ticker)
    form.get_by_label("Quantity").fill(quantity)
    form.get_by_label("Price").fill(price)


def submit(page: Page) -> None:
    page.get_by_role("button", name="Record the trade").click()


def some(ticker: str, count: int, **parts: Any) -> list[dict[str, Any]]:
    """Return trades of one ticker, a second apart, the newest first."""
    newest = datetime(2026, 5, 1, 12, tzinfo=UTC)
    trade = {"ticker": ticker, "price": "310.50", "quantity": 0.5, "side": "BUY", **parts}
    return [{**trade, "timestamp": (newest - timedelta(seconds=number)).isoformat()} for number in range(count)]


def test_a_trade_that_is_recorded_appears_at_once_and_is_marked_delivered(
    open_page: Open, width: int, ticker: str
) -> None:
    page = open_page("trades", width)
    fill(page, ticker, price="1310.5", quantity="1000.25")
    page.get_by_text("Sell", exact=True).last.click()
    submit(page)
    shown = page.locator(".trade-row.fresh")
    expect(shown).to_contain_text(ticker)
    expect(shown.locator(".side")).to_have_text("Sell")
    expect(shown.locator(".quantity")).to_have_text("1,000.25")
    expect(shown.locator(".price")).to_have_text("1,310.50")
    expect(shown.locator(".amount")).to_have_text("1,310,827.625")
    expect(shown.locator(".badge")).to_contain_text("Delivered in")
    expect(page.locator("#record-outcome")).to_contain_text("its notification was delivered")
    shown.get_by_role("button").click()
    expect(shown.locator(".details")).to_contain_text("By")
    expect(shown.locator(".details")).to_contain_text("local")


def test_what_is_wrong_stands_under_its_field(open_page: Open, width: int) -> None:
    page = open_page("trades", width)
    fill(page, "MSFT1", price="-1", quantity="many")
    submit(page)
    form = page.locator("#record-form")
    expect(form.locator("#record-error-ticker")).not_to_be_empty()
    expect(form.locator("#record-error-price")).to_have_text("Must not be negative")
    expect(form.locator("#record-error-quantity")).not_to_be_empty()
    expect(form.get_by_label("Ticker")).to_be_focused()
    expect(form.get_by_label("Price")).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_label("Price")).to_have_accessible_description("Must not be negative")
    fill(page, "MSFT")
    submit(page)
    expect(form.locator("#record-error-price")).to_be_empty()
    expect(page.locator("#record-outcome")).to_contain_text("is recorded")


def test_a_double_click_records_once(open_page: Open, running: RunningSystem, width: int, ticker: str) -> None:
    page = open_page("trades", width)
    fill(page, ticker)
    page.get_by_role("button", name="Record the trade").dblclick()
    expect(page.locator(".trade-row.fresh .badge")).to_contain_text("Delivered")
    assert len(trades_of(running.url, ticker)) == 1


def test_a_retry_after_an_answer_that_was_lost_records_once(
    open_page: Open, running: RunningSystem, ticker: str
) -> None:
    def lose_the_answer(route: Route) -> None:
        route.fetch()  # it is recorded,
        route.abort()  # and nobody hears of it

    page = open_page("trades")
    page.route("**/api/trades/", lose_the_answer, times=1)
    fill(page, ticker)
    submit(page)
    expect(page.locator("#record-outcome")).to_contain_text("send it again, it is recorded once")
    submit(page)
    expect(page.locator("#record-outcome")).to_contain_text("is recorded")
    assert len(trades_of(running.url, ticker)) == 1


def test_filters_live_in_the_url_and_days_are_the_viewers(
    open_page: Open, running: RunningSystem, width: int, ticker: str
) -> None:
    # In Berlin 22:30 UTC is the next day in summer.
    times = ["2025-06-03T21:30:00Z", "2025-06-03T22:30:00Z", "2025-06-04T21:59:59.999999Z", "2025-06-04T22:00:00Z"]
    trades = [{**some(ticker, 1)[0], "timestamp": time} for time in times]
    trades.append({**trades[1], "side": "SELL"})
    send(f"{running.url}/api/trades/batch/", {"trades": trades})

    page = open_page("trades", width)
    filters = page.get_by_role("form", name="Filter trades")
    filters.get_by_label("Ticker").press_sequentially(ticker.lower())
    expect(page.locator("#trades-state")).to_have_text("5 trades shown, that is all.")
    filters.get_by_label("Side").select_option("Buy")
    filters.get_by_label("From").fill("2025-06-04")
    filters.get_by_label("To").fill("2025-06-04")
    expect(page.locator("#trades-state")).to_have_text("2 trades shown, that is all.")
    expect(page).to_have_url(re.compile(f"#/trades\\?ticker={ticker}&side=BUY&from=2025-06-04&to=2025-06-04$"))
    page.reload()
    expect(page.locator("#trades-state")).to_have_text("2 trades shown, that is all.")
    time = page.locator("#trade-rows time").first
    expect(time).to_have_text("2025-06-04 23:59:59")
    expect(time).to_have_attribute("title", "2025-06-04 21:59:59 UTC")
    filters.get_by_role("button", name="Clear").click()
    expect(filters.get_by_label("Ticker")).to_have_value("")
    expect(page).to_have_url(re.compile("#/trades$"))


def test_a_filter_that_cannot_be_is_named_and_a_search_without_result_says_what_to_do(
    open_page: Open, ticker: str
) -> None:
    page = open_page("trades?ticker=12")
    expect(page.locator("#filter-error-ticker")).not_to_be_empty()
    expect(page.locator("#trades-state")).to_have_text("Correct the filter to see trades.")
    page = open_page(f"trades?ticker={ticker}")
    expect(page.locator("#trades-state")).to_have_text("No trade matches. Change or clear the filters.")


def test_a_csv_of_what_is_shown_can_be_downloaded(
    open_page: Open, running: RunningSystem, tmp_path: Path, ticker: str
) -> None:
    send(f"{running.url}/api/trades/batch/", {"trades": some(ticker, 2, price="0.000001")})
    send(f"{running.url}/api/trades/", {**some(ticker, 1)[0], "client_trade_id": f'=1,"{ticker}"'})
    page = open_page(f"trades?ticker={ticker}")
    expect(page.locator("#trades-state")).to_have_text("3 trades shown, that is all.")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").first.click()
    file = tmp_path / "trades.csv"
    download.value.save_as(file)
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert [row["price"] for row in rows].count("0.000001") == 2
    assert {row["ticker"] for row in rows} == {ticker}
    assert f'\'=1,"{ticker}"' in {row["client_trade_id"] for row in rows}


@pytest.fixture
def many(running: RunningSystem, ticker: str) -> str:
    """A ticker with ten thousand trades, which nobody is told of: that would take the system a minute."""
    connection = psycopg2.connect(running.environment["DATABASE_URL"])
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "insert into trades (ticker, price, quantity, side, timestamp, recorded_by)"
            " select %s, 310.50, 0.5, 'BUY', now() - number * interval '1 second', 'local'"
            " from generate_series(1, %s) as number",
            (ticker, MANY),
        )
    connection.close()
    return ticker


def test_ten_thousand_trades_come_as_one_scrolls(open_page: Open, width: int, many: str) -> None:
    page = open_page(f"trades?ticker={many}", width)
    expect(page.locator("#trades-state")).to_contain_text("older ones come as you scroll")
    page.evaluate(
        """async () => {
          while (!document.querySelector("#older-trades").hidden) {
            scrollTo(0, document.documentElement.scrollHeight);
            await new Promise(requestAnimationFrame);
          }
        }"""
    )
    expect(page.locator("#trades-state")).to_have_text("10,000 trades shown, that is all.")
    times: list[str] = page.eval_on_selector_all("#trade-rows time", "all => all.map((each) => each.dateTime)")
    assert len(times) == MANY
    assert times == sorted(times, reverse=True)
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.locator("#trade-rows .trade-row").last).to_be_in_viewport()


def test_a_database_that_is_away_is_said_and_asked_again(
    open_page: Open, running: RunningSystem, width: int, ticker: str
) -> None:
    page = open_page("trades", width)
    expect(page.locator("#trades-table")).not_to_have_attribute("aria-busy", "true")
    running.postgres.kill()
    try:
        fill(page, ticker)
        submit(page)
        expect(page.locator("#record-outcome")).to_contain_text("The database does not answer")
        page.get_by_role("form", name="Filter trades").get_by_label("Side").select_option("Sell")
        expect(page.locator("#trades-state")).to_contain_text("It is asked again in 5 s")
    finally:
        running.postgres.start()
    expect(page.locator("#trades-state")).to_contain_text("shown")
    submit(page)
    expect(page.locator("#record-outcome")).to_contain_text("is recorded")
    assert len(trades_of(running.url, ticker)) == 1
