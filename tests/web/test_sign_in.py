"""Signing in on the laptop, as with AUTH=on."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from playwright.sync_api import expect

from local.host import gateway, template
from local.host.authorizer import of_this_laptop
from local.host.gateway import Gateway
from local.host.page import Page as BuiltPage
from local.host.page import headers
from local.host.sign_in import SignIn
from local.host.system import RunningSystem
from tests.web.conftest import Open, accessibility_faults

PASSWORD = "0123-4567"


@pytest.fixture
def guarded(running: RunningSystem, loop: asyncio.AbstractEventLoop, tmp_path: Path) -> Iterator[str]:
    """Where the functions of the running system are served to those alone who have a token."""
    authorizer = of_this_laptop(tmp_path)
    declared = template.read(template.kept())
    api = Gateway(declared.routes, running.functions, authorizer)
    page = BuiltPage(headers(declared.page_headers, running.socket_url))
    runner = web.AppRunner(gateway.application(api, page, SignIn(authorizer, PASSWORD, declared.scopes)))

    async def serve() -> str:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield asyncio.run_coroutine_threadsafe(serve(), loop).result(30)
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(30)


def test_somebody_signs_in_records_a_trade_under_their_name_and_signs_out(
    open_page: Open, guarded: str, width: int
) -> None:
    page = open_page(f"{guarded}/#/trades?side=BUY", width)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Name").fill("desk-7")
    page.get_by_label("Password").fill("guessed")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("This is not the password.")
    expect(page.get_by_label("Name")).to_have_value("desk-7")
    assert accessibility_faults(page) == []
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Record a trade")).to_be_visible()
    assert page.url.endswith("/#/trades?side=BUY")

    if page.get_by_role("button", name="Open", exact=True).is_visible():
        page.get_by_role("button", name="Open", exact=True).click()
    for label, text in (("Ticker", "SIGN"), ("Quantity", "1"), ("Price", "2")):
        page.locator("#record-form").get_by_label(label).fill(text)
    page.get_by_role("button", name="Record the trade").click()
    page.locator(".trade-row.fresh").get_by_role("button").click()
    expect(page.get_by_role("dialog")).to_contain_text("by desk-7")
    page.keyboard.press("Escape")

    with page.expect_request("**/oauth2/revoke") as revoked:
        page.get_by_role("button", name="Sign out").click()
    assert "token=" in (revoked.value.post_data or "")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
