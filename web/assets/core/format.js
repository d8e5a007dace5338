// Formatting of numbers and CSV files.

import { round } from "./decimals.js";

/**
 * Format decimal text with grouped thousands and at least the given number of decimals: 1234.5 is 1,234.50.
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
 * Format decimal text rounded to cents.
 * @param {string} text
 */
export function formatMoney(text) {
  return formatAmount(round(text, 2));
}

/**
 * Format a gain or loss, rounded, with its sign.
 * @param {string} text
 * @param {number} [decimals] cents by default
 */
export function formatGain(text, decimals = 2) {
  const amount = round(text, decimals);
  return `${Number(amount) > 0 ? "+" : ""}${formatAmount(amount, decimals)}`;
}

/** The sign of an amount as displayed, for `data-trend`. @param {string} text */
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
 * Format a float, such as a chart axis value.
 * @param {number} value
 * @param {number} [decimals]
 */
export function formatFloat(value, decimals = 2) {
  return formatAmount(value.toFixed(decimals), decimals);
}

/**
 * Format a ratio, which may be infinite or undefined.
 * @param {number | "Infinity" | null} value
 * @param {number} [decimals]
 */
export function formatRatio(value, decimals = 2) {
  return value === null ? "–" : value === "Infinity" ? "∞" : formatFloat(value, decimals);
}

/**
 * Format a fraction as a signed percentage: 0.0215 is +2.15 %.
 * @param {number} fraction
 */
export function formatPercent(fraction) {
  const text = formatFloat(Math.abs(fraction * 100));
  const sign = text === "0.00" ? "" : fraction < 0 ? "−" : "+";
  return `${sign}${text} %`;
}

/** The sign of a fraction as displayed, for `data-trend`. @param {number} fraction */
export function trend(fraction) {
  return String(Math.sign(Number((fraction * 100).toFixed(2))));
}

/**
 * Return the number of decimals for a price on an axis: as many as it has, from 2 to 6.
 * @param {string} price
 */
export function decimalsOf(price) {
  return Math.min(6, Math.max(2, (price.split(".")[1] ?? "").length));
}

/**
 * Return rows as CSV. A cell that a spreadsheet would treat as a formula is prefixed with an apostrophe.
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
