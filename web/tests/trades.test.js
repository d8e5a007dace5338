// Trades: filters, sorting and totals.

import assert from "node:assert/strict";
import { test } from "node:test";

import { inPlainWords, isTicker, isTickerPrefix } from "../assets/core/words.js";
import { toQuery } from "../assets/trades/filters.js";
import { comparison, NEWEST_FIRST, toDecimal, Totals } from "../assets/trades/trade.js";

/** @param {number} id @param {Partial<import("../assets/trades/trade.js").Trade>} parts @returns {import("../assets/trades/trade.js").Trade} */
const trade = (id, parts = {}) => ({
  id, ticker: "AAPL", price: "10.00", quantity: 1, side: "BUY", timestamp: "2026-05-01T12:00:00Z", client_trade_id: null,
  recorded_by: "local", recorded_at: "2026-05-01T12:00:00Z", account: "main", fee: "0", currency: "USD", note: null, tags: [], ...parts,
});

test("the days of a filter are the viewer's, whole", () => {
  const query = toQuery(new URLSearchParams("ticker=MSFT&side=BUY&from=2025-06-04&to=2025-06-04"), 200);
  assert.deepEqual(Object.fromEntries(query), {
    limit: "200", ticker: "MSFT", side: "BUY", start_date: "2025-06-03T22:00:00.000Z", end_date: "2025-06-04T21:59:59.999999Z",
  });
});

test("trades of the same instant are in the order of their ids, and amounts in that of their values", () => {
  const trades = [trade(1, { timestamp: "2026-05-01T12:00:00.500Z" }), trade(2), trade(3)];
  assert.deepEqual(trades.sort(comparison(NEWEST_FIRST)).map(({ id }) => id), [1, 3, 2]);
  const amounts = [trade(1, { price: "9.00" }), trade(2, { price: "10.00" }), trade(3, { price: "1.00", quantity: 100 })];
  assert.deepEqual(amounts.sort(comparison({ column: "amount", isDescending: true })).map(({ id }) => id), [3, 2, 1]);
});

test("totals keep currencies apart", () => {
  const totals = Totals.of([trade(1, { price: "0.1", quantity: 0.2 }), trade(2, { side: "SELL", currency: "EUR" }), trade(3, { currency: "USD" })]);
  assert.deepEqual(Object.fromEntries(totals.amounts), { USD: { BUY: "10.02", SELL: "0" }, EUR: { BUY: "0", SELL: "10" } });
  assert.equal(totals.count, 3);
});

test("a small quantity is written as one writes it", () => {
  assert.equal(toDecimal(1e-7), "0.0000001");
  assert.equal(toDecimal(1.63453043), "1.63453043");
});

test("a filter's ticker may be the beginning of one", () => {
  for (const text of ["BRK.B", "spyl.de", "BTC-USD"]) assert.ok(isTicker(text), text);
  for (const text of ["b", "BRK.", "BRK.B"]) assert.ok(isTickerPrefix(text), text);
  for (const text of ["", "12", ".B"]) assert.ok(!isTickerPrefix(text), text);
  assert.equal(toQuery(new URLSearchParams("ticker_prefix=BR"), 1).get("ticker_prefix"), "BR");
});

test("what the API says is said in a trader's words", () => {
  assert.equal(inPlainWords("ticker", "must be a ticker, such as MSFT or BRK.B"), "Such as AAPL or BRK.B.");
  assert.equal(inPlainWords("reason", "must not be empty"), "This is needed.");
  assert.equal(inPlainWords("fast", "must be 1 or more"), "Must be 1 or more.");
  assert.equal(inPlainWords("fast", "must be less than slow"), "Must be less than slow.");
});
