// Markers on a ticker's chart: alerts, own trades, and the price levels of alert rules.

import { color } from "../charts/library.js";
import { add } from "../core/decimals.js";
import { formatAmount } from "../core/format.js";
import { amountOf, toDecimal } from "../trades/trade.js";
import { alertMark } from "./rules.js";

/**
 * @typedef {import("../core/feed.js").Alert} Alert
 * @typedef {import("../trades/trade.js").Trade} Trade
 * @typedef {import("./rule_book.js").RecordedRule} RecordedRule
 * @typedef {{alerts: Alert[], trades: Trade[], rules: RecordedRule[]}} Marks newest first
 * @typedef {{time: number, position: string, shape: string, color: string, text: string, size?: number, price?: number}} Mark
 * @typedef {(instant: string) => number | null} Place of an instant on the axis, or null if it is outside
 */

/**
 * @param {Alert[]} alerts
 * @param {Place} place
 * @param {boolean} isTerse
 * @returns {Mark[]}
 */
export function alertMarks(alerts, place, isTerse) {
  return [...byTime(alerts, place)].map(([time, all]) => {
    const [first] = all;
    const text = all.length > 1 || !first ? `${all.length} alerts` : alertMark(first);
    return { time, position: "aboveBar", shape: "circle", size: 0.6, color: color("--alert"), text: isTerse ? "" : text };
  });
}

/**
 * Return marks at trade prices. Trades on the same side at the same place share a mark at their average price.
 * @param {Trade[]} trades
 * @param {Place} place
 * @param {boolean} isTerse
 * @returns {Mark[]}
 */
export function tradeMarks(trades, place, isTerse) {
  return /** @type {const} */ (["BUY", "SELL"]).flatMap((side) =>
    [...byTime(trades.filter((trade) => trade.side === side && trade.quantity > 0), place)].map(([time, all]) => {
      const shares = all.reduce((sum, { quantity }) => add(sum, toDecimal(quantity)), "0");
      const amount = all.reduce((sum, trade) => add(sum, amountOf(trade)), "0");
      const look = side === "BUY" ? { shape: "arrowUp", position: "atPriceBottom", color: color("--buy") } : { shape: "arrowDown", position: "atPriceTop", color: color("--sell") };
      const text = `${side === "BUY" ? "+" : "−"}${formatAmount(shares, 0)}`;
      return { ...look, time, price: Number(amount) / Number(shares), text: isTerse ? "" : text };
    }));
}

/** Return lines at the price levels of rules; rise and fall rules have no fixed level. @param {RecordedRule[]} rules */
export function ruleLines(rules) {
  return rules.flatMap((rule) => (rule.price === null || rule.paused || rule.ended_at ? [] : [{
    price: Number(rule.price),
    color: color("--alert"),
    lineWidth: /** @type {const} */ (1),
    lineStyle: 2, // dashed
    axisLabelVisible: true,
    title: rule.kind === "above" ? "alert above" : "alert below",
  }]));
}

/**
 * @template {{timestamp: string}} Item
 * @param {Item[]} items newest first
 * @param {Place} place
 * @returns {Map<number, Item[]>} by place, oldest first
 */
function byTime(items, place) {
  /** @type {Map<number, Item[]>} */
  const placed = new Map();
  for (const item of items.toReversed()) {
    const time = place(item.timestamp);
    if (time !== null) placed.set(time, [...(placed.get(time) ?? []), item]);
  }
  return placed;
}
