// Text descriptions of a simulation's bars and ratios.

import assert from "node:assert/strict";
import { test } from "node:test";

import { formatRatio } from "../assets/core/format.js";
import { describeBars } from "../assets/simulation/result.js";

/** @param {object} facts @param {number} [count] */
const described = (facts, count = 2) => describeBars(/** @type {any} */ ({ bars: Array(count), frequency: null, notes: null, ...facts }));

test("bars are said with their length, and that they are adjusted", () => {
  assert.equal(described({ frequency: "1 day", notes: { adjusted: true } }), "2 bars of 1 day, adjusted for dividends and splits");
  assert.equal(described({ frequency: "5 minutes", notes: { adjusted: false } }), "2 bars of 5 minutes");
  assert.equal(described({}, 1), "1 bar");
});

test("a ratio may be infinite or not be defined", () => {
  assert.deepEqual([1.239, 1_500, "Infinity", null].map((value) => formatRatio(/** @type {any} */ (value))), ["1.24", "1,500.00", "∞", "–"]);
});
