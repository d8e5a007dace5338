// Text descriptions of alert rules and alerts.

import { formatAmount } from "../core/format.js";

/**
 * @typedef {import("../core/feed.js").Alert} Alert
 * @typedef {import("../core/feed.js").Rule} Rule
 */

/** Describe a rule's condition: "rises 3 % within 5 min", "is below 180.00, once". @param {Rule} rule */
export function describeRule(rule) {
  const { kind, percent, window_seconds: seconds, price, once } = rule;
  const what = percent !== null && seconds !== null
    ? `${kind}s ${percent} % within ${describeWindow(seconds)}`
    : `is ${kind} ${formatAmount(/** @type {string} */ (price))}`;
  return once ? `${what}, once` : what;
}

/** Describe an alert in a single word: "+2.14 %", "> 180.00". @param {Alert} alert */
export function alertMark({ rise_percent: rise, fall_percent: fall, rule }) {
  if (rise !== null) return `+${rise} %`;
  if (fall !== null) return `−${fall} %`;
  return `${rule.kind === "above" ? ">" : "<"} ${formatAmount(/** @type {string} */ (rule.price))}`;
}

/** Describe the price movement, to follow the ticker: "rose 2.14 % to 100.10". @param {Alert} alert */
export function describeAlert({ price, rise_percent: rise, fall_percent: fall, rule }) {
  if (rise !== null) return `rose ${rise} % to ${formatAmount(price)}`;
  if (fall !== null) return `fell ${fall} % to ${formatAmount(price)}`;
  return `is ${rule.kind} ${formatAmount(/** @type {string} */ (rule.price))}: ${formatAmount(price)}`;
}

/** Format the price of an alert, after the price at which its rise or fall started. @param {Alert} alert */
export function alertPath({ price, low_price: low, high_price: high }) {
  const origin = low ?? high;
  return origin === null ? formatAmount(price) : `${formatAmount(origin)} → ${formatAmount(price)}`;
}

/** @param {number} seconds */
function describeWindow(seconds) {
  return seconds % 60 ? `${seconds} s` : `${seconds / 60} min`;
}
