// How numbers and files are written.

import { round } from "./decimals.js";

/**
 * Write a decimal text with its thousands grouped and this many decimals at least: 1234.5 is 1,234.50.
 * @param {string} text
 * @param {number} [decimals]
 */
export function formatAmount(text, decimals = 2) {
  const [whole = "", fraction = ""] = text.replace("-", "").split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  const shown = fraction.padEnd(decimals, "0");
  return `${text.startsWith("-") ? "−" : ""}${grouped}${shown ? `.${shown}` : ""}`;
}

/**
 * Write a decimal text rounded to cents.
 * @param {string} text
 */
export function formatMoney(text) {
  return formatAmount(round(text, 2));
}

/**
 * Write what was gained or lost, rounded, with its sign.
 * @param {string} text
 * @param {number} [decimals] cents where nothing is said
 */
export function formatGain(text, decimals = 2) {
  const amount = round(text, decimals);
  return `${Number(amount) > 0 ? "+" : ""}${formatAmount(amount, decimals)}`;
}

/** The sign of an amount as it is shown, for `data-trend`. @param {string} text */
export function trendOfAmount(text) {
  return String(Math.sign(Number(round(text, 2))));
}

/** @param {number} count */
export function formatCount(count) {
  return formatAmount(String(count), 0);
}

/**
 * @param {number} count
 * @param {string} noun
 */
export function formatPlural(count, noun) {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * Write a float, such as a place on the axis of a chart.
 * @param {number} value
 * @param {number} [decimals]
 */
export function formatFloat(value, decimals = 2) {
  return formatAmount(value.toFixed(decimals), decimals);
}

/**
 * Write a ratio, which may be infinite, or not be defined.
 * @param {number | "Infinity" | null} value
 * @param {number} [decimals]
 */
export function formatRatio(value, decimals = 2) {
  return value === null ? "–" : value === "Infinity" ? "∞" : formatFloat(value, decimals);
}

/**
 * Write a fraction as a percentage with its sign: 0.0215 is +2.15 %.
 * @param {number} fraction
 */
export function formatPercent(fraction) {
  const text = formatFloat(Math.abs(fraction * 100));
  const sign = text === "0.00" ? "" : fraction < 0 ? "−" : "+";
  return `${sign}${text} %`;
}

/** The sign of a fraction as it is shown, for `data-trend`. @param {number} fraction */
export function trend(fraction) {
  return String(Math.sign(Number((fraction * 100).toFixed(2))));
}

/**
 * Return how many decimals a price needs on an axis: those it has, from 2 to 6.
 * @param {string} price
 */
export function decimalsOf(price) {
  return Math.min(6, Math.max(2, (price.split(".")[1] ?? "").length));
}

/**
 * Return rows as CSV. An apostrophe comes before a cell that a spreadsheet would take for a formula.
 * @param {(string | number | null)[][]} rows
 */
export function toCsv(rows) {
  return rows.map((row) => `${row.map(toCell).join(",")}\n`).join("");
}

/** @param {string | number | null} value */
function toCell(value) {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
