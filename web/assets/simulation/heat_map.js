// A sweep as a heat map: one cell per pair of windows; darker is better.

import { h } from "../core/dom.js";
import { formatRatio } from "../core/format.js";

/** @typedef {import("./result.js").SweptPair} SweptPair */

/** The sweep metrics, and whether each is a fraction shown as a percentage. @type {[string, string, boolean][]} */
export const METRICS = [
  ["sharpe", "Sharpe", false],
  ["total_return", "Return", true],
  ["cagr", "Return a year", true],
  ["sortino", "Sortino", false],
  ["calmar", "Calmar", false],
  ["win_rate", "Win rate", true],
  ["profit_factor", "Profit factor", false],
  ["expectancy", "Expectancy, USD", false],
];

/**
 * @param {SweptPair[]} pairs
 * @param {string} metric
 * @param {{fast: number, slow: number}} chosen
 * @param {(pair: SweptPair) => void} onChoose
 */
export function heatMap(pairs, metric, chosen, onChoose) {
  const isFraction = METRICS.find(([name]) => name === metric)?.[2] ?? false;
  const fasts = unique(pairs.map(({ fast }) => fast));
  const slows = unique(pairs.map(({ slow }) => slow));
  const values = pairs.flatMap(({ value }) => (typeof value === "number" ? [value] : []));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const byWindows = new Map(pairs.map((pair) => [`${pair.fast} ${pair.slow}`, pair]));
  const cell = (/** @type {number} */ fast, /** @type {number} */ slow) => {
    const pair = byWindows.get(`${fast} ${slow}`);
    if (!pair) return h("span", { role: "cell" });
    const value = isFraction && typeof pair.value === "number" ? pair.value * 100 : pair.value;
    const text = formatRatio(value, isFraction || Math.abs(Number(value)) >= 100 ? 0 : 2);
    const label = `Fast ${fast}, slow ${slow}: ${text}${isFraction ? " %" : ""}`;
    const button = h("button", { type: "button", "aria-label": label, title: label, "aria-pressed": String(fast === chosen.fast && slow === chosen.slow), onclick: () => onChoose(pair) }, text);
    button.style.setProperty("--part", String(0.75 * share(pair.value, low, high)));
    return h("span", { role: "cell" }, button);
  };
  const rows = fasts.map((fast) => h("div", { role: "row" }, h("span", { role: "rowheader", class: "axis" }, String(fast)), ...slows.map((slow) => cell(fast, slow))));
  const head = h("div", { role: "row" }, h("span", { role: "columnheader", class: "axis" }, "Fast \\ slow"), ...slows.map((slow) => h("span", { role: "columnheader", class: "axis" }, String(slow))));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Sweep" }, h("div", { class: "heat number", role: "table", "aria-label": `Sweep by ${metric}` }, head, ...rows));
}

/**
 * Return a value's position from 0 (lowest finite value) to 1 (highest finite value, or infinity).
 * @param {import("./result.js").Ratio} value
 * @param {number} low
 * @param {number} high
 */
function share(value, low, high) {
  if (value === "Infinity") return 1;
  return value === null || high === low ? 0 : (value - low) / (high - low);
}

/** @param {number[]} numbers */
function unique(numbers) {
  return [...new Set(numbers)].sort((one, other) => one - other);
}
