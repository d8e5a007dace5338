// Text descriptions of webhooks and their deliveries.

import assert from "node:assert/strict";
import { test } from "node:test";

import { describeAttempt, describeSelection, describeState } from "../assets/webhooks/words.js";

/** @type {import("../assets/webhooks/words.js").Webhook} */
const HOOK = { id: "1", kind: "slack", url: "https://hooks.slack.com/***", events: null, ticker: null, account: null, rule_id: null, paused: false, paused_because: null, failing_since: null };

test("what a webhook is sent is said with each filter", () => {
  assert.equal(describeSelection(HOOK), "Slack · Every event");
  const all = { ...HOOK, events: ["trade.voided.v1", "price.alerted.v1"], ticker: "AAPL", account: "main", rule_id: 3 };
  assert.equal(describeSelection(all), "Slack · Trade voided, Price alerted · AAPL · account main · rule 3");
});

test("a pause is said with its reason, and before a failure", () => {
  assert.equal(describeState(HOOK), "Active");
  assert.equal(describeState({ ...HOOK, failing_since: "2026-11-27T12:00:00Z" }), "Failing");
  assert.equal(describeState({ ...HOOK, failing_since: "2026-11-27T12:00:00Z", paused_because: "gone" }), "Paused: its receiver is gone");
});

test("an attempt says the status, or why there was none", () => {
  const attempt = { attempted_at: "2026-11-27T12:00:00Z", status: 500, milliseconds: 12, error: null };
  assert.equal(describeAttempt(attempt), "HTTP 500 after 12 ms");
  assert.equal(describeAttempt({ ...attempt, status: null, error: "refused" }), "refused after 12 ms");
});
