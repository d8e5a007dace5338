// Text descriptions of alert rules and of each kind of alert.

import assert from "node:assert/strict";
import { test } from "node:test";

import { alertMark, alertPath, describeAlert, describeRule } from "../assets/prices/rules.js";

/** @typedef {import("../assets/core/feed.js").Rule} Rule */

/** @type {Rule} */
const NOTHING = { id: 7, ticker: "AAPL", kind: "rise", percent: null, window_seconds: null, price: null, once: false };
/** @type {Rule} */
const RISE = { ...NOTHING, percent: "3", window_seconds: 300 };
/** @type {Rule} */
const BELOW = { ...NOTHING, kind: "below", price: "180", once: true };
const ALERT = {
  id: "3f0c", ticker: "AAPL", price: "100.10", timestamp: "2025-06-03T12:00:44Z", low_price: null, low_timestamp: null, rise_percent: null,
  high_price: null, high_timestamp: null, fall_percent: null,
};

test("a rule says what it watches for", () => {
  assert.equal(describeRule(RISE), "rises 3 % within 5 min");
  assert.equal(describeRule({ ...RISE, kind: "fall", window_seconds: 90 }), "falls 3 % within 90 s");
  assert.equal(describeRule(BELOW), "is below 180.00, once");
});

test("an alert of each kind says what the price did, and nothing of what it does not have", () => {
  const rise = { ...ALERT, low_price: "98.00", rise_percent: "2.14", rule: RISE };
  const fall = { ...ALERT, high_price: "104.00", fall_percent: "3.75", rule: { ...RISE, kind: /** @type {const} */ ("fall") } };
  const below = { ...ALERT, price: "179.5", rule: BELOW };
  const above = { ...below, price: "181", rule: { ...BELOW, kind: /** @type {const} */ ("above") } };
  const all = [rise, fall, below, above];
  assert.deepEqual(all.map(alertMark), ["+2.14 %", "−3.75 %", "< 180.00", "> 180.00"]);
  assert.deepEqual(all.map(alertPath), ["98.00 → 100.10", "104.00 → 100.10", "179.50", "181.00"]);
  assert.deepEqual(all.map(describeAlert), ["rose 2.14 % to 100.10", "fell 3.75 % to 100.10", "is below 180.00: 179.50", "is above 180.00: 181.00"]);
});
