import csv
import re
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
from playwright.sync_api import Page, Route, expect

from local.host.system import RunningSystem
from tests.web.conftest import Market, Open, send, trades_of

if TYPE_CHECKING:
    from collections.abc import Callable

MANY = 1_000
LIVE_MS = 5_000  # after which the list looks for what others have recorded
PAUSE_MS = 600  # after which somebody is no longer typing
TRADES = re.compile("/api/trades$")
RECORDED = re.compile(r"^Trade \d+ is recorded")


@pytest.fixture
def ticker() -> str:
    """A ticker that nobody has traded."""
    return "".join(chr(ord("A") + byte % 26) for byte in uuid.uuid4().bytes[:5])


def fill(page: Page, ticker: str, price: str = "310.50", quantity: str = "40") -> None:
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


def test_a_trade_that_is_recorded_appears_at_once_and_is_marked_notified(
    open_page: Open, width: int, ticker: str
) -> None:
    page = open_page("trades", width)
    fill(page, ticker, price="1310.5", quantity="100.25")
    expect(page.locator("#record-form")).to_contain_text("131,377.625 USD")
    page.locator("#record-form").get_by_role("button", name="Sell").click()
    submit(page)
    shown = page.locator(".trade-row.fresh")
    expect(shown).to_contain_text(ticker)
    expect(shown.locator(".side")).to_have_text("Sell")
    expect(shown.locator(".quantity")).to_have_text("100.25")
    expect(shown.locator(".price")).to_have_text("1,310.50")
    expect(shown.locator(".amount")).to_have_text("131,377.625 USD")
    expect(shown.locator(".delivery")).to_contain_text("Notified in")
    expect(page.locator(".outcome")).to_contain_text("its notification was delivered")
    shown.get_by_role("button").click()
    expect(page.get_by_role("dialog")).to_contain_text("by local")
    expect(page.get_by_role("dialog")).to_contain_text("Notified in")


def test_a_trade_that_somebody_else_records_appears_by_itself(
    open_page: Open, running: RunningSystem, ticker: str
) -> None:
    send(f"{running.url}/api/trades", some(ticker, 1)[0])
    page = open_page(f"trades?ticker={ticker}", clock="now")
    expect(page.locator("#trades-state")).to_have_text("1 trade shown, that is all.")
    send(f"{running.url}/api/trades", some(ticker, 1, side="SELL", quantity=2)[0])
    page.clock.fast_forward(LIVE_MS)
    expect(page.locator("#trades-state")).to_have_text("2 trades shown, that is all.")
    expect(page.locator(".totals")).to_contain_text("Net\N{MINUS SIGN}1.5 shares")


def test_account_fee_currency_tags_and_note_are_recorded_and_shown(
    open_page: Open, running: RunningSystem, width: int, ticker: str
) -> None:
    page = open_page(f"trades?ticker={ticker}", width)
    fill(page, ticker, price="10", quantity="3")
    form = page.locator("#record-form")
    form.get_by_text("Account main, fee, note").click()
    form.get_by_label("Account").fill("desk 7")
    form.get_by_label("Currency").fill("eur")
    form.get_by_label("Fee").fill("1,5")
    submit(page)
    expect(form.get_by_label("Fee")).to_have_accessible_description("Write 1310.50, not 1,310.50.")
    form.get_by_label("Fee").fill("1.50")
    form.get_by_label("Tags").fill("swing, earnings")
    form.get_by_label("Note").fill("Before the numbers")
    expect(form).to_contain_text("30.00 EUR")
    submit(page)
    expect(page.locator(".outcome")).to_contain_text(RECORDED)
    [trade] = trades_of(running.url, ticker)
    assert [trade[name] for name in ("account", "currency", "fee", "tags", "note")] == [
        *("desk 7", "EUR", "1.50"),
        ["swing", "earnings"],
        "Before the numbers",
    ]
    expect(page.locator(".trade-row[data-id] .note")).to_contain_text("Before the numbers")
    expect(page.locator(".totals")).to_contain_text("30.00 EUR")
    expect(form.get_by_text("Account desk 7, fee, note")).to_be_visible()  # it is the next one's too


def test_a_trade_is_corrected_and_voided_with_a_reason_and_its_history_tells(
    open_page: Open, running: RunningSystem, width: int, ticker: str
) -> None:
    [first] = send(f"{running.url}/api/trades/batch", {"trades": some(ticker, 1, quantity=5, tags=["swing"])})
    page = open_page(f"trades?ticker={ticker}", width)
    page.get_by_role("button", name=f"Details of trade {first['id']}").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Correct").click()
    correct = dialog.get_by_role("form", name="Correct the trade")
    correct.get_by_role("button", name="Correct the trade").click()
    expect(correct.get_by_label("Reason")).to_have_accessible_description("This is needed.")
    correct.get_by_label("Reason").fill("Wrong price")
    correct.get_by_role("button", name="Correct the trade").click()
    expect(correct).to_contain_text("Nothing is different yet.")
    correct.get_by_label("Price").fill("311.25")
    correct.get_by_role("button", name="Correct the trade").click()
    expect(dialog).to_contain_text(f"in place of trade {first['id']}; price 310.50 → 311.25")
    expect(dialog).to_contain_text("“Wrong price”")
    [current] = trades_of(running.url, ticker)
    assert (current["price"], current["quantity"], current["tags"]) == ("311.25", 5, ["swing"])
    expect(page).to_have_url(re.compile(f"trade={current['id']}$"))

    dialog.get_by_role("button", name="Void").click()
    void = dialog.get_by_role("form", name="Void the trade")
    void.get_by_label("Reason").fill("Never happened")
    void.get_by_role("button", name="Void the trade").click()
    expect(dialog.locator(".history")).to_contain_text("“Never happened”")
    expect(dialog.get_by_role("button", name="Correct")).to_have_count(0)
    assert trades_of(running.url, ticker) == []
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(f"#/trades\\?ticker={ticker}$"))
    expect(page.locator("#trades-state")).to_have_text("No trade matches. Change or clear the filters.")
    filters = page.get_by_role("form", name="Filter trades")
    if filters.get_by_role("button", name="Account, tag, voided…").is_visible():
        filters.get_by_role("button", name="Account, tag, voided…").click()
    filters.get_by_label("Show").select_option("Voided")
    expect(page.locator(".trade-row.voided")).to_have_count(2)
    filters.get_by_label("Show").select_option("Active")
    expect(page.locator(".trade-row[data-id]")).to_have_count(0)


def test_a_note_and_tags_can_change_and_are_filtered_by(
    open_page: Open, running: RunningSystem, width: int, ticker: str
) -> None:
    recorded = send(f"{running.url}/api/trades/batch", {"trades": some(ticker, 2, account="desk")})
    page = open_page(f"trades?ticker={ticker}&trade={recorded[0]['id']}", width)
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Note and tags").click()
    dialog.get_by_label("Note").fill("Looked at again")
    dialog.get_by_label("Tags").fill("A tag?")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_label("Tags")).to_have_accessible_description("Small letters, digits, - and _.")
    dialog.get_by_label("Tags").fill("Later")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator(".trade-figures")).to_contain_text("later")
    dialog.get_by_role("button", name="Close").click()
    expect(page.locator(".trade-row[data-id]")).to_have_count(2)
    filters = page.get_by_role("form", name="Filter trades")
    if filters.get_by_role("button", name="Account, tag, voided…").is_visible():
        filters.get_by_role("button", name="Account, tag, voided…").click()
    filters.get_by_label("Tag").fill("later")
    expect(page.locator("#trades-state")).to_have_text("1 trade shown, that is all.")
    expect(page.locator(".trade-row[data-id] .note")).to_contain_text("Looked at again")
    filters.get_by_label("Tag").fill("")
    filters.get_by_label("Account").fill("another")
    expect(page.locator("#trades-state")).to_contain_text("No trade matches.")


def test_a_list_that_was_read_before_a_trade_was_recorded_does_not_hide_it(open_page: Open, ticker: str) -> None:
    page = open_page(f"trades?ticker={ticker}", clock="now")
    expect(page.locator("#trades-state")).to_contain_text("No trade matches")
    held: list[Callable[[], None]] = []

    def hold(route: Route) -> None:
        response = route.fetch()
        held.append(lambda: route.fulfill(response=response))

    page.route("**/api/trades?limit=50&*", hold, times=1)
    with page.expect_request("**/api/trades?limit=50&*"):
        page.clock.run_for(LIVE_MS)
    while not held:
        page.wait_for_timeout(50)
    fill(page, ticker)
    submit(page)
    shown = page.locator(".trade-row.fresh")
    expect(shown).to_contain_text(ticker)
    with page.expect_response("**/api/trades?limit=50&*"):
        held[0]()
    page.evaluate("fetch('/api/health').then((answer) => answer.text())")  # by then the list has been processed
    assert shown.count() == 1


def test_what_somebody_else_voids_goes_away_by_itself(open_page: Open, running: RunningSystem, ticker: str) -> None:
    gone, kept = send(f"{running.url}/api/trades/batch", {"trades": some(ticker, 2)})
    page = open_page(f"trades?ticker={ticker}", clock="now")
    expect(page.locator("#trades-state")).to_have_text("2 trades shown, that is all.")
    send(f"{running.url}/api/trades/{gone['id']}/void", {"reason": "Twice"})
    send(f"{running.url}/api/trades/{kept['id']}", {"note": "Mine"}, "PATCH")
    page.clock.fast_forward(LIVE_MS)
    expect(page.locator("#trades-state")).to_have_text("1 trade shown, that is all.")
    expect(page.locator(".trade-row[data-id] .note")).to_contain_text("Mine")


def test_what_is_wrong_stands_under_its_field_and_moves_nothing(open_page: Open, width: int) -> None:
    page = open_page("trades", width)
    fill(page, "MSFT1", price="-1", quantity="many")
    form = page.locator("#record-form")
    before = form.bounding_box()
    submit(page)
    expect(form.get_by_label("Ticker")).to_have_accessible_description("Such as AAPL or BRK.B.")
    expect(form.get_by_label("Price")).to_have_accessible_description("Must not be negative.")
    expect(form.get_by_label("Quantity")).to_have_accessible_description("Must be a number, such as 50.")
    expect(form.get_by_label("Ticker")).to_be_focused()
    expect(form.get_by_label("Price")).to_have_attribute("aria-invalid", "true")
    after = form.bounding_box()
    assert before
    assert after
    assert before["height"] == after["height"]
    fill(page, "MSFT")
    submit(page)
    expect(page.locator(".outcome")).to_contain_text(RECORDED)
    expect(form.get_by_label("Price")).to_have_accessible_description("")


def test_half_a_time_is_not_taken_for_now(open_page: Open, running: RunningSystem, ticker: str) -> None:
    page = open_page("trades")
    fill(page, ticker)
    time = page.locator("#record-form").get_by_label("Time")
    time.press_sequentially("06032025")
    time.press("Enter")
    expect(time).to_have_accessible_description("Incomplete, or no such date.")
    expect(page.locator(".outcome")).to_have_text("Fix the highlighted fields.")
    assert trades_of(running.url, ticker) == []
    time.fill("2025-06-03T14:00:00")
    submit(page)
    expect(page.locator(".outcome")).to_contain_text(RECORDED)
    [trade] = trades_of(running.url, ticker)
    assert trade["timestamp"] == "2025-06-03T12:00:00Z"


def test_a_trade_a_hundred_times_as_large_as_all_others_is_asked_about(
    open_page: Open, running: RunningSystem, ticker: str
) -> None:
    page = open_page("trades")
    page.route(
        "**/api/trades?limit=1000",
        lambda route: route.fulfill(json=[{"price": "10", "quantity": 5, "currency": "USD"}]),
    )
    fill(page, ticker, price="100", quantity="50")
    submit(page)
    question = page.get_by_role("dialog", name="Question")
    expect(question).to_contain_text("5,000.00 USD is 100 times your largest trade so far, 50.00 USD")
    question.get_by_role("button", name="Cancel").click()
    expect(page.locator(".outcome")).to_have_text("Nothing was recorded.")
    assert trades_of(running.url, ticker) == []
    submit(page)
    question.get_by_role("button", name="Record it").click()
    expect(page.locator(".outcome")).to_contain_text(RECORDED)
    assert len(trades_of(running.url, ticker)) == 1


def test_the_last_price_is_at_hand(open_page: Open, market: Market) -> None:
    market.prices["AAPL"] = "187.42"
    page = open_page("trades")
    form = page.locator("#record-form")
    form.get_by_label("Ticker").fill("aapl")
    expect(form).to_contain_text("Last 187.42")
    form.get_by_role("button", name="Use it").click()
    expect(form.get_by_label("Price")).to_have_value("187.42")


def test_a_double_click_records_once(open_page: Open, running: RunningSystem, width: int, ticker: str) -> None:
    page = open_page("trades", width)
    fill(page, ticker)
    page.get_by_role("button", name="Record the trade").dblclick()
    expect(page.locator(".trade-row.fresh .delivery")).to_contain_text("Notified")
    assert len(trades_of(running.url, ticker)) == 1


def test_a_retry_after_an_answer_that_was_lost_records_once(
    open_page: Open, running: RunningSystem, ticker: str
) -> None:
    lost: list[Route] = []

    def lose_the_first_answer(route: Route) -> None:
        if route.request.method != "POST" or lost:
            route.fallback()
            return
        lost.append(route)
        route.fetch()  # it is recorded,
        route.abort()  # and nobody hears of it

    page = open_page("trades")
    page.route(TRADES, lose_the_first_answer)
    fill(page, ticker)
    submit(page)
    expect(page.locator(".outcome")).to_contain_text("send it again, it is recorded once")
    submit(page)
    expect(page.locator(".outcome")).to_contain_text(RECORDED)
    assert len(trades_of(running.url, ticker)) == 1


def test_filters_live_in_the_url_and_days_are_the_viewers(
    open_page: Open, running: RunningSystem, width: int, ticker: str
) -> None:
    # In Berlin 22:30 UTC is the next day in summer.
    times = ["2025-06-03T21:30:00Z", "2025-06-03T22:30:00Z", "2025-06-04T21:59:59.999999Z", "2025-06-04T22:00:00Z"]
    trades = [{**some(ticker, 1)[0], "timestamp": time} for time in times]
    trades.append({**trades[1], "side": "SELL"})
    send(f"{running.url}/api/trades/batch", {"trades": trades})

    page = open_page("trades", width)
    filters = page.get_by_role("form", name="Filter trades")
    filters.get_by_label("Ticker").press_sequentially(ticker.lower())
    expect(page.locator("#trades-state")).to_have_text("5 trades shown, that is all.")
    expect(filters.get_by_label("Ticker")).to_be_focused()
    filters.get_by_label("Side").select_option("Buy")
    filters.get_by_label("From").fill("2025-06-04")
    to = filters.get_by_label("To")
    to.press_sequentially("06042025")
    expect(page.locator("#trades-state")).to_have_text("2 trades shown, that is all.")
    expect(to).to_be_focused()
    expect(to).to_have_value("2025-06-04")
    expect(page).to_have_url(re.compile(f"#/trades\\?ticker_prefix={ticker}&side=BUY&from=2025-06-04&to=2025-06-04$"))
    page.reload()
    expect(page.locator("#trades-state")).to_have_text("2 trades shown, that is all.")
    time = page.locator("#trade-rows time").first
    expect(time).to_have_text("2025-06-04 23:59:59")
    expect(time).to_have_attribute("title", "2025-06-04 21:59:59 UTC")
    filters.get_by_role("button", name="Clear").click()
    expect(filters.get_by_label("Ticker")).to_have_value("")
    expect(page).to_have_url(re.compile("#/trades$"))
    filters.get_by_role("button", name="Today").click()
    expect(page).to_have_url(re.compile("#/trades\\?from=20..-..-..&to=20..-..-..$"))
    expect(filters.get_by_role("button", name="Today")).to_have_attribute("aria-pressed", "true")


def test_a_filter_that_cannot_be_is_an_error_under_its_field(open_page: Open) -> None:
    page = open_page("trades", clock="now")
    filters = page.get_by_role("form", name="Filter trades")
    ticker = filters.get_by_label("Ticker")
    ticker.press_sequentially("BRK.")
    page.clock.run_for(PAUSE_MS)
    expect(ticker).to_have_accessible_description("")
    ticker.press_sequentially("4")
    page.clock.run_for(PAUSE_MS)
    expect(ticker).to_have_accessible_description("Such as AAPL or BRK.B.")
    ticker.fill("")
    page.clock.run_for(PAUSE_MS)
    start = filters.get_by_label("From")
    start.press_sequentially("02312025")
    expect(start).to_have_accessible_description("Incomplete, or no such date.")
    expect(start).to_be_focused()
    expect(page).to_have_url(re.compile("#/trades$"))
    start.fill("2025-06-04")
    filters.get_by_label("To").fill("2025-06-03")
    expect(filters.get_by_label("To")).to_have_accessible_description("Before the first day.")


def test_a_search_without_result_says_what_to_do(open_page: Open, ticker: str) -> None:
    page = open_page("trades?ticker=12")
    filters = page.get_by_role("form", name="Filter trades")
    expect(filters.get_by_label("Ticker")).to_have_accessible_description("Such as AAPL or BRK.B.")
    expect(page.locator("#trades-state")).to_contain_text("Correct the filter to see trades.")
    page = open_page(f"trades?ticker={ticker}")
    expect(page.locator("#trades-state")).to_have_text("No trade matches. Change or clear the filters.")


def test_the_beginning_of_a_ticker_finds_all_of_them_and_one_can_be_chosen(
    open_page: Open, running: RunningSystem, width: int, ticker: str, tmp_path: Path
) -> None:
    trades = [*some(ticker, 2), *some(f"{ticker}.A", 1), *some(f"{ticker}.B", 1)]
    send(f"{running.url}/api/trades/batch", {"trades": trades})
    page = open_page("trades", width)
    page.get_by_role("form", name="Filter trades").get_by_label("Ticker").press_sequentially(ticker.lower())
    state = page.locator("#trades-state")
    expect(state).to_have_text("4 trades shown, that is all.")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    file = tmp_path / "trades.csv"
    download.value.save_as(file)
    assert len(list(csv.DictReader(file.read_text().splitlines()))) == 4
    expect(page.locator(f"#known-tickers option[value='{ticker}.B']")).to_be_attached()  # the form completes it
    page.get_by_role("button", name=f"Only {ticker}").click()
    expect(state).to_have_text("2 trades shown, that is all.")
    expect(page).to_have_url(re.compile(f"#/trades\\?ticker={ticker}$"))
    page.get_by_role("button", name=f"All that begin with {ticker}").click()
    expect(state).to_have_text("4 trades shown, that is all.")


def test_all_that_is_filtered_can_be_added_up_sorted_and_downloaded(
    open_page: Open, running: RunningSystem, width: int, tmp_path: Path, ticker: str
) -> None:
    trades = some(ticker, 249)
    trades[3] |= {"client_trade_id": f'=1,"{ticker}"', "price": "0.000001"}
    trades[240] |= {"side": "SELL", "price": "1000", "quantity": 7}
    send(f"{running.url}/api/trades/batch", {"trades": trades})
    page = open_page(f"trades?ticker={ticker}", width)
    page.route("**/*cursor=*", lambda route: route.abort())  # as one who does not scroll
    page.reload()
    totals = page.locator(".totals")
    expect(totals).to_contain_text("Newest200 trades")
    page.unroute("**/*cursor=*")
    page.get_by_role("button", name="Total all of them").click()
    expect(totals).to_contain_text("Total249 trades")
    expect(totals).to_contain_text("Sold7,000.00 USD")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    file = tmp_path / "trades.csv"
    download.value.save_as(file)
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert len(rows) == 249
    assert {row["ticker"] for row in rows} == {ticker}
    assert [row["price"] for row in rows].count("0.000001") == 1
    assert f'\'=1,"{ticker}"' in {row["client_trade_id"] for row in rows}


def test_a_column_sorts_all_that_match(open_page: Open, running: RunningSystem, ticker: str) -> None:
    trades = some(ticker, 249)
    trades[240] |= {"price": "1000", "quantity": 7}
    send(f"{running.url}/api/trades/batch", {"trades": trades})
    page = open_page(f"trades?ticker={ticker}")
    page.get_by_role("button", name="Amount").click()
    expect(page.locator("#trade-rows .amount").first).to_have_text("7,000.00 USD")
    expect(page.locator("#trade-rows .trade-row")).to_have_count(249)
    page.get_by_role("button", name="Amount").click()
    expect(page.locator("#trade-rows .amount").last).to_have_text("7,000.00 USD")


@pytest.fixture
def many(running: RunningSystem, ticker: str) -> str:
    """A ticker with a thousand trades, which nobody is told of: that would take the system a minute."""
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


def test_a_thousand_trades_come_as_one_scrolls(open_page: Open, width: int, many: str) -> None:
    page = open_page(f"trades?ticker={many}", width)
    expect(page.locator("#trades-state")).to_contain_text("older ones come as you scroll")
    page.evaluate(
        """async () => {
          while (![...document.querySelectorAll(".list-end button")].every((button) => button.hidden)) {
            scrollTo(0, document.documentElement.scrollHeight);
            await new Promise(requestAnimationFrame);
          }
        }"""
    )
    expect(page.locator("#trades-state")).to_have_text("1,000 trades shown, that is all.")
    times: list[str] = page.eval_on_selector_all("#trade-rows time", "all => all.map((each) => each.dateTime)")
    assert len(times) == MANY
    assert times == sorted(times, reverse=True)
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.locator("#trade-rows .trade-row").last).to_be_in_viewport()


def test_a_database_that_is_away_is_said_and_asked_again(
    open_page: Open, running: RunningSystem, width: int, ticker: str
) -> None:
    page = open_page("trades", width)
    expect(page.locator("#trades-state")).to_contain_text("rade")
    expect(page.get_by_role("table", name="Trades")).not_to_have_attribute("aria-busy", "true")
    running.postgres.kill()
    try:
        fill(page, ticker)
        submit(page)
        expect(page.locator(".outcome")).to_contain_text("The system cannot answer at the moment.")
        page.get_by_role("form", name="Filter trades").get_by_label("Side").select_option("Sell")
        expect(page.locator("main").get_by_role("alert")).to_contain_text("Trying again in")
    finally:
        running.postgres.start()
    expect(page.locator("#trades-state")).to_contain_text(re.compile("shown|No trade matches"))
    submit(page)
    expect(page.locator(".outcome")).to_contain_text(RECORDED)
    assert len(trades_of(running.url, ticker)) == 1
