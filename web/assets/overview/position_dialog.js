// A position: its figures, its open lots, and the trades behind its realized profit.

import { nextPage, request } from "../core/api.js";
import { add, compare, multiply, round, subtract } from "../core/decimals.js";
import { openDialog } from "../core/dialog.js";
import { h, setText } from "../core/dom.js";
import { failureNotice } from "../core/failure.js";
import { figures } from "../core/figures.js";
import { formatAmount, formatCount, formatGain, formatMoney, formatPercent, formatPlural, trendOfAmount } from "../core/format.js";
import { matches as matchesPath, position as positionPath } from "../core/paths.js";
import { timeElement } from "../core/time.js";
import { positionChart } from "./position_chart.js";
import { unrealizedPart } from "./positions.js";

const PAGE = 100;

/**
 * @typedef {import("./positions.js").Position} Position
 * @typedef {{trade_id: number, opened_at: string, quantity: string, price: string, fee: string, cost: string}} Lot
 * @typedef {{opening_trade_id: number, closing_trade_id: number, quantity: string, opened_at: string, closed_at: string, cost: string, proceeds: string, fees: string, profit: string}} Match
 */

export class PositionDialog {
  #figures = h("div", {});
  /** Each lot and the element that shows its gain. @type {[Lot, HTMLElement][]} */
  #lots = [];
  #position;
  #dialog;

  /** Aborts the window's requests and its chart. */
  #end = new AbortController();

  /**
   * @param {Position} position
   * @param {import("../views.js").Context} context
   * @param {() => void} onClose
   */
  constructor(position, context, onClose) {
    this.#position = position;
    const { account, ticker, currency } = position;
    const query = new URLSearchParams({ account, currency, limit: String(PAGE) });
    const lots = new PagedTable(
      "Open lots",
      ["Opened", "Shares", "Gain", "Price", "Fee", "Cost", "Trade"],
      `${positionPath(ticker)}?${query}`,
      (/** @type {{lots: Lot[]}} */ page) => page.lots.map((lot) => this.#lotRow(lot)),
      (count, isAll) => (count === 0 ? "No shares are held." : `${formatPlural(count, "lot")}, the oldest first: they are closed in this order.${isAll ? "" : " There are more."}`),
    );
    let profit = "0";
    const matches = new PagedTable(
      "Where the realized profit comes from",
      ["Closed", "Shares", "Profit", "Paid", "Received", "Opened by", "Closed by"],
      `${matchesPath(ticker)}?${query}`,
      (/** @type {Match[]} */ page) => page.map((match) => {
        profit = add(profit, match.profit);
        return matchRow(match);
      }),
      (count, isAll) => {
        if (count === 0) return "Nothing has been closed yet, so nothing is realized.";
        const sum = `${formatGain(profit)} ${currency}`;
        return isAll
          ? `The last one first. All ${formatCount(count)} together are the realized profit, ${sum}, fees included.`
          : `The last ${formatCount(count)} came to ${sum}. The realized profit has earlier ones, too.`;
      },
    );
    const links = h("p", { class: "row" },
      h("a", { href: `#/prices?ticker=${ticker}` }, "Chart"),
      h("a", { href: `#/trades?${new URLSearchParams({ ticker, account })}` }, "Its trades"));
    const title = h("span", {}, ticker, " ", h("small", {}, `${account} · ${currency}`));
    const chart = positionChart(position, context, this.#end.signal);
    this.#dialog = openDialog(title, [this.#figures, links, chart, lots.element, matches.element], () => {
      this.#end.abort();
      onClose();
    });
    this.update(position);
    lots.load();
    matches.load();
  }

  close() {
    this.#dialog.close();
  }

  /** Show the current value of the position. @param {Position} position */
  update(position) {
    this.#position = position;
    const { quantity, average_cost: cost, last_price: price, market_value: value, unrealized_profit: unrealized, realized_profit: realized, fees } = position;
    const part = unrealizedPart(position);
    this.#figures.replaceChildren(figures([
      ["Shares", formatAmount(quantity, 0)],
      ["Average cost", cost ? formatMoney(cost) : "–"],
      ["Price", price ? formatAmount(price) : "–"],
      ["Value", value ? formatMoney(value) : "–"],
      ["Unrealized", unrealized ? `${formatGain(unrealized)}${part === null ? "" : ` (${formatPercent(part)})`}` : "–", trendOfAmount(unrealized ?? "0")],
      ["Realized", formatGain(realized), trendOfAmount(realized)],
      ["Fees", formatMoney(fees)],
    ]));
    for (const [lot, gain] of this.#lots) this.#showGain(lot, gain);
  }

  /** @param {Lot} lot */
  #lotRow(lot) {
    const gain = h("td", { class: "number" });
    this.#lots.push([lot, gain]);
    this.#showGain(lot, gain);
    return h("tr", {}, h("td", {}, timeElement(lot.opened_at)), number(formatAmount(lot.quantity, 0)), gain, number(formatAmount(round(lot.price, 6))),
      number(formatMoney(lot.fee)), number(formatMoney(lot.cost)), tradeCell(lot.trade_id));
  }

  /**
   * @param {Lot} lot
   * @param {HTMLElement} gain
   */
  #showGain({ quantity, cost }, gain) {
    const { last_price: price } = this.#position;
    const gained = price && subtract(multiply(quantity, price), cost);
    setText(gain, gained ? formatGain(gained) : "–");
    gain.dataset["trend"] = trendOfAmount(gained || "0");
  }
}

/** A table that is loaded page by page, and a line that describes what is shown. @template Page */
class PagedTable {
  #body = h("tbody");
  #state = h("p", { class: "muted small" }, "Loading…");
  #more = h("button", { type: "button", hidden: true, onclick: () => this.load() }, "Show more");
  #table;
  /** @type {string | null} */
  #next;

  /**
   * @param {string} title
   * @param {string[]} columns the first is a time, the last are trades
   * @param {string} path
   * @param {(page: Page) => HTMLElement[]} toRows
   * @param {(count: number, isAll: boolean) => string} describe
   */
  constructor(title, columns, path, toRows, describe) {
    this.toRows = toRows;
    this.describe = describe;
    this.#next = path;
    const head = columns.map((text, index) => h("th", { scope: "col", class: index === 0 ? "" : "number" }, text));
    this.#table = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title, hidden: true },
      h("table", {}, h("thead", {}, h("tr", {}, ...head)), this.#body));
    this.element = h("section", { class: "part" }, h("h3", {}, title), this.#state, this.#table, this.#more);
  }

  async load() {
    if (!this.#next) return;
    this.#more.hidden = true;
    try {
      const response = await request("GET", this.#next);
      this.#body.append(...this.toRows(await response.json()));
      this.#next = nextPage(response);
      const count = this.#body.children.length;
      this.#table.hidden = count === 0;
      this.#more.hidden = this.#next === null;
      setText(this.#state, this.describe(count, this.#next === null));
    } catch (error) {
      this.#state.replaceChildren(failureNotice(error, () => this.load()));
    }
  }
}

/** @param {Match} match */
function matchRow(match) {
  const profit = h("td", { class: "number", "data-trend": String(Math.sign(compare(match.profit, "0"))) }, formatGain(match.profit));
  return h("tr", {}, h("td", {}, timeElement(match.closed_at)), number(formatAmount(match.quantity, 0)), profit, number(formatMoney(match.cost)),
    number(formatMoney(match.proceeds)), tradeCell(match.opening_trade_id), tradeCell(match.closing_trade_id));
}

/** @param {string} text */
const number = (text) => h("td", { class: "number" }, text);

/** @param {number} id */
const tradeCell = (id) => h("td", { class: "number" }, h("a", { href: `#/trades?trade=${id}` }, `#${id}`));
