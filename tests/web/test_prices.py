import re
import time

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.web.conftest import Market, Open

# A ticker alerts once a minute at most, and so each test has its own.
RISERS = {375: "RISEP", 1440: "RISED"}


def row(ticker: str) -> str:
    return f"#tickers button:has-text('{ticker}')"


def test_prices_move_and_an_alert_appears(open_page: Open, market: Market, width: int) -> None:
    page = open_page("prices", width)
    expect(page.locator("#feed-state")).to_have_text("Live")
    expect(page.locator(row("AAPL"))).to_contain_text("187.42")
    market.prices["AAPL"] = "188.10"
    expect(page.locator(row("AAPL"))).to_contain_text("188.10")
    expect(page.locator("#chosen-price")).to_have_text("188.10")
    expect(page.locator("#chart canvas").first).to_be_visible()

    riser = RISERS[width]
    market.publish(riser, "1000.00", "1030.00")
    expect(page.locator("#toasts")).to_contain_text(f"{riser} rose 3.00 % to 1,030.00")
    page.locator("#alerts").get_by_role("link", name=riser).click()
    expect(page.locator("#chosen-ticker")).to_have_text(riser)
    expect(page.locator("#chart")).to_have_attribute("aria-label", re.compile("and 1 alerts"))
    page.get_by_text("The 5-minute averages as a table").click()
    expect(page.locator("#averages-rows tr").first).to_contain_text("1,015.0000")


def test_an_alert_can_be_muted_by_ticker_and_that_is_remembered(open_page: Open, market: Market) -> None:
    page = open_page("prices")
    expect(page.locator("#feed-state")).to_have_text("Live")
    market.publish("MUTED", "50.00", "52.00")
    page.get_by_role("button", name="Mute MUTED", exact=True).click()
    expect(page.locator("#alerts")).not_to_contain_text("MUTED")
    page.reload()
    unmute = page.get_by_role("button", name="Unmute MUTED")
    expect(unmute).to_be_visible()
    expect(page.locator("#alerts")).not_to_contain_text("Loading")
    expect(page.locator("#alerts")).not_to_contain_text("MUTED")
    unmute.click()
    expect(page.locator("#alerts")).to_contain_text("MUTED")


def test_all_alerts_can_be_muted_and_are_still_listed(open_page: Open, market: Market) -> None:
    page = open_page("prices")
    expect(page.locator("#feed-state")).to_have_text("Live")
    page.get_by_role("button", name="Mute all").click()
    market.publish("QUIET", "50.00", "52.00")
    expect(page.locator("#alerts")).to_contain_text("QUIET")
    expect(page.locator("#toasts")).to_be_empty()


def test_a_feed_that_falls_silent_is_called_stalled_until_it_speaks_again(open_page: Open, market: Market) -> None:
    page = open_page("prices", 375)
    expect(page.locator("#feed-state")).to_have_text("Live")
    market.stop()
    expect(page.locator("#feed-state")).to_have_text("Stalled: no new prices")
    market.start()
    expect(page.locator("#feed-state")).to_have_text("Live")


def test_a_socket_that_is_closed_is_opened_again_with_another_ticket(open_page: Open, market: Market) -> None:
    del market
    opened: list[WebSocketRoute] = []

    def prepare(page: Page) -> None:
        def connect(socket: WebSocketRoute) -> None:
            opened.append(socket)
            socket.connect_to_server()

        page.route_web_socket(re.compile("^ws://"), connect)

    page = open_page("prices", prepare=prepare)
    expect(page.locator("#feed-state")).to_have_text("Live")
    opened[0].close()
    expect(page.locator("#feed-state")).to_have_text("Disconnected, trying again")
    expect(page.locator("#feed-state")).to_have_text("Live")
    assert len({socket.url for socket in opened}) == 2


def test_what_was_missed_while_offline_is_filled_in_from_the_averages(open_page: Open, market: Market) -> None:
    page = open_page("prices?ticker=MSFT")
    expect(page.locator("#feed-state")).to_have_text("Live")
    asked: list[str] = []
    page.context.set_offline(True)
    expect(page.locator("#feed-state")).to_have_text("Offline: check your network")
    market.prices["MSFT"] = "422.20"
    page.on("request", lambda request: asked.append(request.url))
    page.context.set_offline(False)
    expect(page.locator("#feed-state")).to_have_text("Live")
    expect(page.locator("#chosen-price")).to_have_text("422.20")
    deadline = time.monotonic() + 10
    while not any("/api/prices/MSFT/averages/" in url for url in asked) and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert any("/api/prices/MSFT/averages/" in url for url in asked)
    assert any("/api/alerts/" in url for url in asked)


@pytest.mark.parametrize(
    ("frame", "shown"), [('"price":187.40', "187.40"), ('"price": 9007199254.740993', "9,007,199,254.740993")]
)
def test_a_price_is_shown_with_the_digits_that_were_sent(open_page: Open, frame: str, shown: str) -> None:
    def prepare(page: Page) -> None:
        def feed(socket: WebSocketRoute) -> None:
            prices = f'[{{"ticker":"EXACT",{frame},"timestamp":"2026-11-23T12:00:00Z"}}]'
            socket.on_message(lambda _: socket.send(prices))

        page.route_web_socket(re.compile("^ws://"), feed)

    page = open_page("prices?ticker=EXACT", prepare=prepare)
    expect(page.locator("#chosen-price")).to_have_text(shown)
