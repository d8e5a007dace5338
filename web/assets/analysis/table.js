// A day's tickers as a sortable table, with each ticker's share of the total amount and its price range.

import { add, compare, round } from "../core/decimals.js";
import { h, svg } from "../core/dom.js";
import { formatAmount, formatCount, formatFloat, formatMoney, trend } from "../core/format.js";

/**
 * @typedef {{ticker: string, total_volume: string, average_price: string, trade_count: number, notional: string, open: string, high: string, low: string, close: string, buy_volume: string, sell_volume: string, currency: string | null}} Row
 * @typedef {{name: string, text: string, value?: keyof Row, isText?: boolean, cell: (row: Row, sums: {total: string, largest: string}) => Node | string}} Column
 */

/** @type {Column[]} */
const COLUMNS = [
  { name: "share", text: "Share of amount", value: "notional", isText: true, cell: toShare },
  { name: "notional", text: "Amount", value: "notional", cell: (row) => h("span", { title: formatAmount(row.notional) }, formatMoney(row.notional)) },
  { name: "total_volume", text: "Volume", value: "total_volume", cell: (row) => formatAmount(row.total_volume, 0) },
  { name: "trade_count", text: "Trades", value: "trade_count", cell: (row) => formatCount(row.trade_count) },
  { name: "average_price", text: "Average", value: "average_price", cell: (row) => h("span", { title: formatAmount(row.average_price, 6) }, formatAmount(round(row.average_price, 2))) },
  { name: "range", text: "Range", isText: true, cell: toRange },
  { name: "open", text: "Open", value: "open", cell: (row) => formatAmount(row.open) },
  { name: "high", text: "High", value: "high", cell: (row) => formatAmount(row.high) },
  { name: "low", text: "Low", value: "low", cell: (row) => formatAmount(row.low) },
  { name: "close", text: "Close", value: "close", cell: (row) => formatAmount(row.close) },
  { name: "buy_volume", text: "Bought", value: "buy_volume", cell: (row) => formatAmount(row.buy_volume, 0) },
  { name: "sell_volume", text: "Sold", value: "sell_volume", cell: (row) => formatAmount(row.sell_volume, 0) },
];

/** @param {Row[]} rows */
export function analysisTable(rows) {
  /** Separate by currency: amounts cannot be combined. @type {Map<string | null, {total: string, largest: string}>} */
  const sums = new Map();
  for (const { currency, notional } of rows) {
    const { total, largest } = sums.get(currency) ?? { total: "0", largest: "0" };
    sums.set(currency, { total: add(total, notional), largest: compare(largest, notional) < 0 ? notional : largest });
  }
  const body = h("tbody");
  const head = h("tr");
  let order = { name: "notional", isDescending: true };
  const sort = (/** @type {string} */ name) => {
    order = { name, isDescending: name === order.name ? !order.isDescending : name !== "ticker" };
    show();
    /** @type {HTMLElement | null} */ (head.querySelector("[aria-sort] button"))?.focus();
  };
  const heading = (/** @type {string} */ name, /** @type {string} */ text, /** @type {boolean} */ isText, /** @type {boolean} */ isSortable) =>
    h(
      "th",
      { scope: "col", class: isText ? "" : "number", "aria-sort": name === order.name ? (order.isDescending ? "descending" : "ascending") : null },
      isSortable ? h("button", { type: "button", class: "sort", onclick: () => sort(name) }, text) : text,
    );
  const show = () => {
    const column = COLUMNS.find(({ name }) => name === order.name);
    const value = column?.value;
    const sign = order.isDescending ? -1 : 1;
    const sorted = rows.toSorted((one, other) =>
      sign * (value ? compare(String(one[value]), String(other[value])) : one.ticker.localeCompare(other.ticker)));
    head.replaceChildren(heading("ticker", "Ticker", true, true), ...COLUMNS.map(({ name, text, isText = false, value: sortedBy }) => heading(name, text, isText, sortedBy !== undefined && name !== "share")));
    body.replaceChildren(...sorted.map((row) =>
      h("tr", {}, h("th", { scope: "row" }, row.ticker, row.currency && row.currency !== "USD" ? h("small", {}, ` ${row.currency}`) : null),
        ...COLUMNS.map(({ cell, isText }) => h("td", { class: isText ? "" : "number" }, cell(row, /** @type {{total: string, largest: string}} */ (sums.get(row.currency))))))));
  };
  show();
  return h("table", {}, h("thead", {}, head), body);
}

/**
 * @param {Row} row
 * @param {{total: string, largest: string}} sums
 */
function toShare(row, { total, largest }) {
  const part = Number(total) ? Number(row.notional) / Number(total) : 0;
  const bar = h("span", { class: "bar" });
  bar.style.setProperty("--part", String(Number(largest) ? Number(row.notional) / Number(largest) : 0));
  return h("span", { class: "share" }, h("span", { "aria-hidden": "true" }, bar), h("span", { class: "number" }, `${formatFloat(part * 100, 1)} %`));
}

/** Draw a line from low to high, a thick one from open to close, and a dot at the average. @param {Row} row */
function toRange(row) {
  const low = Number(row.low);
  const span = Number(row.high) - low;
  const place = (/** @type {string} */ price) => 2 + (span ? (Number(price) - low) / span : 0.5) * 116;
  const [open, close, average] = [place(row.open), place(row.close), place(row.average_price)];
  const text = `Low ${formatAmount(row.low)}, open ${formatAmount(row.open)}, average ${formatAmount(round(row.average_price, 2))}, close ${formatAmount(row.close)}, high ${formatAmount(row.high)}`;
  const picture = svg(
    "svg",
    { class: "price-range", viewBox: "0 0 120 16", role: "img", "aria-label": text },
    svg("title", {}, document.createTextNode(text)),
    svg("line", { x1: 2, x2: 118, y1: 8, y2: 8 }),
    svg("line", { class: "body", x1: Math.min(open, close), x2: Math.max(open, close) + 0.01, y1: 8, y2: 8, "data-trend": trend(Number(row.close) / Number(row.open) - 1) }),
    svg("circle", { cx: average, cy: 8, r: 3 }),
  );
  return picture;
}
