// The sortable table of positions, updated with live prices.

import { compare, round } from "../core/decimals.js";
import { h, setText } from "../core/dom.js";
import { flash } from "../core/flash.js";
import { formatAmount, formatFloat, formatGain, formatMoney, formatPercent, trendOfAmount } from "../core/format.js";
import { formatSpan } from "../core/time.js";
import { LINE_MS, Sparkline } from "../prices/sparkline.js";
import { keyOf, unrealizedPart, weights } from "./positions.js";

const OLD_SECONDS = 60;

/**
 * @typedef {import("./positions.js").Position} Position
 * @typedef {{name: string, text: string, class?: string, compare: (one: Position, other: Position) => number}} Column
 * @typedef {{row: HTMLTableRowElement, cells: Record<string, HTMLElement>, price: string | null, line: Sparkline, drawnAt: number, bars: number}} Row
 */

/** @param {keyof Position} name */
const byAmount = (name) => (/** @type {Position} */ one, /** @type {Position} */ other) => compare(String(one[name] ?? "0"), String(other[name] ?? "0"));

/** @type {Column[]} */
const COLUMNS = [
  { name: "quantity", text: "Shares", class: "wide", compare: byAmount("quantity") },
  { name: "cost", text: "Average cost", class: "wide", compare: byAmount("average_cost") },
  { name: "price", text: "Price", class: "wide", compare: byAmount("last_price") },
  { name: "value", text: "Value", compare: byAmount("market_value") },
  { name: "weight", text: "Weight", class: "wide widest", compare: (one, other) => Math.abs(Number(one.market_value)) - Math.abs(Number(other.market_value)) },
  { name: "unrealized", text: "Unrealized", compare: byAmount("unrealized_profit") },
  { name: "percent", text: "in %", class: "wide", compare: (one, other) => (unrealizedPart(one) ?? 0) - (unrealizedPart(other) ?? 0) },
  { name: "realized", text: "Realized", class: "wide", compare: byAmount("realized_profit") },
];
/** @type {Column} */
const TICKER = { name: "ticker", text: "Ticker", compare: (one, other) => -one.ticker.localeCompare(other.ticker) };

export class PositionsTable {
  /** @type {Position[]} */
  #positions = [];
  /** @type {Map<string, Row>} */
  #rows = new Map();
  #order = { column: /** @type {Column} */ (COLUMNS[3]), isDescending: true };
  #head = h("tr");
  #body = h("tbody");

  /**
   * @param {import("../prices/market.js").Market} market
   * @param {(position: Position) => void} onOpen
   */
  constructor(market, onOpen) {
    this.market = market;
    this.onOpen = onOpen;
    this.element = h("table", { class: "positions-table" }, h("thead", {}, this.#head), this.#body);
    this.#showHead();
  }

  /** Show only the given positions. @param {Position[]} positions */
  list(positions) {
    this.#positions = positions;
    const known = this.#rows;
    this.#rows = new Map(positions.map((position) => [keyOf(position), known.get(keyOf(position)) ?? this.#row(position)]));
    this.#sort();
    this.update(positions);
  }

  /** Update the listed positions. @param {Position[]} positions */
  update(positions) {
    this.#positions = positions;
    const parts = weights(positions);
    for (const position of positions) this.#paint(position, parts.get(keyOf(position)) ?? 0);
  }

  #sort() {
    const { column, isDescending } = this.#order;
    const sign = isDescending ? -1 : 1;
    const sorted = this.#positions.toSorted((one, other) =>
      sign * column.compare(one, other) || one.ticker.localeCompare(other.ticker) || keyOf(one).localeCompare(keyOf(other)));
    const rows = sorted.map((position) => /** @type {Row} */ (this.#rows.get(keyOf(position))).row);
    if (rows.length !== this.#body.children.length || rows.some((row, index) => this.#body.children[index] !== row)) this.#body.replaceChildren(...rows);
  }

  #showHead() {
    const { column, isDescending } = this.#order;
    const headings = [TICKER, ...COLUMNS].map((each) =>
      h(
        "th",
        { scope: "col", class: each === TICKER ? "" : `number ${each.class ?? ""}`, "aria-sort": each === column ? (isDescending ? "descending" : "ascending") : null },
        h("button", { type: "button", class: "sort", onclick: () => this.#sortBy(each) }, each.text),
      ));
    headings.splice(1, 0, h("th", { scope: "col", class: "wide widest" }, "Last hour"));
    this.#head.replaceChildren(...headings);
  }

  /** @param {Column} column */
  #sortBy(column) {
    this.#order = { column, isDescending: column === this.#order.column ? !this.#order.isDescending : true };
    this.#showHead();
    this.#sort();
    /** @type {HTMLElement | null} */ (this.#head.querySelector("[aria-sort] button"))?.focus();
  }

  /**
   * @param {Position} position
   * @returns {Row}
   */
  #row(position) {
    const { account, ticker, currency } = position;
    const cell = (/** @type {string} */ name) => h("span", { class: name });
    const cells = Object.fromEntries([...COLUMNS.map(({ name }) => name), "holding", "part"].map((name) => [name, cell(name)]));
    const open = h("button", { type: "button", class: "link ticker", "aria-haspopup": "dialog" }, ticker);
    const of = h("small", { class: "of" }, [account === "main" ? "" : account, currency === "USD" ? "" : currency].filter(Boolean).join(" · "));
    const line = new Sparkline();
    const row = h(
      "tr",
      { onclick: () => this.onOpen(this.#positions.find((each) => keyOf(each) === keyOf(position)) ?? position) },
      h("th", { scope: "row" }, open, " ", of, h("small", { class: "narrow number" }, cells["holding"] ?? "")),
      h("td", { class: "wide widest line" }, line.element),
      ...COLUMNS.map(({ name, class: width }) =>
        h("td", { class: `number ${width ?? ""}` }, cells[name] ?? "", name === "unrealized" ? h("small", { class: "narrow" }, cells["part"] ?? "") : null)),
    );
    return { row, cells, price: null, line, drawnAt: -Infinity, bars: 0 };
  }

  /**
   * @param {Position} position
   * @param {number} weight
   */
  #paint(position, weight) {
    const row = this.#rows.get(keyOf(position));
    if (!row) return;
    const { cells } = row;
    const { quantity, average_cost: cost, last_price: price, last_price_at: at, market_value: value, unrealized_profit: unrealized, realized_profit: realized } = position;
    const set = (/** @type {string} */ name, /** @type {string | null} */ text) => setText(/** @type {HTMLElement} */ (cells[name]), text ?? "–");
    const part = unrealizedPart(position);
    set("quantity", formatAmount(quantity, 0));
    set("cost", cost && formatMoney(cost));
    set("price", price && formatAmount(price));
    set("value", value && formatMoney(value));
    set("weight", value && `${formatFloat(weight * 100, 1)} %`);
    set("unrealized", unrealized && formatGain(unrealized));
    set("percent", part === null ? null : formatPercent(part));
    set("part", part === null ? "" : formatPercent(part));
    set("realized", formatGain(realized));
    set("holding", Number(quantity) === 0 ? "Closed" : `${formatAmount(quantity, 0)} at ${cost ? formatAmount(round(cost, 2)) : "–"}`);
    for (const name of ["unrealized", "percent", "part"]) /** @type {HTMLElement} */ (cells[name]).dataset["trend"] = trendOfAmount(unrealized ?? "0");
    /** @type {HTMLElement} */ (cells["realized"]).dataset["trend"] = trendOfAmount(realized);
    this.#markPrice(row, price, at);
    this.#drawLine(row, position);
  }

  /**
   * Draw the last hour of prices if the position is priced by ticks.
   * @param {Row} row
   * @param {Position} position
   */
  #drawLine(row, { ticker, price_source: source }) {
    const stock = this.market.stocks.get(ticker);
    const now = performance.now();
    if (!stock || source !== "tick" || !this.market.isFilled(ticker) || (now - row.drawnAt < LINE_MS && row.bars === stock.bars.size)) return;
    row.drawnAt = now;
    row.bars = stock.bars.size;
    row.line.draw(stock);
  }

  /**
   * Highlight a price when it changes and dim it when it is stale.
   * @param {Row} row
   * @param {string | null} price
   * @param {string | null} at
   */
  #markPrice(row, price, at) {
    const cell = /** @type {HTMLElement} */ (row.cells["price"]);
    if (price && row.price && price !== row.price) flash(cell, compare(price, row.price));
    row.price = price;
    const age = at === null ? 0 : (Date.now() - Date.parse(at)) / 1_000;
    cell.classList.toggle("muted", age > OLD_SECONDS);
    cell.title = age > OLD_SECONDS ? `Of ${formatSpan(age)} ago` : "";
  }
}
