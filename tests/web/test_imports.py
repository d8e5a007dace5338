"""A broker's file on the page: what is in it, recording it once, comparing it, and taking it back."""

import uuid

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from local.host.system import RunningSystem
from tests.web.conftest import Open, accessibility_faults, send

HEADER = "Date,Action,Symbol,Quantity,Price,Fees & Comm\n"
BUY, SELL = "03/04/2025,Buy,AAPL,10,230.50,0.65\n", "03/05/2025,Sell,AAPL,4,240,\n"
DIVIDEND, BAD = "03/06/2025,Cash Dividend,AAPL,,,\n", "03/07/2025,Buy,AAPL,many,240,\n"
FILE = HEADER + BAD + DIVIDEND + SELL + BUY


@pytest.fixture
def account() -> str:
    """An account into which nobody has imported."""
    return f"desk-{uuid.uuid4().hex[:8]}"


def choose(page: Page, text: str | bytes, name: str = "Transactions.csv") -> None:
    data = text.encode() if isinstance(text, str) else text
    page.get_by_label("Broker\N{RIGHT SINGLE QUOTATION MARK}s file").set_input_files(
        {"name": name, "mimeType": "text/csv", "buffer": data}
    )


def set_account(page: Page, account: str) -> None:
    page.get_by_role("textbox", name="Account to record in").fill(account)


def result(page: Page) -> Locator:
    return page.get_by_role("region", name="The file", exact=True)


def past(page: Page, account: str) -> Locator:
    return page.get_by_role("region", name="Past imports").get_by_role("listitem").filter(has_text=account)


DROP = """
  ([name, text]) => {
    const data = new DataTransfer();
    data.items.add(new File([text], name, { type: "text/csv" }));
    const event = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
    document.querySelector(".drop").dispatchEvent(event);
  }
"""


def test_a_file_is_dropped_looked_at_recorded_once_and_taken_back(open_page: Open, width: int, account: str) -> None:
    page = open_page("import", width)
    set_account(page, account)
    page.evaluate(DROP, ["Transactions.csv", FILE])
    shown = result(page)
    expect(shown.get_by_role("heading")).to_have_text("Charles Schwab: 4 rows")
    expect(shown).to_contain_text("Nothing is recorded yet.")
    expect(shown.get_by_role("button", name="2 to record")).to_have_attribute("aria-pressed", "true")
    expect(shown.get_by_role("row").filter(has_text="230.50")).to_contain_text("Buy")
    shown.get_by_role("button", name="1 rejected").click()
    expect(shown.get_by_role("row").last).to_contain_text("2quantity must be a number, not 'many'")
    shown.get_by_role("button", name="1 skipped").click()
    expect(shown.get_by_role("row").last).to_contain_text("is not recorded as a trade: 'Cash Dividend'")
    expect(past(page, account)).to_have_count(0)  # nothing was recorded

    shown.get_by_role("button", name="Record 2 trades").click()
    expect(shown).to_contain_text("is completed: 2 trades recorded.")
    expect(past(page, account)).to_contain_text("2 trades, 1 rejected")
    expect(shown.get_by_role("link", name="See the positions")).to_have_attribute(
        "href", f"#/overview?account={account}"
    )

    choose(page, FILE)
    expect(shown.get_by_role("button", name="2 already there")).to_be_visible()
    expect(shown.get_by_role("button", name="Record 0 trades")).to_be_disabled()

    with page.expect_download() as downloaded:
        past(page, account).get_by_role("button", name="Rows of import").click()
    assert "2,rejected,quantity must be a number" in downloaded.value.path().read_text().replace('"', "")
    past(page, account).get_by_role("button", name="Take back import").click()
    question = page.get_by_role("dialog", name="Question")
    question.get_by_role("button", name="Cancel").click()
    expect(past(page, account)).not_to_contain_text("Taken back")
    past(page, account).get_by_role("button", name="Take back import").click()
    question.get_by_role("button", name="Take it back").click()
    expect(past(page, account)).to_contain_text("Taken back")
    page.evaluate("(account) => (location.hash = `#/trades?account=${account}`)", account)
    expect(page.locator("#trades-state")).to_contain_text("No trade matches")


def test_a_comparison_shows_what_either_side_lacks(
    open_page: Open, running: RunningSystem, width: int, account: str
) -> None:
    trade = {"ticker": "AAPL", "side": "BUY", "quantity": 10, "price": "230.50", "fee": "0.65", "account": account}
    send(f"{running.url}/api/trades", {**trade, "timestamp": "2025-03-04T15:00:00Z"})
    only_here = send(f"{running.url}/api/trades", {**trade, "ticker": "MSFT", "timestamp": "2025-03-05T15:00:00Z"})
    page = open_page("import", width)
    set_account(page, account)
    choose(page, FILE)
    page.get_by_role("button", name="Compare with the ledger").click()
    shown = result(page)
    expect(shown.get_by_role("heading")).to_have_text("Charles Schwab: compared")
    expect(shown.get_by_role("heading")).to_be_focused()
    expect(shown.get_by_role("row").last).to_contain_text("Sell")
    expect(shown.get_by_role("button", name="1 missing in the ledger")).to_have_attribute("aria-pressed", "true")
    expect(shown.get_by_role("button", name="1 agrees")).to_be_visible()
    shown.get_by_role("button", name="1 missing in the file").click()
    expect(shown.get_by_role("row").last).to_contain_text("MSFT")
    expect(shown.get_by_role("link", name=f"trade {only_here['id']}")).to_be_visible()
    shown.get_by_role("button", name="Back to the file").click()
    expect(shown.get_by_role("button", name="2 to record")).to_be_visible()


def test_the_columns_of_an_unknown_file_are_named(open_page: Open, width: int, account: str) -> None:
    page = open_page("import", width)
    set_account(page, account)
    choose(page, "My broker\n\nDay;Paper;Pieces;Paid;Way\n31.03.2025;AAPL;3;230,50;Buy\n".encode("utf-16"))
    expect(page.locator("#import-state")).to_contain_text(
        "The file is in none of the formats schwab, fidelity, ibkr-flex"
    )
    expect(page.locator("#import-state")).to_contain_text("its first row is 'My broker'")
    expect(page.locator("#import-state")).to_contain_text("Name its columns below.")
    columns = page.get_by_role("form", name="Columns of the file")
    for name, column in {"Date": "Day", "Ticker": "Paper", "Quantity": "Pieces", "Price of a share": "Paid"}.items():
        columns.get_by_label(name, exact=True).select_option(column)
    columns.get_by_label("Date format").fill("%d-%q")
    columns.get_by_role("button", name="Read the file").click()
    expect(columns.get_by_label("Date format")).to_be_focused()
    columns.get_by_label("Date format").fill("%d.%m.%Y")
    columns.get_by_role("button", name="Read the file").click()
    expect(result(page).get_by_role("heading")).to_have_text("Your columns: 1 row")
    expect(result(page).get_by_role("row").last).to_contain_text("230.50")
    page.get_by_role("button", name="Record 1 trade").click()
    expect(past(page, account)).to_contain_text("generic")


def test_what_a_file_leaves_open_is_asked(open_page: Open, width: int, account: str) -> None:
    header = "Action,Time,ISIN,Ticker,No. of shares,Price / share,Currency (Price / share),ID\n"
    page = open_page("import", width)
    set_account(page, account)
    choose(page, header + "Market sell,2025-01-18 14:30:03,CH0111762537,,2,50,CHF,A1\n")
    page.get_by_label("CH0111762537").fill("zgld.sw")
    page.get_by_role("button", name="Use these tickers").click()
    shown = result(page)
    expect(shown.get_by_role("row").last).to_contain_text("ZGLD.SW")
    expect(shown).to_contain_text(f"ZGLD.SW in {account} would be short from 2025-01-18 on: 2 shares")

    row = '03/04/2025,"Account {0}","{0}",YOU BOUGHT X (Cash),AAPL,X,Cash,1,USD,10,,,,,\n'
    fidelity = (
        "Run Date,Account,Account Number,Action,Symbol,Description,Type,Quantity,Currency,Price,Commission,Fees\n"
    )
    choose(page, fidelity + (row.format("100") + row.format("200")).replace(",,,,,\n", ",,\n"))
    expect(page.locator("#import-state")).to_contain_text("'100', '200'")
    page.get_by_label("of several").fill("200")
    page.keyboard.press("Tab")
    expect(shown.get_by_role("button", name="1 to record")).to_be_visible()


def test_what_is_no_csv_or_too_large_is_not_sent(open_page: Open) -> None:
    page = open_page("import")
    choose(page, b"PK", "Trades.xlsx")
    expect(page.locator(".drop")).to_contain_text("Trades.xlsx is not a CSV.")
    choose(page, b"x" * 4_000_001)
    expect(page.locator(".drop")).to_contain_text("has more than 4 MB")
    expect(result(page)).to_be_hidden()


def test_a_time_zone_is_tried_at_once_and_a_wrong_one_is_said(open_page: Open, account: str) -> None:
    page = open_page("import")
    set_account(page, account)
    choose(page, HEADER + BUY)
    expect(result(page).get_by_role("row").last).to_contain_text("2025-03-04 18:00:00")  # New York's noon in Berlin
    page.get_by_label("Time zone").fill("Mars/Olympus")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Time zone")).to_have_accessible_description(
        "Must be the name of a time zone, such as Europe/Zurich."
    )
    page.get_by_label("Time zone").fill("Europe/Berlin")
    page.keyboard.press("Tab")
    expect(result(page).get_by_role("row").last).to_contain_text("2025-03-04 12:00:00")


def test_an_import_that_was_cut_short_goes_on_by_itself(open_page: Open, account: str) -> None:
    page = open_page("import")
    set_account(page, account)
    choose(page, FILE)
    refusals = [503]
    page.route(
        "**/api/imports?*",
        lambda route: (
            route.fulfill(status=refusals.pop(), json={}, headers={"Retry-After": "1"})
            if refusals
            else route.fallback()
        ),
    )
    page.get_by_role("button", name="Record 2 trades").click()
    expect(result(page)).to_contain_text("is completed: 2 trades recorded.")
    assert refusals == []


def test_older_imports_are_shown_on_request(open_page: Open, running: RunningSystem, account: str) -> None:
    for day in ("04", "05", "06"):
        send(
            f"{running.url}/api/imports?account={account}", HEADER + BUY.replace("/04/", f"/{day}/"), "POST", "text/csv"
        )

    def in_small_pages(route: Route) -> None:
        route.continue_(url=route.request.url.replace("limit=20", "limit=2"))

    page = open_page("import", prepare=lambda page: page.route("**/api/imports?*", in_small_pages))
    expect(past(page, account)).to_have_count(2)
    page.get_by_role("button", name="Show older ones").click()
    expect(past(page, account)).to_have_count(3)


@pytest.mark.parametrize(("scheme", "width"), [("light", 375), ("dark", 1440)])
def test_axe_finds_no_fault_with_what_is_shown_of_a_file(
    open_page: Open, width: int, scheme: str, account: str
) -> None:
    page = open_page("import", width, scheme)
    set_account(page, account)
    choose(page, "Day;Paper\n1;2\n")
    page.get_by_role("form", name="Columns of the file").wait_for()
    assert accessibility_faults(page) == []
    choose(page, FILE + "03/08/2025,Stock Split,AAPL,9,,\n")
    expect(result(page)).to_contain_text("AAPL was split on 2025-03-08.")
    page.get_by_role("button", name="Record 2 trades").click()
    expect(past(page, account)).to_contain_text("2 trades")
    assert accessibility_faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_keyboard_alone_records_a_file(open_page: Open, account: str) -> None:
    file = {"name": "T.csv", "mimeType": "text/csv", "buffer": FILE.encode()}
    page = open_page("overview")
    page.on("filechooser", lambda chooser: chooser.set_files(file))
    page.keyboard.press("4")
    page.get_by_role("heading", name="Import", exact=True).wait_for()
    set_account(page, account)
    page.get_by_role("textbox", name="Account to record in").blur()
    page.keyboard.press("/")
    expect(page.get_by_role("button", name="Choose a file")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Record 2 trades").wait_for()
    page.get_by_role("button", name="Record 2 trades").focus()
    page.keyboard.press("Enter")
    expect(result(page).get_by_role("heading")).to_be_focused()
    expect(past(page, account)).to_contain_text("2 trades")
