// The view of trades: a live list with filters, sums and order, and the form to record one.

import { ApiError, get, nextPage, pages, request } from "../core/api.js";
import { isWatched } from "../core/attention.js";
import { multiply, subtract } from "../core/decimals.js";
import { download, h, setText } from "../core/dom.js";
import { failureNotice } from "../core/failure.js";
import { formatAmount, formatMoney, formatPlural, toCsv } from "../core/format.js";
import { trade as tradePath, TRADES } from "../core/paths.js";
import { timeElement } from "../core/time.js";
import { deliveryBadge, followDelivery } from "./delivery.js";
import { Filters, toQuery } from "./filters.js";
import { RecordForm } from "./record_form.js";
import { comparison, NEWEST_FIRST, toDecimal, Totals } from "./trade.js";

const PAGE = 200;
const LARGE_PAGE = 5_000;
const LIVE_PAGE = 50;
const LIVE_MS = 5_000;
const SORTED_LIMIT = 5_000; // trades that are loaded to be sorted

/**
 * @typedef {import("./trade.js").Trade} Trade
 * @typedef {import("./trade.js").Column} Column
 */

/** @type {[Column, string][]} */
const COLUMNS = [["time", "Time"], ["ticker", "Ticker"], ["side", "Side"], ["quantity", "Quantity"], ["price", "Price, USD"], ["amount", "Amount, USD"]];

/** @param {import("../views.js").Context} context */
export function create(context) {
  return new TradesView(context);
}

class TradesView {
  /** In the order of the list. @type {Trade[]} */
  #trades = [];
  /** @type {Set<number>} */
  #ids = new Set();
  /** @type {string | null} */
  #next = null;
  #filters = new Filters((parameters) => this.#go(parameters));
  /** @type {string | null} */
  #shown = null;
  #order = NEWEST_FIRST;
  /** What the totals are of, if not of the trades that are loaded. @type {Totals | null} */
  #allTotals = null;
  #search = new AbortController();
  #isLoading = false;
  #isVisible = false;
  #form;

  #rows = h("div", { role: "rowgroup", id: "trade-rows", onclick: (/** @type {Event} */ event) => this.#toggleDetails(event) });
  #head = h("div", { class: "trade-row head", role: "row" });
  #table = h("div", { role: "table", "aria-label": "Trades" }, h("div", { role: "rowgroup" }, this.#head), this.#rows);
  #totals = h("dl", { class: "totals number", "aria-label": "Totals" });
  #state = h("p", { role: "status", id: "trades-state" });
  #more = h("button", { type: "button", hidden: true, onclick: () => this.#loadMore() }, "Load older trades");
  #failure = h("div", {});
  #download = h("button", { type: "button", onclick: () => this.#downloadAll() }, "Download CSV");
  #end = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) this.#loadMore();
  }, { rootMargin: "800px" });

  /** @param {import("../views.js").Context} context */
  constructor({ market }) {
    this.#form = new RecordForm(market, (trade) => this.#showRecorded(trade));
    this.element = h(
      "div",
      { class: "view trades" },
      h(
        "section",
        { class: "panel", "aria-labelledby": "trades-title" },
        h("div", { class: "panel-head" }, h("h1", { id: "trades-title" }, "Trades"), this.#download),
        this.#filters.element,
        this.#totals,
        this.#table,
        this.#failure,
        h("div", { class: "list-end" }, this.#state, this.#more),
      ),
      this.#form.element,
    );
    this.#showOrder();
    setInterval(() => this.#isVisible && isWatched() && this.#loadNew(), LIVE_MS);
  }

  /** @param {URLSearchParams} parameters */
  show(parameters) {
    this.#isVisible = true;
    if (parameters.has("new")) {
      parameters.delete("new");
      history.replaceState(null, "", toHash(parameters));
      this.#form.focus();
    }
    this.#filters.show(parameters);
    if (parameters.toString() === this.#shown) return void this.#loadNew();
    this.#shown = parameters.toString();
    this.#load();
  }

  hide() {
    this.#isVisible = false;
  }

  search() {
    this.#filters.focus();
  }

  /** Show other filters, and put them into the URL. @param {URLSearchParams} parameters */
  #go(parameters) {
    if (parameters.toString() === this.#shown) return;
    history.replaceState(null, "", toHash(parameters));
    this.#shown = parameters.toString();
    this.#load();
  }

  /** @param {number} limit */
  #path(limit) {
    return `${TRADES}?${toQuery(new URLSearchParams(this.#shown ?? ""), limit)}`;
  }

  /** Load the list anew. */
  async #load() {
    this.#search.abort();
    this.#search = new AbortController();
    this.#isLoading = false;
    this.#next = this.#path(PAGE);
    this.#allTotals = null;
    this.#order = NEWEST_FIRST;
    this.#showOrder();
    this.#table.setAttribute("aria-busy", "true");
    setText(this.#state, "Loading trades…");
    await this.#loadMore(true);
    this.#table.removeAttribute("aria-busy");
  }

  async #loadMore(isFirst = false) {
    if (this.#isLoading || !this.#next) return;
    this.#isLoading = true;
    const { signal } = this.#search;
    try {
      const response = await request("GET", this.#next, { signal });
      /** @type {Trade[]} */
      const page = await response.json();
      if (signal.aborted) return;
      this.#next = nextPage(response);
      this.#filters.showErrors([]);
      this.#failure.replaceChildren();
      if (isFirst) this.#empty();
      const fresh = page.filter(({ id }) => !this.#ids.has(id));
      for (const { id } of fresh) this.#ids.add(id);
      this.#trades.push(...fresh);
      this.#rows.append(...fresh.map(toRow));
      this.#showState();
      // Observed anew, it tells at once whether the end is still in sight, however one has scrolled meanwhile.
      this.#end.unobserve(this.#more);
      this.#end.observe(this.#more);
    } catch (error) {
      if (signal.aborted) return;
      this.#fail(error, isFirst);
    } finally {
      if (!signal.aborted) this.#isLoading = false;
    }
  }

  #empty() {
    this.#trades = [];
    this.#ids = new Set();
    this.#rows.replaceChildren();
  }

  /**
   * @param {unknown} error
   * @param {boolean} isFirst
   */
  #fail(error, isFirst) {
    if (isFirst) this.#empty();
    this.#more.hidden = true;
    if (error instanceof ApiError && error.errors.length) {
      this.#next = null;
      const elsewhere = this.#filters.showErrors(error.errors);
      setText(this.#state, ["Correct the filter to see trades.", ...elsewhere].join(" "));
      return;
    }
    setText(this.#state, "");
    const { signal } = this.#search;
    this.#failure.replaceChildren(failureNotice(error, () => !signal.aborted && this.#loadMore(isFirst)));
  }

  /** Show what others have recorded meanwhile. */
  async #loadNew() {
    const { signal } = this.#search;
    if (this.#isLoading || this.#failure.hasChildNodes() || this.#shown === null) return;
    /** @type {Trade[]} */
    let newest;
    try {
      newest = await get(this.#path(LIVE_PAGE), signal);
    } catch {
      return; // the next round tries again
    }
    if (signal.aborted) return;
    const fresh = newest.filter(({ id }) => !this.#ids.has(id));
    // A page of nothing but new trades may have left out others.
    if (fresh.length === LIVE_PAGE && this.#trades.length) return void this.#load();
    for (const trade of fresh) this.#insert(trade);
    if (fresh.length) this.#showState();
  }

  /** Put a trade where it belongs. @param {Trade} trade */
  #insert(trade) {
    const compare = comparison(this.#order);
    let index = this.#trades.findIndex((known) => compare(trade, known) < 0);
    if (index < 0) index = this.#trades.length;
    this.#ids.add(trade.id);
    this.#trades.splice(index, 0, trade);
    this.#rows.insertBefore(toRow(trade), this.#rows.children[index] ?? null);
    this.#allTotals?.add(trade);
  }

  #showState() {
    const count = this.#trades.length;
    this.#more.hidden = this.#next === null;
    const trades = formatPlural(count, "trade");
    if (count) setText(this.#state, this.#next ? `${trades} shown; older ones come as you scroll.` : `${trades} shown, that is all.`);
    else setText(this.#state, this.#shown ? "No trade matches. Change or clear the filters." : "No trades yet. Record the first one with the form.");
    this.#showTotals();
  }

  #showTotals() {
    const totals = this.#allTotals ?? Totals.of(this.#trades);
    const isPart = this.#next !== null && !this.#allTotals;
    /** @type {[string, string][]} */
    const parts = [[isPart ? "Newest" : "Total", formatPlural(totals.count, "trade")]];
    for (const [currency, { BUY, SELL }] of totals.amounts) {
      parts.push(["Bought", `${formatMoney(BUY)} ${currency}`], ["Sold", `${formatMoney(SELL)} ${currency}`]);
    }
    if (totals.tickers.size === 1) parts.push(["Net", `${formatAmount(subtract(totals.quantities.BUY, totals.quantities.SELL), 0)} shares`]);
    this.#totals.hidden = totals.count === 0;
    this.#totals.replaceChildren(...parts.map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text))));
    if (isPart) {
      const button = h("button", { type: "button", class: "quiet", onclick: () => this.#totalAll() }, "Total all of them");
      this.#totals.append(h("div", {}, h("dt", { class: "hidden" }, "More"), h("dd", {}, button)));
    }
  }

  async #totalAll() {
    const totals = new Totals();
    await this.#forAll("Adding up", (trades) => trades.forEach((trade) => totals.add(trade)), () => {
      this.#allTotals = totals;
      this.#showState();
    });
  }

  async #downloadAll() {
    /** @type {Trade[]} */
    const all = [];
    await this.#forAll("Downloading", (trades) => void all.push(...trades), () => {
      if (!all[0]) return setText(this.#state, "There is nothing to download.");
      const header = /** @type {(keyof Trade)[]} */ (Object.keys(all[0]));
      download(`trades${fileSuffix(this.#shown ?? "")}.csv`, toCsv([header, ...all.map((trade) => header.map((name) => toCell(trade[name])))]));
      this.#showState();
    });
  }

  /**
   * Read all trades that match the filters, whether they are shown or not.
   * @param {string} doing
   * @param {(trades: Trade[]) => void} take
   * @param {() => void} finish
   */
  async #forAll(doing, take, finish) {
    const { signal } = this.#search;
    let count = 0;
    try {
      for await (const page of pages(this.#path(LARGE_PAGE), signal)) {
        take(page);
        count += page.length;
        setText(this.#state, `${doing}: ${formatPlural(count, "trade")}…`);
      }
      if (!signal.aborted) finish();
    } catch (error) {
      if (signal.aborted) return;
      this.#failure.replaceChildren(failureNotice(error, () => {
        this.#failure.replaceChildren();
        return this.#forAll(doing, take, finish);
      }));
    }
  }

  #showOrder() {
    const { column, isDescending } = this.#order;
    this.#head.replaceChildren(
      ...COLUMNS.map(([name, text]) =>
        h("span", { role: "columnheader", class: ["quantity", "price", "amount"].includes(name) ? `number ${name}` : "", "aria-sort": name === column ? (isDescending ? "descending" : "ascending") : null },
          h("button", { type: "button", class: "sort", onclick: () => this.#sort(name) }, text))),
      h("span", { role: "columnheader", class: "status" }, h("span", { class: "hidden" }, "Details")),
    );
  }

  /** Sort all trades that match, which are loaded for that. @param {Column} column */
  async #sort(column) {
    const isSame = column === this.#order.column;
    this.#order = { column, isDescending: isSame ? !this.#order.isDescending : ["time", "quantity", "price", "amount"].includes(column) };
    this.#showOrder();
    this.#head.querySelectorAll("button")[COLUMNS.findIndex(([name]) => name === column)]?.focus();
    const { signal } = this.#search;
    while (this.#next && this.#trades.length < SORTED_LIMIT && !signal.aborted && !this.#failure.hasChildNodes()) {
      const next = new URL(this.#next, location.href);
      next.searchParams.set("limit", String(SORTED_LIMIT));
      this.#next = next.pathname + next.search;
      this.#isLoading = false;
      await this.#loadMore();
    }
    if (signal.aborted) return;
    this.#trades.sort(comparison(this.#order));
    const rows = new Map([...this.#rows.children].map((row) => [row.getAttribute("data-id"), row]));
    this.#rows.replaceChildren(...this.#trades.map((trade) => rows.get(String(trade.id)) ?? toRow(trade)));
    if (this.#next) setText(this.#state, `The newest ${formatPlural(this.#trades.length, "trade")}, sorted. Filter them to sort all that match.`);
    this.#end.unobserve(this.#more); // older ones would not be in this order
  }

  /** Show a trade that was just recorded here, and follow its notification. @param {Trade} trade */
  #showRecorded(trade) {
    if (!this.#ids.has(trade.id) && this.#matches(trade)) {
      this.#insert(trade);
      this.#showState();
    }
    const row = this.#rows.querySelector(`[data-id="${trade.id}"]`);
    row?.classList.add("fresh");
    followDelivery(trade, row?.querySelector(".delivery") ?? h("span"), () => this.#form.showDelivered(trade));
  }

  /** @param {Trade} trade */
  #matches(trade) {
    const wanted = toQuery(new URLSearchParams(this.#shown ?? ""), PAGE);
    const [ticker, side, start, end] = ["ticker", "side", "start_date", "end_date"].map((name) => wanted.get(name));
    return (
      (!ticker || trade.ticker === ticker) &&
      (!side || trade.side === side) &&
      (!start || Date.parse(trade.timestamp) >= Date.parse(start)) &&
      (!end || Date.parse(trade.timestamp) <= Date.parse(end))
    );
  }

  /** @param {Event} event */
  async #toggleDetails(event) {
    const button = /** @type {HTMLElement} */ (event.target).closest(".details-button");
    const row = button?.closest(".trade-row");
    if (!button || !row) return;
    const isOpen = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!isOpen));
    if (isOpen) return row.querySelector(".details")?.remove();
    const details = h("div", { class: "details", role: "cell" }, "Loading…");
    row.append(details);
    const load = async () => {
      try {
        /** @type {Trade} */
        const trade = await get(tradePath(row.getAttribute("data-id") ?? ""));
        details.replaceChildren(toDetails(trade));
      } catch (error) {
        details.replaceChildren(failureNotice(error, load));
      }
    };
    await load();
  }
}

/** @param {URLSearchParams} parameters */
function toHash(parameters) {
  const query = parameters.toString();
  return `#/trades${query ? `?${query}` : ""}`;
}

/** @param {string} filters */
function fileSuffix(filters) {
  return [...new URLSearchParams(filters).values()].map((value) => `-${value}`).join("");
}

/** @param {unknown} value */
function toCell(value) {
  if (Array.isArray(value)) return value.join(" ");
  return typeof value === "number" ? toDecimal(value) : /** @type {string | null} */ (value);
}

/** @param {Trade} trade */
function toRow(trade) {
  const isBuy = trade.side === "BUY";
  const quantity = toDecimal(trade.quantity);
  const amount = formatAmount(multiply(trade.price, quantity));
  return h(
    "div",
    { class: "trade-row", role: "row", "data-id": trade.id },
    h("span", { role: "cell", class: "when number" }, timeElement(trade.timestamp)),
    h("span", { role: "cell", class: "ticker" }, trade.ticker),
    h("span", { role: "cell", class: `side ${isBuy ? "buy" : "sell"}` }, isBuy ? "Buy" : "Sell"),
    h("span", { role: "cell", class: "number quantity" }, formatAmount(quantity, 0)),
    h("span", { role: "cell", class: "number price" }, formatAmount(trade.price)),
    h("span", { role: "cell", class: "number amount", title: amount }, amount),
    h(
      "span",
      { role: "cell", class: "status" },
      h("span", { class: "delivery" }),
      h("button", { type: "button", class: "quiet details-button", "aria-expanded": "false", "aria-label": `Details of trade ${trade.id}` }, "Details"),
    ),
  );
}

/** @param {Trade} trade */
function toDetails(trade) {
  const quantity = toDecimal(trade.quantity);
  const parts = /** @type {[string, Node | string][]} */ ([
    ["Trade", String(trade.id)],
    ["Amount, USD", formatAmount(multiply(trade.price, quantity))],
    ["Recorded", timeElement(trade.recorded_at)],
    ["By", trade.recorded_by],
    ["Client's id", trade.client_trade_id ?? "none"],
    ["Notification", deliveryBadge(trade)],
  ]);
  return h("dl", {}, ...parts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}
