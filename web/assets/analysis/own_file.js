// Analyzes a file of trades in the browser as the system analyzes a day's file; it is not uploaded or stored.

import { add, compare, divide, multiply } from "../core/decimals.js";
import { compareInstants } from "../core/time.js";

/**
 * @typedef {import("./table.js").Row} Row
 * @typedef {import("./view.js").Reject} Reject
 * @typedef {Row & {first: string, last: string}} Sums a row with the instants of its first and last trade
 */

const COLUMNS = ["ticker", "price", "quantity", "side", "timestamp"];
const LINE = /^(?:"(?:[^"]|"")*"|[^",]*)(?:,(?:"(?:[^"]|"")*"|[^",]*))*$/;
const FIELD = /(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))/g;

/** @type {[string, RegExp, string][]} */
const RULES = [
  ["ticker", /^[A-Z]{1,5}([.-][A-Z]{1,4})?$/, "a ticker"],
  ["price", /^\d{1,12}(\.\d{1,6})?$/, "a price"],
  ["quantity", /^\d{1,9}(\.\d{1,10})?$/, "a number of shares"],
  ["side", /^(BUY|SELL)$/, "BUY or SELL"],
  ["currency", /^[A-Z]{3}$/, "a currency"],
];
const INSTANT = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)([Zz]|[+-]\d{2}:[0-5]\d)?$/;

/** The file's first line lacks required columns. */
export class HeaderError extends Error {}

/**
 * Return a file's analysis: a row for each ticker and currency, and the rejected lines.
 * @param {string} text
 * @returns {{rows: Row[], rejects: Reject[], count: number}} `count` is the number of non-blank lines
 * @throws {HeaderError}
 */
export function analyze(text) {
  const [header = "", ...lines] = text.replace(/^\ufeff/, "").split(/\r?\n/);
  const names = cells(header).map((name) => name.trim().toLowerCase());
  const missing = COLUMNS.filter((name) => !names.includes(name));
  if (missing.length) throw new HeaderError(`Its first line has no column ${missing.join(", ")}.`);
  /** @type {Map<string, Sums>} */
  const sums = new Map();
  /** @type {Reject[]} */
  const rejects = [];
  let count = 0;
  lines.forEach((line, index) => {
    if (!line.trim()) return;
    count += 1;
    const values = LINE.test(line) ? cells(line) : [];
    const trade = Object.fromEntries(names.map((name, column) => [name, values[column] ?? ""]));
    const reason = values.length === names.length ? fault(trade) : `has ${values.length || "no"} fields of ${names.length}`;
    if (reason) rejects.push({ line: index + 2, reason, row: line });
    else take(sums, trade);
  });
  const rows = [...sums.values()].map((row) => ({ ...row, average_price: Number(row.total_volume) ? divide(row.notional, row.total_volume, 6) : "0.000000" }));
  return { rows, rejects, count };
}

/** @param {string} line */
function cells(line) {
  return [...line.matchAll(FIELD)].map(([, quoted, plain]) => (quoted === undefined ? (plain ?? "") : quoted.replaceAll('""', '"')));
}

/** Return why a line is not a valid trade, or null. @param {Record<string, string>} trade */
function fault(trade) {
  for (const [name, pattern, what] of RULES) {
    const value = trade[name];
    if (value !== undefined && !pattern.test(value)) return `${name} must be ${what}, not '${value}'`;
  }
  return toInstant(trade["timestamp"] ?? "") ? null : `timestamp must be an instant, not '${trade["timestamp"]}'`;
}

/** Return an instant in a format Date can parse, or null if invalid; UTC if it has no offset. @param {string} text */
function toInstant(text) {
  const [, day, time, offset = "Z"] = text.match(INSTANT) ?? [];
  const exists = day && new Date(`${day}T00:00:00Z`).toJSON()?.startsWith(day);
  const instant = `${day}T${time}${offset.toUpperCase()}`;
  return exists && !Number.isNaN(Date.parse(instant)) ? instant : null;
}

/**
 * @param {Map<string, Sums>} sums keyed by ticker and currency
 * @param {Record<string, string>} trade
 */
function take(sums, { ticker = "", currency, price = "", quantity = "", side, timestamp = "" }) {
  const key = `${ticker} ${currency}`;
  const at = /** @type {string} */ (toInstant(timestamp));
  const row = sums.get(key) ?? {
    ticker, currency: currency ?? null, total_volume: "0", average_price: "", trade_count: 0, notional: "0", buy_volume: "0", sell_volume: "0",
    open: price, high: price, low: price, close: price, first: at, last: at,
  };
  row.trade_count += 1;
  row.total_volume = add(row.total_volume, quantity);
  row.notional = add(row.notional, multiply(price, quantity));
  if (side === "BUY") row.buy_volume = add(row.buy_volume, quantity);
  else row.sell_volume = add(row.sell_volume, quantity);
  if (compare(price, row.high) > 0) row.high = price;
  if (compare(price, row.low) < 0) row.low = price;
  if (compareInstants(at, row.first) < 0) [row.first, row.open] = [at, price];
  if (compareInstants(at, row.last) >= 0) [row.last, row.close] = [at, price];
  sums.set(key, row);
}
