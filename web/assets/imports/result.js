// The result of a file: the API's response and how it is displayed.

import { h, setText } from "../core/dom.js";
import { formatAmount, formatCount, formatPlural } from "../core/format.js";
import { timeElement } from "../core/time.js";
import { toDecimal } from "../trades/trade.js";

/**
 * @typedef {{account: string, ticker: string, side: "BUY" | "SELL", quantity: number, price: string, fee: string, currency: string, timestamp: string}} RowTrade
 * @typedef {{line: number | null, trade_id: number | null, trade: RowTrade | null, reason?: string | null, recorded?: RowTrade | null, fields?: (keyof RowTrade)[]}} Row
 * @typedef {{account: string, ticker: string, currency: string, since: string, quantity: string, before: string}} Shortfall
 * @typedef {{
 *   import_id: number | null, format: string, rows_read: number, recorded: number, already_recorded: number, skipped: number, rejected: number, adjusted: number,
 *   rows: Record<"recorded" | "already_recorded" | "skipped" | "rejected" | "adjusted", Row[]>,
 *   splits: {line: number, ticker: string, effective_at: string, quantity: string | null}[], isins_without_ticker: string[], turns_short: Shortfall[],
 * }} ImportResult
 * @typedef {"agrees" | "differs" | "missing_here" | "missing_there"} Agreement
 * @typedef {{format: string, rows_read: number, skipped: number, rejected: number, trades: Record<Agreement, Row[]>} & Record<Agreement, number>} Comparison
 * @typedef {{text: string, count: number, rows: Row[]}} List the number of rows, and the first of them
 */

/** @param {ImportResult} result */
export function importLists(result) {
  const { rows } = result;
  return lists([
    { text: result.import_id === null ? "to record" : "recorded", count: result.recorded, rows: rows.recorded },
    { text: "already there", count: result.already_recorded, rows: rows.already_recorded },
    { text: "rejected", count: result.rejected, rows: rows.rejected },
    { text: "skipped", count: result.skipped, rows: rows.skipped },
    { text: "rounded", count: result.adjusted, rows: rows.adjusted },
  ]);
}

/** @param {Comparison} comparison */
export function comparisonLists({ trades, ...counts }) {
  return lists([
    { text: "missing in the ledger", count: counts.missing_here, rows: trades.missing_here },
    { text: "missing in the file", count: counts.missing_there, rows: trades.missing_there },
    { text: counts.differs === 1 ? "differs" : "differ", count: counts.differs, rows: trades.differs },
    { text: counts.agrees === 1 ? "agrees" : "agree", count: counts.agrees, rows: trades.agrees },
  ]);
}

/**
 * Show the number of rows by outcome, and the first rows of the selected outcome.
 * @param {List[]} all
 */
function lists(all) {
  const shown = h("div", { class: "scroll", tabindex: "0", role: "region" });
  const more = h("p", { class: "muted small" });
  const chips = all.map((list) =>
    h("button", { type: "button", class: "chip number", disabled: list.count === 0, "aria-pressed": "false", onclick: () => choose(list) }, `${formatCount(list.count)} ${list.text}`));
  const choose = (/** @type {List} */ list) => {
    chips.forEach((chip, index) => chip.setAttribute("aria-pressed", String(all[index] === list)));
    shown.setAttribute("aria-label", `Rows: ${list.text}`);
    shown.replaceChildren(rowTable(list.rows));
    setText(more, list.count > list.rows.length ? `The first ${formatCount(list.rows.length)} of ${formatCount(list.count)}.` : "");
  };
  const first = all.find(({ count }) => count > 0);
  if (first) choose(first);
  return h("div", { class: "import-lists" }, h("div", { class: "chips", role: "group", "aria-label": "Rows to show" }, ...chips), ...(first ? [shown, more] : []));
}

/** @type {{text: string, isNumber?: boolean, cell: (trade: RowTrade) => Node | string}[]} */
const COLUMNS = [
  { text: "Time", cell: ({ timestamp }) => timeElement(timestamp) },
  { text: "Side", cell: ({ side }) => h("span", { class: `side ${side.toLowerCase()}` }, side === "BUY" ? "Buy" : "Sell") },
  { text: "Ticker", cell: ({ ticker }) => h("strong", {}, ticker) },
  { text: "Quantity", isNumber: true, cell: ({ quantity }) => formatAmount(toDecimal(quantity), 0) },
  { text: "Price", isNumber: true, cell: ({ price }) => formatAmount(price) },
  { text: "Fee", isNumber: true, cell: ({ fee }) => formatAmount(fee) },
  { text: "Currency", cell: ({ currency }) => currency },
  { text: "Account", cell: ({ account }) => account },
];

/** @param {Row[]} rows */
function rowTable(rows) {
  const columns = rows.some(({ trade }) => trade) ? COLUMNS : [];
  const remarks = rows.map(remarkOf);
  const hasRemarks = remarks.some(Boolean);
  const head = [h("th", { scope: "col" }, "Line"), ...columns.map(({ text, isNumber }) => h("th", { scope: "col", class: isNumber ? "number" : "" }, text)), ...(hasRemarks ? [h("th", { scope: "col" }, "Remark")] : [])];
  const body = rows.map(({ line, trade }, index) =>
    h("tr", {}, h("td", {}, line === null ? "–" : formatCount(line)),
      ...columns.map(({ cell, isNumber }) => h("td", { class: isNumber ? "number" : "" }, trade ? cell(trade) : "")),
      ...(hasRemarks ? [h("td", { class: "remark" }, ...(remarks[index] ?? []))] : [])));
  return h("table", {}, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...body));
}

/** @param {Row} row */
function remarkOf({ trade_id: id, trade, reason, recorded, fields = [] }) {
  const differing = trade && recorded ? fields.map((name) => `${name} ${trade[name]} in the file, ${recorded[name]} in the ledger`).join("; ") : "";
  const parts = [reason ?? differing].filter(Boolean);
  if (id === null) return parts.length ? parts : null;
  const link = h("a", { href: `#/trades?trade=${id}` }, `trade ${id}`);
  return parts.length ? [`${parts.join("")}, `, link] : [link];
}

/**
 * Return the issues to review before or after a file is recorded.
 * @param {ImportResult} result
 */
export function noticesOf({ turns_short: short, splits }) {
  const day = (/** @type {string} */ instant) => instant.slice(0, 10);
  const texts = [
    ...short.map(({ account, ticker, since, quantity, before }) =>
      `${ticker} in ${account} would be short from ${day(since)} on: ${formatPlural(Number(quantity), "share")} from before ${day(before)} ${Number(quantity) === 1 ? "is" : "are"} missing. If the file begins too late, record an opening trade first.`),
    ...splits.map(({ line, ticker, effective_at: at }) => `Line ${line}: ${ticker} was split on ${day(at)}. Splits are not imported, because files have no ratios.`),
  ];
  return texts.length ? h("ul", { class: "import-notices" }, ...texts.map((text) => h("li", {}, text))) : null;
}
