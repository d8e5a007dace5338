"""What holds of every view: who can use it, that it fits, that it goes on after a failure, and who may see it."""

import base64
import hashlib
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Request, Route, expect

from local.host.system import RunningSystem
from tests.web.conftest import Market, Open, accessibility_faults
from tests.web.test_results import DAY, with_trades  # noqa: F401 - a day that has something to show

VIEWS = ["overview", "prices", "trades", f"analysis?date={DAY}", "simulation", "import"]
WIDTHS = [320, 375, 768, 870, 1024, 1440]
PROVIDER = "https://trading-test.auth.eu-west-1.amazoncognito.com"


def settle(page: Page, view: str) -> None:
    """Wait until a view shows what it has."""
    name = view.partition("?")[0]
    if name == "overview":
        page.locator(".positions-table tbody tr").first.wait_for()
        page.locator(".profit-panel canvas, .profit-panel[hidden]").first.wait_for(state="attached")
    if name == "prices":
        page.locator(".ticker-row").first.wait_for()
        page.locator("canvas").first.wait_for()
    if name == "trades":
        expect(page.locator("#trades-state")).to_contain_text("shown")
    if name == "analysis":
        page.locator("#analysis-figures dd").first.wait_for()


@pytest.mark.usefixtures("with_trades")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 375)])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_no_fault_and_nothing_is_wider_than_the_screen(
    open_page: Open, market: Market, width: int, view: str, scheme: str
) -> None:
    del market
    page = open_page(view, width, scheme)
    settle(page, view)
    assert accessibility_faults(page) == []
    for each in WIDTHS:
        page.set_viewport_size({"width": each, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= each


WATCH_SHIFTS = """
  window.shifted = 0;
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      window.shifted += entry.value;
      window.shifts.push(...entry.sources.map((each) => `${each.node?.id || each.node?.className}`));
    }
  }).observe({ type: "layout-shift", buffered: true });
"""


@pytest.mark.usefixtures("with_trades")
@pytest.mark.parametrize("view", VIEWS[:3])
def test_nothing_jumps_while_a_view_is_loaded(open_page: Open, market: Market, width: int, view: str) -> None:
    del market
    page = open_page(view, width, prepare=lambda page: page.add_init_script(WATCH_SHIFTS))
    settle(page, view)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.shifted") < 0.02, page.evaluate("window.shifts")  # 0.1 is called good, which is much


def test_the_keyboard_alone_reaches_every_view_and_records_a_trade(open_page: Open) -> None:
    page = open_page("prices")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    for _ in range(4):
        page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Trades", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Record a trade").wait_for()
    page.keyboard.press("n")
    expect(page.locator("#record-form").get_by_label("Ticker")).to_be_focused()
    page.keyboard.type("KEYS")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.type("5")
    page.keyboard.press("Tab")
    page.keyboard.type("12.30")
    page.keyboard.press("Enter")
    expect(page.locator(".trade-row.fresh")).to_contain_text("KEYS")


def test_keys_go_to_views_and_are_listed(open_page: Open) -> None:
    page = open_page("prices")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_contain_text("Record a trade")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("3")
    page.get_by_role("heading", name="Record a trade").wait_for()
    page.keyboard.press("/")
    filters = page.get_by_role("form", name="Filter trades")
    expect(filters.get_by_label("Ticker")).to_be_focused()
    page.keyboard.type("3")  # a key in a field is a character
    expect(filters.get_by_label("Ticker")).to_have_value("3")


def test_a_view_that_cannot_be_loaded_says_so_and_the_others_go_on(open_page: Open, width: int) -> None:
    page = open_page("prices", width)
    page.route("**/trades/view.js*", lambda route: route.abort())
    page.get_by_role("link", name="Trades", exact=True).click()
    expect(page.get_by_role("heading", name="Trades could not be loaded")).to_be_visible()
    page.get_by_role("link", name="Simulation", exact=True).click()
    expect(page.get_by_role("heading", name="Simulation")).to_be_visible()
    page.get_by_role("link", name="Trades", exact=True).click()
    expect(page.get_by_role("heading", name="Trades could not be loaded")).to_be_visible()
    page.unroute("**/trades/view.js*")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Record a trade")).to_be_visible()


@pytest.mark.usefixtures("with_trades")
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (500, "Something went wrong in the system."),
        (503, "The system cannot answer at the moment."),
        (401, "wants a token"),
    ],
)
@pytest.mark.parametrize("view", ["overview", "trades", f"analysis?date={DAY}", "import"])
def test_a_request_that_fails_is_explained_and_can_be_tried_again(
    open_page: Open, view: str, status: int, said: str
) -> None:
    def fail(page: Page) -> None:
        page.route(
            "**/api/**",
            lambda route: route.fulfill(status=status, json={}, headers={"Retry-After": "600"}),
        )

    page = open_page(view, prepare=fail)
    expect(page.locator("main").get_by_role("alert")).to_contain_text(said)
    page.unroute("**/api/**")
    page.locator("main").get_by_role("button", name="Try again").click()
    settle(page, view)
    expect(page.locator("main").get_by_role("alert")).to_have_count(0)


def answer_as_cognito(page: Page, asked: list[Request]) -> None:
    """Stand in for the sign-in pages: whoever comes is sent back with a code, which is worth a token."""
    provider = {"signIn": {"url": PROVIDER, "clientId": "page", "scope": "openid trading/trades:read"}}
    page.route("**/config.json", lambda route: route.fulfill(json=provider))

    def allow_provider(route: Route) -> None:  # as the policy does in AWS
        response = route.fetch()
        policy = f"{response.headers['content-security-policy']} {PROVIDER}"
        route.fulfill(response=response, headers={**response.headers, "content-security-policy": policy})

    page.route(lambda url: urlsplit(url).path == "/", allow_provider)

    def authorize(route: Route) -> None:
        asked.append(route.request)
        wanted = parse_qs(urlsplit(route.request.url).query)
        back = f"{wanted['redirect_uri'][0]}?code=the-code&state={wanted['state'][0]}"
        route.fulfill(content_type="text/html", body=f"<script>location.replace({json.dumps(back)})</script>")

    def token(route: Route) -> None:
        asked.append(route.request)
        answer = {"access_token": "the-token", "refresh_token": "again", "expires_in": 3600, "token_type": "Bearer"}
        route.fulfill(json=answer, headers={"Access-Control-Allow-Origin": "*"})

    page.route(f"{PROVIDER}/oauth2/authorize*", authorize)
    page.route(f"{PROVIDER}/oauth2/token", token)

    def end(route: Route) -> None:
        asked.append(route.request)
        route.fulfill(body="", headers={"Access-Control-Allow-Origin": "*"})

    page.route(f"{PROVIDER}/oauth2/revoke", end)
    page.route(f"{PROVIDER}/logout*", end)


def test_where_people_sign_in_a_code_is_redeemed_with_its_proof_and_the_token_sent_along(open_page: Open) -> None:
    asked: list[Request] = []
    page = open_page("trades?side=BUY", prepare=lambda page: answer_as_cognito(page, asked))
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.route("**/api/**", lambda route: route.fulfill(json=[]))
    with page.expect_request(lambda request: "/api/trades" in request.url) as searched:
        page.get_by_role("button", name="Sign in").click()
    assert searched.value.headers["authorization"] == "Bearer the-token"
    assert page.url.endswith("/#/trades?side=BUY")  # where the visitor was, and no code
    authorize, token = (parse_qs(text) for text in (urlsplit(asked[0].url).query, asked[1].post_data or ""))
    digest = hashlib.sha256(token["code_verifier"][0].encode()).digest()
    assert authorize["code_challenge"] == [base64.urlsafe_b64encode(digest).decode().rstrip("=")]
    assert authorize["code_challenge_method"] == ["S256"]
    assert (token["code"], token["grant_type"]) == (["the-code"], ["authorization_code"])
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{PROVIDER}/logout*")
    revoke, logout = asked[2:]
    assert parse_qs(revoke.post_data or "") == {"token": ["again"], "client_id": ["page"]}
    assert "logout_uri" in parse_qs(urlsplit(logout.url).query)


def test_with_another_issuer_the_page_says_that_it_cannot_sign_in(open_page: Open, width: int) -> None:
    config = {"signIn": None, "issuer": "https://login.example.com/"}
    page = open_page(
        "", width, prepare=lambda page: page.route("**/config.json", lambda route: route.fulfill(json=config))
    )
    expect(page.get_by_role("alert")).to_contain_text("takes the tokens of https://login.example.com/")
    expect(page.locator("#feed-state")).to_be_hidden()


def test_a_code_that_was_not_asked_for_is_not_redeemed(open_page: Open, running: RunningSystem) -> None:
    asked: list[Request] = []
    page = open_page("", prepare=lambda page: answer_as_cognito(page, asked))
    page.goto(f"{running.url}/?code=stolen&state=guessed")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert asked == []


def test_a_token_that_is_refused_leads_to_signing_in_again(open_page: Open) -> None:
    page = open_page("trades", prepare=lambda page: answer_as_cognito(page, []))
    refusal = {"status": 401, "body": json.dumps({"message": "Unauthorized"})}
    page.route("**/api/**", lambda route: route.fulfill(**refusal))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
