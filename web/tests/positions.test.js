// Positions: their value at live prices, and their totals.

import assert from "node:assert/strict";
import { test } from "node:test";

import { atPrices, atTick, unrealizedPart, weights } from "../assets/overview/positions.js";

const AT = "2026-05-01T12:00:00Z";
const LATER = "2026-05-01T12:00:00.500Z";
const tick = (/** @type {string} */ price, timestamp = LATER) => ({ ticker: "AAPL", price, timestamp });
const position = (parts = {}) => ({
  account: "main", ticker: "AAPL", currency: "USD", quantity: "10", average_cost: "100", cost_basis: "1000.1", realized_profit: "0",
  fees: "0", trade_count: 1, last_price: "110", last_price_at: AT, price_source: /** @type {const} */ ("tick"), market_value: "1100",
  unrealized_profit: "99.9", ...parts,
});

test("a newer tick changes what a position is worth, exactly", () => {
  const { market_value: value, unrealized_profit: profit } = atTick(position(), tick("110.03"));
  assert.deepEqual([value, profit], ["1100.3", "100.2"]);
  const short = atTick(position({ quantity: "-10", cost_basis: "-1000", market_value: "-1100", unrealized_profit: "-100" }), tick("90"));
  assert.deepEqual([short.market_value, short.unrealized_profit], ["-900", "100"]);
  assert.equal(unrealizedPart(short), 0.1);
});

test("an older tick, or one of a position whose price is not a tick's, changes nothing", () => {
  assert.equal(atTick(position(), tick("90", "2026-05-01T11:59:59.999999Z")).market_value, "1100");
  assert.equal(atTick(position({ price_source: "trade" }), tick("90")).market_value, "1100");
  assert.equal(atTick(position(), null).market_value, "1100");
});

test("totals move with the prices, each currency for itself", () => {
  const total = { currency: "USD", cost_basis: "1000.1", market_value: "1100", unrealized_profit: "99.9", realized_profit: "0", change_today: "-5" };
  const euros = position({ currency: "EUR", market_value: "7", price_source: "trade" });
  const [moved] = atPrices([total], [atTick(position(), tick("111")), euros]);
  assert.deepEqual([moved?.market_value, moved?.unrealized_profit, moved?.change_today], ["1110", "109.9", "5"]);
});

test("a total that is not of these positions stays as the API had it", () => {
  const total = { currency: "USD", cost_basis: "999", market_value: "1100", unrealized_profit: "101", realized_profit: "0", change_today: "0" };
  assert.deepEqual(atPrices([total], [atTick(position(), tick("111"))]), [total]);
});

test("a weight is a part of what all of a currency are worth", () => {
  const short = position({ ticker: "MSFT", quantity: "-1", market_value: "-300" });
  const parts = weights([position({ market_value: "900" }), short, position({ currency: "EUR", market_value: "1" })]);
  assert.deepEqual([...parts.values()], [0.75, 0.25, 1]);
});
