"""What holds of every view: who can use it, that it fits, and who may see it."""

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Request, Route, expect

from local.tools import build_page
from tests.web.conftest import Market, Open
from tests.web.test_results import DAY, with_trades  # noqa: F401 - a day that has something to show

VIEWS = ["prices", "trades", f"analysis?date={DAY}", "simulation"]
PROVIDER = "https://trading-test.auth.eu-west-1.amazoncognito.com"


def settle(page: Page, view: str) -> None:
    """Wait until a view shows what it has."""
    shown = {"prices": "#tickers button"}
    page.locator(shown.get(view.partition("?")[0], ".view:not([hidden]) h1")).first.wait_for()
    if view == "trades":
        expect(page.locator("#trades-state")).to_contain_text("rade")
        expect(page.locator("#trades-table")).not_to_have_attribute("aria-busy", "true")
    page.wait_for_timeout(300)


@pytest.mark.usefixtures("with_trades")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 375)])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_no_serious_fault_and_nothing_is_wider_than_the_screen(
    open_page: Open, market: Market, width: int, view: str, scheme: str
) -> None:
    del market
    page = open_page(view, width, scheme)
    settle(page, view)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate((build_page.SOURCE / "node_modules" / "axe-core" / "axe.min.js").read_text())
    found: list[dict[str, Any]] = page.evaluate("axe.run().then((results) => results.violations)")
    serious = [
        (fault["id"], fault["help"], [node["html"][:120] for node in fault["nodes"]][:3])
        for fault in found
        if fault["impact"] in {"serious", "critical"}
    ]
    assert serious == []


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
@pytest.mark.parametrize("view", VIEWS[:2])
def test_nothing_jumps_while_a_view_is_loaded(open_page: Open, market: Market, width: int, view: str) -> None:
    del market
    page = open_page(view, width, prepare=lambda page: page.add_init_script(WATCH_SHIFTS))
    settle(page, view)
    page.wait_for_timeout(1_500)
    assert page.evaluate("window.shifted") < 0.02, page.evaluate("window.shifts")  # 0.1 is called good, which is much


def test_the_keyboard_alone_reaches_every_view_and_records_a_trade(open_page: Open) -> None:
    page = open_page("prices")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Trades", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Record a trade")).to_be_visible()
    page.locator("#record-form").get_by_label("Ticker").focus()
    page.keyboard.type("KEYS")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.type("5")
    page.keyboard.press("Tab")
    page.keyboard.type("12.30")
    page.keyboard.press("Enter")
    expect(page.locator(".trade-row.fresh")).to_contain_text("Sell")


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


def test_where_people_sign_in_a_code_is_redeemed_with_its_proof_and_the_token_sent_along(open_page: Open) -> None:
    asked: list[Request] = []
    page = open_page("trades?side=BUY", prepare=lambda page: answer_as_cognito(page, asked))
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.locator("#trades")).to_be_hidden()
    page.route("**/api/**", lambda route: route.fulfill(json=[]))
    with page.expect_request(lambda request: "/api/trades/" in request.url) as searched:
        page.get_by_role("button", name="Sign in").click()
    assert searched.value.headers["authorization"] == "Bearer the-token"
    assert page.url.endswith("/#/trades?side=BUY")  # where the visitor was, and no code
    authorize, token = (parse_qs(text) for text in (urlsplit(asked[0].url).query, asked[1].post_data or ""))
    digest = hashlib.sha256(token["code_verifier"][0].encode()).digest()
    assert authorize["code_challenge"] == [base64.urlsafe_b64encode(digest).decode().rstrip("=")]
    assert authorize["code_challenge_method"] == ["S256"]
    assert (token["code"], token["grant_type"]) == (["the-code"], ["authorization_code"])
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_a_code_that_was_not_asked_for_is_not_redeemed(open_page: Open) -> None:
    asked: list[Request] = []
    page = open_page("", prepare=lambda page: answer_as_cognito(page, asked))
    page.goto("/?code=stolen&state=guessed")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert asked == []


def test_a_token_that_is_refused_leads_to_signing_in_again(open_page: Open) -> None:
    page = open_page("trades", prepare=lambda page: answer_as_cognito(page, []))
    refusal = {"status": 401, "body": json.dumps({"message": "Unauthorized"})}
    page.route("**/api/**", lambda route: route.fulfill(**refusal))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
