// Analyzing a file of trades in the browser gives the same result as the system.

import assert from "node:assert/strict";
import { test } from "node:test";

import { analyze, HeaderError } from "../assets/analysis/own_file.js";

const HEADER = "ticker,price,quantity,side,timestamp";

test("a ticker has the average by volume, its first and last price by time, and its range", () => {
  const { rows, rejects, count } = analyze(`\ufeff${HEADER}\r\nAAPL,10,1,BUY,2024-05-15T12:00:00Z\r\n"AAPL",11.5,2,SELL,2024-05-15 11:00:00\r\nAAPL,9,3,BUY,2024-05-15T14:30:00+02:00\r\n\r\n`);
  assert.deepEqual([rows.length, rejects, count], [1, [], 3]);
  const [row] = rows;
  assert.deepEqual(
    [row?.total_volume, row?.notional, row?.average_price, row?.open, row?.high, row?.low, row?.close, row?.buy_volume, row?.sell_volume],
    ["6", "60", "10", "11.5", "11.5", "9", "9", "4", "2"],
  );
});

test("an average is rounded to six decimals, half to even", () => {
  const average = (/** @type {string} */ prices) => analyze(`${HEADER}\n${prices}`).rows[0]?.average_price;
  const line = (/** @type {string} */ price) => `A,${price},1,BUY,2024-05-15T12:00:00Z\n`;
  assert.equal(average(line("0.000001") + line("0.000002")), "0.000002");
  assert.equal(average(line("0.000002") + line("0.000003")), "0.000002");
  assert.equal(average(line("1") + line("1") + line("2")), "1.333333");
  assert.equal(average("A,5,0,BUY,2024-05-15T12:00:00Z"), "0.000000");
});

test("a line that is no trade costs that line alone, and currencies are kept apart", () => {
  const lines = ["A,1,1,BUY,2024-05-15T12:00:00Z,EUR", "A,1,1,HOLD,2024-05-15T12:00:00Z,EUR", 'A,"1,1,BUY,x', "A,1,1,BUY,2024-02-30T12:00:00Z,USD", "A,2,1,SELL,2024-05-15T12:00:00Z,USD"];
  const { rows, rejects, count } = analyze(`${HEADER},currency\n${lines.join("\n")}`);
  assert.deepEqual(rows.map(({ ticker, currency, notional }) => [ticker, currency, notional]), [["A", "EUR", "1"], ["A", "USD", "2"]]);
  assert.deepEqual(rejects.map(({ line }) => line), [3, 4, 5]);
  assert.equal(rejects[0]?.reason, "side must be BUY or SELL, not 'HOLD'");
  assert.equal(rows.length + rejects.length, count);
});

test("a file without the columns of trades is none", () => {
  assert.throws(() => analyze("ticker,price\nA,1"), new HeaderError("Its first line has no column quantity, side, timestamp."));
});
