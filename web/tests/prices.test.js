// Ticks and bars: a ticker's price, its change, and gaps in prices.

import assert from "node:assert/strict";
import { test } from "node:test";

import { compareInstants, formatSpan } from "../assets/core/time.js";
import { aggregate, barsOf, intervalStart, nextStart } from "../assets/prices/bars.js";
import { Stock } from "../assets/prices/market.js";
import { pathOf } from "../assets/prices/sparkline.js";

const seconds = (/** @type {string} */ instant) => Date.parse(instant) / 1_000;
const tick = (/** @type {string} */ price, /** @type {string} */ timestamp) => ({ ticker: "AAPL", price, timestamp });
const average = (/** @type {string} */ start, /** @type {string[]} */ [open = "", high = "", low = "", close = ""], count = 3) =>
  ({ ticker: "AAPL", bucket_start: start, mean: open, open, high, low, close, count });

test("instants compare as instants, not as text", () => {
  assert.ok(compareInstants("2026-05-01T12:00:07Z", "2026-05-01T12:00:07.500Z") < 0);
  assert.ok(compareInstants("2026-05-01T12:00:07.000002Z", "2026-05-01T12:00:07.000001Z") > 0);
  assert.equal(compareInstants("2026-05-01T14:00:00+02:00", "2026-05-01T12:00:00.000Z"), 0);
});

test("a newer tick is taken though its text sorts before that of an older one, and a late one is not", () => {
  const stock = new Stock("AAPL");
  stock.take(tick("100.00", "2026-05-01T12:00:06.900Z"));
  assert.ok(stock.take(tick("101.00", "2026-05-01T12:00:07Z")));
  assert.ok(stock.take(tick("102.00", "2026-05-01T12:00:07.500Z")));
  assert.ok(!stock.take(tick("99.00", "2026-05-01T12:00:07Z")));
  assert.equal(stock.latest?.price, "102.00");
  assert.equal(stock.direction, 1);
});

test("the running bar is what the API has of it and the ticks since", () => {
  const stock = new Stock("AAPL");
  stock.take(tick("101.00", "2026-05-01T12:03:00Z"));
  stock.fill([average("2026-05-01T12:00:00Z", ["100.00", "105.00", "99.00", "100.50"], 7)]);
  stock.take(tick("106.00", "2026-05-01T12:04:00Z"));
  assert.deepEqual(stock.bars.get(seconds("2026-05-01T12:00:00Z")), {
    time: seconds("2026-05-01T12:00:00Z"), open: "100.00", high: "106.00", low: "99.00", close: "106.00", count: 8,
  });
});

test("a change says how old the price is from which it is counted", () => {
  const stock = new Stock("AAPL");
  assert.equal(stock.change(), null);
  stock.take(tick("100.00", "2026-05-01T12:01:00Z"));
  stock.take(tick("102.65", "2026-05-01T12:05:00Z"));
  assert.equal(stock.change()?.seconds, 300);
  assert.equal(stock.change()?.fraction.toFixed(4), "0.0265");
  stock.fill([average("2026-05-01T10:00:00Z", ["98.00", "99.00", "97.00", "98.50"])]);
  const change = stock.change();
  assert.equal(change?.seconds, 2 * 3_600);
  assert.equal(change?.fraction.toFixed(4), (102.65 / 98.5 - 1).toFixed(4));
});

test("the day is the viewer's", () => {
  const stock = new Stock("AAPL");
  stock.fill([
    average("2026-05-01T21:55:00Z", ["90.00", "99.00", "80.00", "95.00"]), // 23:55 on the previous day in Berlin
    average("2026-05-01T22:00:00Z", ["96.00", "97.00", "94.00", "95.00"]),
  ]);
  stock.take(tick("98.00", "2026-05-02T10:00:00Z"));
  const day = stock.day();
  assert.deepEqual([day?.open, day?.high, day?.low], ["96.00", "98.00", "94.00"]);
});

test("bars of an hour and of a day are made of those of five minutes", () => {
  const bar = (/** @type {string} */ start, /** @type {string} */ price) => ({ time: seconds(start), open: price, high: price, low: price, close: price, count: 1 });
  const bars = [bar("2026-05-01T10:00:00Z", "9.50"), bar("2026-05-01T10:55:00Z", "10.00"), bar("2026-05-01T12:00:00Z", "8.00"), bar("2026-05-01T22:00:00Z", "7.00")];
  const hours = aggregate(bars, "hour");
  assert.deepEqual(hours.map(({ open, high, low, close, count }) => [open, high, low, close, count]), [
    ["9.50", "10.00", "9.50", "10.00", 2], ["8.00", "8.00", "8.00", "8.00", 1], ["7.00", "7.00", "7.00", "7.00", 1],
  ]);
  assert.deepEqual(aggregate(bars, "day").map(({ time }) => new Date(time * 1_000).toISOString()), ["2026-04-30T22:00:00.000Z", "2026-05-01T22:00:00.000Z"]);
  assert.equal(bars[0]?.high, "9.50"); // the original bars are unchanged
});

test("a day in which clocks change has 23 or 25 hours", () => {
  const start = intervalStart(seconds("2026-03-29T10:00:00Z"), "day");
  assert.equal(nextStart(start, "day") - start, 23 * 3_600);
});

test("a span is said in units that one would say", () => {
  assert.deepEqual([40, 240, 3_600, 12_000, 200_000].map(formatSpan), ["40 s", "4 min", "1 h", "3 h 20 min", "2 days"]);
});

test("a minute is a bar of the ticks since the page was opened, and the oldest ones are forgotten", () => {
  const stock = new Stock("AAPL");
  stock.take(tick("100.00", "2026-05-01T12:00:10Z"));
  stock.take(tick("101.00", "2026-05-01T12:00:50Z"));
  stock.take(tick("99.00", "2026-05-01T12:01:00Z"));
  assert.deepEqual(barsOf(stock, "1min").map(({ open, high, close, count }) => [open, high, close, count]), [["100.00", "101.00", "101.00", 2], ["99.00", "99.00", "99.00", 1]]);
  assert.deepEqual(barsOf(stock, "1min", seconds("2026-05-01T12:01:00Z")).length, 1);
  stock.take(tick("98.00", "2026-05-02T12:01:00Z"));
  assert.equal(barsOf(stock, "1min").length, 1);
});

test("the line of the last hour ends with the last bar while there is no tick", () => {
  const stock = new Stock("AAPL");
  stock.fill([average("2026-05-01T10:00:00Z", ["5", "5", "5", "5"]), average("2026-05-01T12:00:00Z", ["1", "2", "1", "2"]), average("2026-05-01T12:05:00Z", ["2", "3", "2", "3"])]);
  assert.equal(pathOf(stock), "M59.3 23.0L65.2 13.0L65.2 13.0L71.0 3.0");
});
