// The trades view: a live list with filters, totals and sorting, and the form that records a trade.

import { ApiError, get, nextPage, pages, request } from "../core/api.js";
import { isWatched } from "../core/attention.js";
import { multiply, subtract } from "../core/decimals.js";
import { download, h, setText } from "../core/dom.js";
import { failureNotice } from "../core/failure.js";
import { formatAmount, formatMoney, formatPlural, toCsv } from "../core/format.js";
import { TRADES } from "../core/paths.js";
import { timeElement } from "../core/time.js";
import { followDelivery } from "./delivery.js";
import { Filters, toQuery } from "./filters.js";
import { RecordForm } from "./record_form.js";
import { comparison, NEWEST_FIRST, toDecimal, Totals } from "./trade.js";
import { TradeDialog } from "./trade_dialog.js";

const PAGE = 200;
const LARGE_PAGE = 5_000;
const LIVE_PAGE = 50;
const LIVE_MS = 5_000;
const SORTED_LIMIT = 5_000; // maximum number of trades loaded for sorting

/**
 * @typedef {import("./trade.js").Trade} Trade
 * @typedef {import("./trade.js").Column} Column
 */

/** @type {[Column, string][]} */
const COLUMNS = [["time", "Time"], ["ticker", "Ticker"], ["side", "Side"], ["quantity", "Quantity"], ["price", "Price"], ["amount", "Amount"], ["fee", "Fee"], ["account", "Account"]];
const NUMBERS = ["quantity", "price", "amount", "fee"];

/** @param {import("../views.js").Context} context */
export function create(context) {
  return new TradesView(context);
}

class TradesView {
  /** In list order. @type {Trade[]} */
  #trades = [];
  /** @type {Set<number>} */
  #ids = new Set();
  /** @type {string | null} */
  #next = null;
  #filters = new Filters((parameters) => this.#go(parameters));
  /** @type {string | null} */
  #shown = null;
  #order = NEWEST_FIRST;
  /** The totals of all matching trades, if not computed from the loaded ones. @type {Totals | null} */
  #allTotals = null;
  #search = new AbortController();
  #isLoading = false;
  #isVisible = false;
  #form;
  /** @type {TradeDialog | null} */
  #dialog = null;

  #rows = h("div", { role: "rowgroup", id: "trade-rows" });
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
    const trade = parameters.get("trade");
    parameters.delete("trade");
    this.#showTrade(trade);
    this.#filters.show(parameters);
    if (parameters.toString() === this.#shown) return void this.#loadNew();
    this.#shown = parameters.toString();
    this.#load();
  }

  hide() {
    this.#isVisible = false;
    this.#showTrade(null);
  }

  search() {
    this.#filters.focus();
  }

  /** Apply filters and put them into the URL. @param {URLSearchParams} parameters */
  #go(parameters) {
    if (parameters.toString() === this.#shown) return;
    history.replaceState(null, "", toHash(parameters));
    this.#shown = parameters.toString();
    this.#load();
  }

  /** Open the window of a trade and close any other. @param {string | null} id */
  #showTrade(id) {
    if (id === (this.#dialog?.id ?? null)) return;
    const open = this.#dialog;
    this.#dialog = null;
    open?.close();
    if (id === null) return;
    const dialog = new TradeDialog(id, () => {
      if (this.#dialog !== dialog) return;
      this.#dialog = null;
      history.replaceState(null, "", toHash(new URLSearchParams(this.#shown ?? "")));
    }, (changed) => {
      history.replaceState(null, "", toHash(new URLSearchParams([...new URLSearchParams(this.#shown ?? ""), ["trade", String(changed)]])));
      this.#load();
    });
    this.#dialog = dialog;
  }

  /** @param {number} limit */
  #path(limit) {
    return `${TRADES}?${toQuery(new URLSearchParams(this.#shown ?? ""), limit)}`;
  }

  /** Reload the list. */
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
      // Observing it again immediately reports whether the end is still visible after any scrolling.
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

  /** Show trades that others have recorded in the meantime. */
  async #loadNew() {
    const { signal } = this.#search;
    if (this.#isLoading || this.#failure.hasChildNodes() || this.#shown === null) return;
    const before = new Set(this.#ids); // a trade that is recorded meanwhile may be missing from the response
    /** @type {Trade[]} */
    let newest;
    try {
      newest = await get(this.#path(LIVE_PAGE), signal);
    } catch {
      return; // the next poll retries
    }
    if (signal.aborted) return;
    const fresh = newest.filter(({ id }) => !this.#ids.has(id));
    // If the whole page is new, there may be more new trades after it.
    if (fresh.length === LIVE_PAGE && this.#trades.length) return void this.#load();
    const changed = this.#changed(newest).filter(({ id }) => before.has(id));
    for (const { id } of changed) this.#remove(id);
    const current = [...fresh, ...newest.filter(({ id }) => changed.some((trade) => trade.id === id))];
    for (const trade of current) this.#insert(trade);
    if (current.length || changed.length) this.#showState();
  }

  /** Return listed trades that changed or disappeared, within the range of the newest ones. @param {Trade[]} newest */
  #changed(newest) {
    const now = new Map(newest.map((trade) => [trade.id, trade]));
    const last = newest.length === LIVE_PAGE ? newest.at(-1) : null;
    const isTold = (/** @type {Trade} */ trade) => !last || comparison(NEWEST_FIRST)(trade, last) <= 0;
    return this.#trades.filter((trade) => isTold(trade) && JSON.stringify(trade) !== JSON.stringify(now.get(trade.id)));
  }

  /** @param {number} id */
  #remove(id) {
    const index = this.#trades.findIndex((trade) => trade.id === id);
    this.#trades.splice(index, 1);
    this.#rows.children[index]?.remove();
    this.#ids.delete(id);
    this.#allTotals = null;
  }

  /** Insert a trade in sort order. @param {Trade} trade */
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
    this.#form.know(totals.tickers);
    this.#totals.hidden = totals.count === 0;
    this.#totals.replaceChildren(...parts.map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text))));
    if (isPart) this.#totals.append(action("Total all of them", () => this.#totalAll()));
    const filters = new URLSearchParams(this.#shown ?? "");
    const [ticker, prefix] = [filters.get("ticker"), filters.get("ticker_prefix")];
    if (ticker) this.#totals.append(action(`All that begin with ${ticker}`, () => this.#filters.setExact(false)));
    if (prefix && totals.tickers.has(prefix) && totals.tickers.size > 1) this.#totals.append(action(`Only ${prefix}`, () => this.#filters.setExact(true)));
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
   * Load all trades that match the filters, shown or not.
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
        h("span", { role: "columnheader", class: NUMBERS.includes(name) ? `number ${name}` : name, "aria-sort": name === column ? (isDescending ? "descending" : "ascending") : null },
          h("button", { type: "button", class: "sort", onclick: () => this.#sort(name) }, text))),
      h("span", { role: "columnheader", class: "note" }, "Note"),
      h("span", { role: "columnheader", class: "status" }, h("span", { class: "hidden" }, "Details")),
    );
  }

  /** Load all matching trades and sort them. @param {Column} column */
  async #sort(column) {
    const isSame = column === this.#order.column;
    this.#order = { column, isDescending: isSame ? !this.#order.isDescending : column === "time" || NUMBERS.includes(column) };
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
    this.#end.unobserve(this.#more); // older trades would break this sort order
  }

  /** Show a trade that was just recorded here and track its notification. @param {Trade} trade */
  #showRecorded(trade) {
    if (!this.#ids.has(trade.id) && this.#matches(trade)) {
      this.#insert(trade);
      this.#showState();
    }
    const row = this.#rows.querySelector(`[data-id="${trade.id}"]`);
    row?.classList.add("fresh");
    const delivery = h("span", { class: "delivery" });
    row?.querySelector(".note")?.prepend(delivery);
    followDelivery(trade, delivery, () => this.#form.showDelivered(trade));
  }

  /** @param {Trade} trade */
  #matches(trade) {
    const wanted = toQuery(new URLSearchParams(this.#shown ?? ""), PAGE);
    const [ticker, prefix, side, account, tag, status, start, end] = ["ticker", "ticker_prefix", "side", "account", "tag", "status", "start_date", "end_date"].map((name) => wanted.get(name));
    return (
      (!ticker || trade.ticker === ticker) &&
      (!prefix || trade.ticker.startsWith(prefix)) &&
      (!side || trade.side === side) &&
      (!account || trade.account === account) &&
      (!tag || trade.tags.includes(tag)) &&
      status !== "voided" &&
      (!start || Date.parse(trade.timestamp) >= Date.parse(start)) &&
      (!end || Date.parse(trade.timestamp) <= Date.parse(end))
    );
  }
}

/**
 * Return a button in the line of totals.
 * @param {string} text
 * @param {() => void} run
 */
function action(text, run) {
  return h("div", {}, h("dt", { class: "hidden" }, "More"), h("dd", {}, h("button", { type: "button", class: "quiet", onclick: run }, text)));
}

/** @param {URLSearchParams} parameters */
function toHash(parameters) {
  const query = parameters.toString();
  return `#/trades${query ? `?${query}` : ""}`;
}

/** Open a trade's window by adding it to the URL, next to the filters. @param {number} id */
function openTrade(id) {
  const [path, query = ""] = location.hash.split("?");
  location.hash = `${path}?${new URLSearchParams([...new URLSearchParams(query), ["trade", String(id)]])}`;
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
  const { id, ticker, side, price, currency, fee, account, note, tags, status } = trade;
  const isBuy = side === "BUY";
  const quantity = toDecimal(trade.quantity);
  const amount = formatAmount(multiply(price, quantity));
  const isVoided = status === "voided";
  return h(
    "div",
    { class: `trade-row${isVoided ? " voided" : ""}`, role: "row", "data-id": id },
    h("span", { role: "cell", class: "when number" }, timeElement(trade.timestamp)),
    h("span", { role: "cell", class: "ticker" }, ticker, isVoided ? h("span", { class: "hidden" }, " voided") : null),
    h("span", { role: "cell", class: `side ${isBuy ? "buy" : "sell"}` }, isBuy ? "Buy" : "Sell"),
    h("span", { role: "cell", class: "number quantity" }, formatAmount(quantity, 0)),
    h("span", { role: "cell", class: "number price" }, formatAmount(price)),
    h("span", { role: "cell", class: "number amount", title: `${amount} ${currency}` }, amount, h("small", {}, ` ${currency}`)),
    h("span", { role: "cell", class: "number fee" }, Number(fee) ? formatAmount(fee) : ""),
    h("span", { role: "cell", class: "account", title: account }, account),
    h("span", { role: "cell", class: "note", title: note }, isVoided ? h("span", { class: "badge voided" }, "Voided") : null, ...tags.map((tag) => h("span", { class: "badge" }, tag)), note ?? ""),
    h("span", { role: "cell", class: "status" },
      h("button", { type: "button", class: "quiet details-button", "aria-haspopup": "dialog", onclick: () => openTrade(id), "aria-label": `Details of trade ${id}` }, "Details")),
  );
}
