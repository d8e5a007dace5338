import base64
import json
import time
import uuid

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from trading.notifications import events
from trading.notifications.webhooks import messages

EVENT = {
    "id": "5d7f2a10-51c4-4f0e-9d0b-0b0000000001",
    "type": "trade.voided.v1",
    "time": "2025-06-03T12:00:00Z",
    "data": {
        "id": 7,
        "ticker": "MSFT",
        "price": "310.50",
        "quantity": 50,
        "side": "BUY",
        "timestamp": "2025-06-03T12:00:00Z",
        "client_trade_id": None,
        "recorded_by": "desk-7",
        "recorded_at": "2025-06-03T12:00:00Z",
        "voided_at": "2025-06-03T12:00:00Z",
        "voided_by": "desk-7",
        "void_reason": "<!channel> & <@everybody>",
    },
}
WRITTEN = json.dumps(EVENT)


def test_the_official_library_verifies_what_is_signed() -> None:
    secret, body = messages.new_secret(), '{"price":"310.50","name":"\u00fc"}'
    headers = messages.headers(secret, "id-1", int(time.time()), body)
    assert Verifier(secret).verify(body, headers) == json.loads(body)
    for wrong in (
        {"webhook-id": "id-2"},
        {"webhook-timestamp": str(int(time.time()) - 1)},
        {"webhook-signature": messages.headers(messages.new_secret(), "id-1", 1, body)["webhook-signature"]},
    ):
        with pytest.raises(WebhookVerificationError):
            Verifier(secret).verify(body, {**headers, **wrong})
    with pytest.raises(WebhookVerificationError):
        Verifier(secret).verify(body.replace("310", "311"), headers)


def test_a_secret_is_256_bits_that_nobody_can_guess() -> None:
    secrets = {messages.new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(len(base64.b64decode(secret.removeprefix("whsec_"))) == 32 for secret in secrets)


def test_an_event_is_sent_as_it_was_written_or_as_prose_to_a_chat() -> None:
    event = events.read(WRITTEN)
    assert messages.body_of_event("standard", None, event, WRITTEN) == WRITTEN
    told = json.loads(messages.body_of_event("telegram", "-100123", event, WRITTEN))
    assert told.keys() == {"chat_id", "text"}
    assert told["chat_id"] == "-100123"
    assert told["text"].startswith("VOIDED BUY 50 MSFT at 310.50\n")
    assert "<!channel> & <@everybody>" in told["text"]  # which to Telegram is text


def test_no_text_of_a_trade_is_a_command_to_slack() -> None:
    sent = json.loads(messages.body_of_event("slack", None, events.read(WRITTEN), WRITTEN))
    assert sent.keys() == {"text"}
    assert "&lt;!channel&gt; &amp; &lt;@everybody&gt;" in sent["text"]
    assert "<" not in sent["text"]


def test_a_test_says_what_it_is_in_every_kind() -> None:
    event_id = str(uuid.uuid4())
    standard = json.loads(messages.body_of_test("standard", None, event_id, "2025-06-03T12:00:00Z", "w"))
    assert standard == {
        "id": event_id,
        "type": "webhook.tested.v1",
        "time": "2025-06-03T12:00:00Z",
        "data": {"webhook_id": "w"},
    }
    assert "TEST" in json.loads(messages.body_of_test("slack", None, event_id, "", "w"))["text"]
    assert json.loads(messages.body_of_test("telegram", "@trades", event_id, "", "w"))["chat_id"] == "@trades"


def test_of_a_chats_url_only_the_host_is_shown() -> None:
    url = "https://hooks.slack.com/services/T0/B0/secret"
    assert messages.redacted("slack", url) == "https://hooks.slack.com/***"
    assert (
        messages.redacted("telegram", "https://api.telegram.org/bot1:secret/sendMessage")
        == "https://api.telegram.org/***"
    )
    assert messages.redacted("standard", url) == url
