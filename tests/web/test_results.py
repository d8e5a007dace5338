import csv
from pathlib import Path

import pytest
from playwright.sync_api import expect

from local.host.system import RunningSystem
from local.host.template import ROOT
from tests.web.conftest import Open, send

DAY = "2024-05-15"
KEY = "2024/05/15/trades.csv"
REJECTED = 150  # more than a page of them


@pytest.fixture
def with_trades(running: RunningSystem) -> None:
    """A day whose file has rows that are no trades, analyzed."""
    text = (ROOT / "events" / KEY).read_text() + "AAPL,170.50,10,HOLD,2024-05-15T10:00:00Z\n" * REJECTED
    running.aws.client("s3").put_object(Bucket=running.environment["DATA_BUCKET"], Key=KEY, Body=text.encode())
    send(f"{running.url}/api/analyses/", {"date": DAY})


@pytest.mark.usefixtures("with_trades")
def test_a_day_is_shown_as_figures_bars_and_a_table_and_run_again(open_page: Open, width: int) -> None:
    page = open_page(f"analysis?date={DAY}", width)
    expect(page.locator("#analysis-figures")).to_contain_text("156")
    bars = page.locator("#volume-bars .bar-row")
    expect(bars).to_have_count(3)
    expect(bars.first).to_contain_text("AAPL")
    widths = page.locator("#volume-bars .bar").evaluate_all("all => all.map((each) => each.offsetWidth)")
    assert widths[0] > widths[2] > widths[1] > 0
    expect(page.get_by_role("region", name="Results by ticker").get_by_role("row").nth(1)).to_contain_text("170.666667")
    expect(page.locator("#rejects-rows tr")).to_have_count(100)
    expect(page.locator("#rejects-rows tr").first).to_contain_text("HOLD")
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("#rejects-rows tr")).to_have_count(REJECTED)
    with page.expect_response(lambda response: response.request.method == "POST" and response.ok):
        page.get_by_role("button", name="Run it again").click()
    expect(page.locator("#analysis-figures")).to_contain_text("156")


@pytest.mark.usefixtures("with_trades")
def test_the_rejected_rows_can_be_downloaded_whole(open_page: Open, tmp_path: Path) -> None:
    page = open_page(f"analysis?date={DAY}")
    with page.expect_download() as download:
        page.locator("#download-rejects").click()
    file = tmp_path / "rejects.csv"
    download.value.save_as(file)
    assert len(list(csv.DictReader(file.read_text().splitlines()))) == REJECTED


def test_a_day_without_trades_says_what_to_do(open_page: Open, width: int) -> None:
    page = open_page("analysis?date=2020-02-02", width)
    expect(page.locator("#analysis-state")).to_contain_text("There is no analysis of 2020-02-02 yet")
    page.get_by_role("button", name="Run it").click()
    expect(page.locator("#analysis-state")).to_contain_text("There is no file of trades of 2020-02-02")
    expect(page.locator("#analysis-table")).to_be_hidden()


def test_a_simulation_shows_its_equity_and_figures_and_names_what_is_wrong(
    open_page: Open, running: RunningSystem, width: int
) -> None:
    closes = [100 + 10 * ((day // 20) % 2) + day % 20 * (1 if (day // 20) % 2 == 0 else -1) for day in range(120)]
    days = [f"2024-{1 + number // 28:02}-{1 + number % 28:02},{close},{close}" for number, close in enumerate(closes)]
    history = "date,open,close\n" + "\n".join(day.replace(",", ",", 1) for day in days) + "\n"
    send(f"{running.url}/api/histories/SIM/", history, "PUT", "text/csv")

    page = open_page("simulation?ticker=sim&fast=3&slow=8", width)
    page.get_by_role("button", name="Simulate").click()
    expect(page.locator("#simulation-figures")).to_contain_text("Final equity, USD")
    expect(page.locator("#equity-chart canvas").first).to_be_visible()
    assert page.locator("#simulation-trades tr").count() > 1
    page.get_by_label("Fast").fill("9")
    page.get_by_role("button", name="Simulate").click()
    expect(page.locator("#simulation-error-fast")).to_contain_text("less than slow")
    page.get_by_label("Ticker").last.fill("NONE")
    page.get_by_label("Fast").fill("3")
    page.get_by_role("button", name="Simulate").click()
    expect(page.locator("#simulation-error-ticker")).not_to_be_empty()
