// Why a simulation may have no trades.

import assert from "node:assert/strict";
import { test } from "node:test";

import { whyNoTrades } from "../assets/simulation/result.js";

const bars = Array.from({ length: 60 }, (_, day) => ({ at: `day ${day}`, close: "100.00", equity: "10000" }));

/** @param {object} strategy @param {{at: string, side: "BUY" | "SELL"}[]} [signals] */
const reason = (strategy, signals = []) =>
  whyNoTrades(/** @type {any} */ ({ strategy: { fast: 5, slow: 20, cash: "10000", fill: "open", fractional: false, ...strategy }, signals, bars }));

test("each reason is told apart", () => {
  assert.match(reason({ slow: 60 }), /needs 60 bars and one more to cross, and there are 60/);
  assert.match(reason({}), /never crossed/);
  assert.match(reason({}, [{ at: "day 30", side: "SELL" }]), /only crossed below/);
  assert.match(reason({}, [{ at: "day 59", side: "BUY" }]), /on the last bar only/);
  assert.match(reason({ cash: "50" }, [{ at: "day 30", side: "BUY" }]), /50.00 USD does not pay for one share at 100.00/);
  assert.match(reason({ commission_per_trade: "20000" }, [{ at: "day 30", side: "BUY" }]), /its costs/);
});
