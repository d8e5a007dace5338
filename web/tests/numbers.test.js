// Decimals and their formatting.

import assert from "node:assert/strict";
import { test } from "node:test";

import { add, compare, isDecimal, multiply, round, subtract } from "../assets/core/decimals.js";
import { formatAmount, formatMoney, formatPercent, toCsv, trend } from "../assets/core/format.js";

test("decimals are counted exactly", () => {
  assert.equal(multiply("1310.5", "1000.25"), "1310827.625");
  assert.equal(multiply("0.000001", "0.0000000001"), "0.0000000000000001");
  assert.equal(add("0.1", "0.2"), "0.3");
  assert.equal(subtract("0.1", "0.3"), "-0.2");
  assert.ok(compare("9007199254740993", "9007199254740992") > 0);
  assert.equal(compare("1.50", "1.5"), 0);
});

test("they are rounded half away from zero, and grouped in thousands", () => {
  assert.equal(round("2.345", 2), "2.35");
  assert.equal(round("-2.345", 2), "-2.35");
  assert.equal(formatAmount("1234567.5"), "1,234,567.50");
  assert.equal(formatAmount("-1234.123456"), "−1,234.123456");
  assert.equal(formatAmount("50", 0), "50");
  assert.equal(formatMoney("999.995"), "1,000.00");
});

test("a percentage has its sign, and nothing is neither up nor down", () => {
  assert.equal(formatPercent(0.0215), "+2.15 %");
  assert.equal(formatPercent(-12.5), "−1,250.00 %");
  assert.equal(formatPercent(-0.00001), "0.00 %");
  assert.equal(trend(-0.00001), "0");
});

test("a number that somebody types is plain or is none", () => {
  for (const text of ["1310.5", ".5", "-3", "7."]) assert.ok(isDecimal(text), text);
  for (const text of ["", ".", "1e3", "1,310", "12 000", "0x1f", "Infinity"]) assert.ok(!isDecimal(text), text);
});

test("a CSV has no formulas", () => {
  assert.equal(toCsv([["a", 1, null], ['=1,"x"', -2, "-2"]]), `a,1,\n"'=1,""x""",-2,'-2\n`);
});
