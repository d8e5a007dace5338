import csv
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, Route, expect

from local.host.system import RunningSystem
from local.host.template import ROOT
from tests.web.conftest import Open, accessibility_faults, send

DAY = "2024-05-15"
KEY = "2024/05/15/trades.csv"
REJECTED = 150  # more than a page of them


@pytest.fixture
def with_trades(running: RunningSystem) -> None:
    """A trade, and a day whose file has rows that are no trades, analyzed."""
    trade = {"ticker": "AAPL", "price": "170.50", "quantity": 10, "side": "BUY", "timestamp": f"{DAY}T09:30:00Z"}
    send(f"{running.url}/api/trades", {**trade, "client_trade_id": "shown"})
    text = (ROOT / "events" / KEY).read_text() + "AAPL,170.50,10,HOLD,2024-05-15T10:00:00Z\n" * REJECTED
    running.aws.client("s3").put_object(Bucket=running.environment["DATA_BUCKET"], Key=KEY, Body=text.encode())
    wait_for_analysis(running.url, DAY)


def wait_for_analysis(url: str, day: str) -> None:
    """Wait until a day is analyzed, which is the work of other processes."""
    deadline = time.monotonic() + 60
    last = ""
    while time.monotonic() < deadline:
        try:
            with urlopen(f"{url}/api/analyses/{day}?limit=1", timeout=60) as answer:  # noqa: S310
                analysis = json.load(answer)
        except HTTPError as error:
            last = error.read().decode()
        else:
            if analysis["status"] == "current":
                return
            last = f"{analysis['status']}: {analysis['reason']}"
        time.sleep(0.2)
    raise AssertionError(f"{day} was not analyzed: {last}")


@pytest.mark.usefixtures("with_trades")
def test_a_day_is_shown_as_figures_and_a_table_that_can_be_sorted_and_is_run_again(open_page: Open, width: int) -> None:
    page = open_page(f"analysis?date={DAY}", width)
    expect(page.locator("#analysis-figures")).to_contain_text("156")
    rows = page.get_by_role("region", name="Results by ticker").locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(page.get_by_role("region", name="Results by ticker").get_by_title("170.666667")).to_have_text("170.67")
    widths = rows.locator(".bar").evaluate_all("all => all.map((each) => each.offsetWidth)")
    assert widths == sorted(widths, reverse=True)
    first = rows.first.get_by_role("rowheader").inner_text()
    page.get_by_role("button", name="Amount").click()
    expect(rows.last).to_contain_text(first)
    expect(page.locator(".rejects tbody tr")).to_have_count(100)
    expect(page.locator(".rejects tbody tr").first).to_contain_text("HOLD")
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".rejects tbody tr")).to_have_count(REJECTED)
    with page.expect_response(lambda response: response.request.method == "POST" and response.ok):
        page.get_by_role("button", name="Analyze again").click()  # the file is not one of the system's own
    expect(page.locator("#analysis-state")).to_have_text("")
    expect(page.locator("#analysis-figures")).to_contain_text("156")


@pytest.mark.usefixtures("with_trades")
def test_the_rejected_rows_can_be_downloaded_whole(open_page: Open, tmp_path: Path) -> None:
    page = open_page(f"analysis?date={DAY}")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download rejected rows").click()
    file = tmp_path / "rejects.csv"
    download.value.save_as(file)
    assert len(list(csv.DictReader(file.read_text().splitlines()))) == REJECTED


def test_a_day_is_exported_and_analyzed_with_one_button_and_what_changed_is_shown(
    open_page: Open, running: RunningSystem, width: int
) -> None:
    day = str(datetime.now(UTC).date() - timedelta(days=30 + width % 7))  # another one for each width
    trade = {"ticker": "AAPL", "price": "170.50", "quantity": 10, "side": "BUY", "timestamp": f"{day}T09:30:00Z"}
    send(f"{running.url}/api/trades", trade)
    page = open_page(f"analysis?date={day}", width)
    expect(page.locator("#analysis-state")).to_contain_text(f"There is no analysis of {day} yet")
    page.get_by_role("button", name="Export and analyze").click()
    rows = page.get_by_role("region", name="Results by ticker").locator("tbody tr")
    expect(rows).to_have_count(1)
    expect(page.get_by_role("group", name="Days with an analysis").get_by_role("button", name=day)).to_have_attribute(
        "aria-pressed", "true"
    )
    send(f"{running.url}/api/trades", {**trade, "ticker": "MSFT", "currency": "EUR"})
    page.get_by_role("button", name="Export and analyze").click()
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="MSFT EUR").locator(".share")).to_have_text("100.0 %")
    page.get_by_text("What revision 2 changed").click()
    expect(page.get_by_role("region", name="Changes")).to_contain_text("MSFT")


def test_the_days_say_how_their_analyses_stand(open_page: Open, width: int) -> None:
    statuses = {"2024-03-03": "current", "2024-03-02": "stale", "2024-03-01": "failed"}

    def answer(route: Route) -> None:
        day = urlsplit(route.request.url).path.rpartition("/")[2]
        if day not in statuses:
            route.fulfill(json=list(statuses))
            return
        analysis = {"date": day, "records_processed": 0, "rejected": 0, "rows": [], "is_foreign": False}
        reason = "The file cannot be read" if statuses[day] == "failed" else None
        route.fulfill(json={**analysis, "status": statuses[day], "reason": reason, "revision": 1, "changes": []})

    page = open_page("analysis", width, prepare=lambda page: page.route("**/api/analyses**", answer))
    days = page.get_by_role("group", name="Days with an analysis")
    expect(days.get_by_role("button")).to_have_text(["2024-03-03", "2024-03-02 stale", "2024-03-01 failed"])
    days.get_by_role("button", name="2024-03-02").click()
    expect(page.locator("#analysis-state")).to_contain_text("The trades of the day have changed since.")
    days.get_by_role("button", name="2024-03-01").click()
    expect(page.locator("#analysis-state")).to_contain_text("It could not be made: The file cannot be read")


def test_a_day_without_an_analysis_says_what_to_do_and_leads_to_its_neighbours(open_page: Open, width: int) -> None:
    page = open_page("analysis?date=2020-02-02", width)
    expect(page.locator("#analysis-state")).to_contain_text("There is no analysis of 2020-02-02 yet")
    expect(page.get_by_role("region", name="Results by ticker")).to_be_hidden()
    page.get_by_role("button", name="The day before").click()
    expect(page.locator("#analysis-state")).to_contain_text("There is no analysis of 2020-02-01 yet")


def test_a_file_is_dropped_and_analyzed_without_being_kept(open_page: Open, width: int) -> None:
    page = open_page("analysis?date=2020-02-02", width)
    drop(page, "prices.csv", "date,close\n2024-01-01,10\n")
    expect(page.locator(".drop")).to_contain_text("prices.csv is no file of trades.")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.method))
    drop(page, "trades.csv", (ROOT / "events" / KEY).read_text() + "AAPL,170.50,10,HOLD,2024-05-15T10:00:00Z\n")
    dialog = page.get_by_role("dialog", name="trades.csv")
    expect(dialog.get_by_role("region", name="Results of trades.csv").locator("tbody tr")).to_have_count(3)
    expect(dialog.get_by_title("170.666667")).to_have_text("170.67")
    expect(dialog.get_by_role("region", name="Lines that are no trades")).to_contain_text("HOLD")
    assert accessibility_faults(page) == []
    assert "POST" not in requests
    assert "PUT" not in requests


def history(days: int) -> str:
    """Return prices that rise and fall again, every twenty days."""
    lines = ["date,open,close"]
    for day in range(days):
        close = 100 + (day % 20 if (day // 20) % 2 == 0 else 20 - day % 20)
        lines.append(f"2024-{1 + day // 28:02}-{1 + day % 28:02},{close},{close}")
    return "\n".join(lines) + "\n"


DROP = """
  ([name, text]) => {
    const data = new DataTransfer();
    data.items.add(new File([text], name, { type: "text/csv" }));
    const event = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
    document.querySelector(".drop").dispatchEvent(event);
  }
"""


def drop(page: Page, name: str, text: str) -> None:
    page.locator(".drop").wait_for()
    page.evaluate(DROP, [name, text])


def simulate(page: Page) -> None:
    page.get_by_role("button", name="Simulate").click()


def test_a_history_is_dropped_simulated_and_its_result_has_an_address(open_page: Open, width: int) -> None:
    page = open_page("simulation?fast=3&slow=8", width)
    drop(page, "DROP.csv", history(120))
    expect(page.locator(".drop")).to_contain_text("DROP: 120 bars, 2024-01-01 to 2024-05-08, are stored.")
    simulate(page)
    expect(page.get_by_role("heading", name="DROP, fast 3, slow 8, 120 bars")).to_be_visible()
    expect(page.locator("#simulation-figures")).to_contain_text("Closed trades")
    expect(page.locator(".simulation .chart canvas").first).to_be_visible()
    assert page.locator("#simulation-trades tr").count() > 1
    figures = page.locator("#simulation-figures").inner_text()
    page.reload()
    expect(page.locator("#simulation-figures")).to_have_text(figures, use_inner_text=True)
    expect(page.get_by_label("Ticker")).to_have_value("DROP")
    expect(page.get_by_role("textbox", name="Fast")).to_have_value("3")
    expect(page.get_by_role("textbox", name="Slow")).to_have_value("8")


def test_a_past_simulation_is_listed_and_its_result_opened(open_page: Open, running: RunningSystem, width: int) -> None:
    send(f"{running.url}/api/histories/PAST", history(120), "PUT", "text/csv")
    for fast in range(3, 14):
        send(f"{running.url}/api/simulations", {"ticker": "PAST", "fast": fast, "slow": 20})
    page = open_page("simulation", width)
    past = page.get_by_role("region", name="Past simulations").locator("tbody")
    expect(past.get_by_role("row")).to_have_count(10)
    expect(past.get_by_role("row").first).to_contain_text("PAST 13/20")
    page.get_by_role("button", name="Show older ones").click()
    past.get_by_role("link", name="PAST 3/20").click()
    expect(page.get_by_role("heading", name="PAST, fast 3, slow 20, 120 bars")).to_be_visible()


def test_a_stored_history_is_listed_and_taken_with_a_click(open_page: Open, running: RunningSystem, width: int) -> None:
    send(f"{running.url}/api/histories/KEPT", history(60), "PUT", "text/csv")
    page = open_page("simulation", width)
    page.get_by_role("group", name="Stored histories").get_by_role("button", name="KEPT").click()
    expect(page.get_by_label("Ticker")).to_have_value("KEPT")


def test_a_sweep_is_a_heat_map_of_which_a_click_simulates_one_pair(open_page: Open, width: int) -> None:
    page = open_page("simulation", width)
    drop(page, "SWEPT.csv", history(120))
    expect(page.locator(".drop")).to_contain_text("are stored")
    page.get_by_role("button", name="Sweep", exact=True).click()
    page.get_by_role("textbox", name="Fast").fill("2:4:1")
    page.get_by_role("textbox", name="Slow").fill("6:10:2")
    page.get_by_text("Costs and fills").click()
    page.get_by_label("Commission USD a trade").fill("1")
    simulate(page)
    cells = page.get_by_role("region", name="Sweep").get_by_role("button")
    expect(cells).to_have_count(9)
    expect(page.locator("#simulation-figures")).not_to_contain_text("Fees, USD\n0.00", use_inner_text=True)
    page.get_by_role("button", name="Fast 4, slow 6").click()
    expect(page.get_by_role("heading", name="SWEPT, fast 4, slow 6, 120 bars")).to_be_visible()


def test_what_is_wrong_with_a_simulation_stands_under_its_field_and_why_there_are_no_trades_is_said(
    open_page: Open, width: int
) -> None:
    page = open_page("simulation?fast=9&slow=8", width)
    simulate(page)
    expect(page.get_by_label("Ticker")).to_have_accessible_description("Such as AAPL or BRK.B.")
    drop(page, "prices.csv", history(120))
    expect(page.locator(".drop")).to_contain_text("Which ticker is prices.csv of?")
    page.get_by_label("Ticker").fill("wrong")
    drop(page, "prices 1.csv", history(120))
    expect(page.locator(".drop")).to_contain_text("WRONG: 120 bars")
    simulate(page)
    expect(page.get_by_role("textbox", name="Fast")).to_have_accessible_description("Must be less than slow.")
    page.get_by_role("textbox", name="Slow").fill("500")
    simulate(page)
    expect(page.locator("#simulation-trades")).to_contain_text("cannot cross before bar 501")
    page.get_by_label("Ticker").fill("NONE")
    simulate(page)
    expect(page.get_by_label("Ticker")).to_have_accessible_description("No history: drop one.")
    drop(page, "BAD.csv", "date,close\n2024-01-01,many\n")
    expect(page.locator(".drop")).to_contain_text("many")


def test_a_simulation_that_does_not_exist_says_so(open_page: Open) -> None:
    page = open_page("simulation?id=987654321")
    expect(page.locator("#simulation-state")).to_have_text("There is no simulation 987654321.")
