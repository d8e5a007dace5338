"""The window of webhooks: one is added, tested, paused and deleted; its deliveries are listed and sent again."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.trading.notifications.webhooks.receivers import answers, listening
from tests.web.conftest import WIDTHS, Open, accessibility_faults


def open_webhooks(page: Page) -> Locator:
    page.get_by_role("button", name="Webhooks", exact=True).click()
    return page.get_by_role("dialog", name="Webhooks")


def item(dialog: Locator, url: str) -> Locator:
    return dialog.get_by_role("list", name="Webhooks").get_by_role("listitem").filter(has_text=url).first


@pytest.mark.parametrize(("scheme", "width"), [("light", 375), ("dark", 1440)])
def test_a_webhook_is_added_and_tested_and_its_delivery_is_sent_again(open_page: Open, width: int, scheme: str) -> None:
    page = open_page("prices", width, scheme)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    with listening() as receiver:
        dialog = open_webhooks(page)
        dialog.get_by_role("button", name="Add the webhook").click()
        expect(dialog.get_by_label("URL")).to_have_accessible_description("This is needed.")
        dialog.get_by_label("URL").fill(receiver.url)
        dialog.get_by_role("textbox", name="Ticker").fill("hook")
        dialog.get_by_label("Trade recorded").check()
        dialog.get_by_role("button", name="Add the webhook").click()
        secret = dialog.get_by_label("Secret")
        expect(secret).to_have_value(re.compile("^whsec_"))
        expect(secret).to_be_focused()
        dialog.get_by_role("button", name="Copy").click()
        expect(dialog).to_contain_text("The secret is copied.")
        assert page.evaluate("navigator.clipboard.readText()") == secret.input_value()
        webhook = item(dialog, receiver.url)
        expect(webhook).to_contain_text("Signed JSON · Trade recorded · HOOK · no success yet")
        expect(webhook).to_contain_text("Active")

        webhook.get_by_role("button", name="Test").click()
        expect(webhook.get_by_role("status")).to_contain_text(re.compile(r"Delivered: HTTP 200 after \d+ ms\."))
        expect(webhook).to_contain_text("last success")
        webhook.get_by_text("Deliveries", exact=True).click()
        expect(webhook.get_by_role("list", name="Attempts")).to_contain_text("HTTP 200")
        expect(webhook).to_contain_text("Webhook tested")
        assert accessibility_faults(page) == []
        assert page.evaluate("document.querySelector('dialog').scrollWidth") <= width

        receiver.behavior = answers(500)
        webhook.get_by_role("button", name="Send again").focus()
        page.keyboard.press("Enter")
        expect(webhook.get_by_role("status")).to_contain_text("Waiting: HTTP 500")
        expect(webhook.get_by_role("list", name="Attempts")).to_contain_text("Next attempt at")
        expect(webhook).to_contain_text("Failing")
        expect(webhook).to_contain_text("last success")  # the test's
        expect(webhook.get_by_role("button", name="Send again")).to_be_focused()
        receiver.behavior = answers(204)
        page.keyboard.press("Enter")
        expect(webhook.get_by_role("status")).to_contain_text("Delivered: HTTP 204")
        expect(webhook).to_contain_text("Active")
        assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
        assert len(receiver.requests) == 3


def test_a_webhook_is_paused_resumed_and_deleted_after_a_question(open_page: Open, width: int) -> None:
    page = open_page("prices", width)
    with listening() as receiver:
        dialog = open_webhooks(page)
        dialog.get_by_label("URL").fill(receiver.url)
        dialog.get_by_role("button", name="Add the webhook").click()
        webhook = item(dialog, receiver.url)
        webhook.get_by_role("button", name="Pause").click()
        expect(webhook.get_by_role("button", name="Resume")).to_be_focused()
        expect(webhook).to_contain_text("Paused")
        webhook.get_by_role("button", name="Resume").click()
        expect(webhook).to_contain_text("Active")
        dialog.get_by_role("button", name="Close", exact=True).click()

        dialog = open_webhooks(page)
        webhook = item(dialog, receiver.url)
        expect(webhook).to_contain_text("no success yet")
        expect(dialog.get_by_label("Secret")).to_have_count(0)  # it is shown once
        webhook.get_by_role("button", name="Delete").click()
        question = page.get_by_role("dialog", name="Question")
        question.get_by_role("button", name="Cancel").click()
        expect(webhook).to_be_visible()
        webhook.get_by_role("button", name="Delete").click()
        question.get_by_role("button", name="Delete").click()
        expect(webhook).to_have_count(0)
        expect(dialog.get_by_label("URL")).to_be_focused()


def test_a_chat_is_asked_for_where_there_is_one(open_page: Open) -> None:
    dialog = open_webhooks(open_page("prices"))
    expect(dialog.get_by_label("Chat")).to_be_hidden()
    dialog.get_by_label("Format").select_option("Telegram")
    dialog.get_by_label("URL").fill("http://10.0.0.1/bot1/sendMessage")
    dialog.get_by_label("Chat").fill("somewhere")
    dialog.get_by_role("button", name="Add the webhook").click()
    expect(dialog.get_by_label("URL")).to_have_accessible_description("Such as https://example.com/hooks.")
    expect(dialog.get_by_label("Chat")).to_have_attribute("aria-invalid", "true")


def test_who_may_not_manage_webhooks_is_told_who_may(open_page: Open) -> None:
    page = open_page("prices")
    page.route("**/api/webhooks", lambda route: route.fulfill(status=403, json={}))
    dialog = open_webhooks(page)
    expect(dialog).to_contain_text("The scope webhooks:write does: use ./trading webhooks.")
    expect(dialog.get_by_role("button", name="Add the webhook")).to_be_hidden()


def test_the_window_is_loaded_when_it_is_opened_and_again_if_that_fails(open_page: Open) -> None:
    page = open_page("prices", WIDTHS["phone"])
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url) if "/webhooks/" in request.url else None)
    page.route("**/webhooks/webhook_dialog.js*", lambda route: route.abort())
    page.get_by_role("button", name="Webhooks", exact=True).click()
    expect(page.locator("#toasts")).to_contain_text("Webhooks could not be loaded. Try again.")
    assert len(loaded) == 1
    page.unroute("**/webhooks/webhook_dialog.js*")
    expect(open_webhooks(page)).to_be_visible()
