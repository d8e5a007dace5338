// The view of trades: the newest first, filters that live in the URL, older pages as one scrolls, and a form to record one.

import { ApiError, ask, nextPage, read, send } from "./api.js";
import { byId, download, h, setText, showErrors } from "./dom.js";
import { amount, csv, product, timeElement } from "./format.js";

const PAGE = 200;
const TYPING_MS = 300;
const DELIVERY_WAITS_MS = [200, 300, 500, 1_000, 1_000, 2_000, 2_000, 3_000, 5_000, 5_000, 10_000, 30_000, 60_000];

/**
 * @typedef {{id: number, ticker: string, price: string, quantity: number, side: string, timestamp: string, client_trade_id: string | null, recorded_by: string, recorded_at: string, notified_at?: string | null}} Trade
 */

export class TradesView {
  /** @type {Trade[]} */
  #trades = [];
  /** @type {string | null} */
  #next = null;
  #search = new AbortController();
  #isLoading = false;
  #shownFilters = "none yet";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #later;
  #end = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) this.#loadMore();
  }, { rootMargin: "800px" });
  #filters = byId("filters");
  #rows = byId("trade-rows");

  constructor() {
    const typed = () => {
      clearTimeout(this.#later);
      this.#later = setTimeout(() => this.#filter(), TYPING_MS);
    };
    this.#filters.addEventListener("input", typed);
    this.#filters.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#filter();
    });
    this.#filters.addEventListener("reset", () => setTimeout(() => this.#filter()));
    byId("older-trades").addEventListener("click", () => this.#loadMore());
    byId("download-trades").addEventListener("click", () => this.#download());
    this.#rows.addEventListener("click", (event) => this.#toggleDetails(event));
    new RecordForm((trade) => this.#add(trade));
  }

  /** @param {URLSearchParams} parameters */
  show(parameters) {
    const form = /** @type {HTMLFormElement} */ (this.#filters);
    for (const name of ["ticker", "side", "from", "to"]) {
      const input = /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
      const wanted = parameters.get(name) ?? "";
      if (input.value !== wanted && document.activeElement !== input) input.value = wanted;
    }
    if (parameters.toString() !== this.#shownFilters) {
      this.#shownFilters = parameters.toString();
      this.#load(parameters);
    }
  }

  hide() {}

  /** Write the filters into the URL, which shows them. */
  #filter() {
    clearTimeout(this.#later);
    const parameters = new URLSearchParams();
    for (const [name, value] of new FormData(/** @type {HTMLFormElement} */ (this.#filters))) {
      const text = String(value).trim();
      if (text) parameters.set(name, name === "ticker" ? text.toUpperCase() : text);
    }
    const query = parameters.toString();
    history.replaceState(null, "", `#/trades${query ? `?${query}` : ""}`);
    dispatchEvent(new HashChangeEvent("hashchange"));
  }

  /** @param {URLSearchParams} parameters */
  async #load(parameters) {
    this.#search.abort();
    this.#search = new AbortController();
    this.#isLoading = false;
    this.#next = `/api/trades/?${query(parameters)}`;
    byId("trades-table").setAttribute("aria-busy", "true");
    setText(byId("trades-state"), "Loading trades…");
    await this.#loadMore(true);
    byId("trades-table").removeAttribute("aria-busy");
  }

  async #loadMore(isFirst = false) {
    if (this.#isLoading || !this.#next) return;
    this.#isLoading = true;
    const { signal } = this.#search;
    const button = byId("older-trades");
    try {
      const answer = await ask("GET", this.#next, { signal });
      const page = await answer.json();
      if (signal.aborted) return;
      this.#next = nextPage(answer);
      showErrors(/** @type {HTMLFormElement} */ (this.#filters), "filter-error-", []);
      if (isFirst) {
        this.#trades = [];
        this.#rows.replaceChildren();
      }
      const known = new Set(this.#trades.map((trade) => trade.id));
      const fresh = page.filter((/** @type {Trade} */ trade) => !known.has(trade.id));
      this.#trades.push(...fresh);
      this.#rows.append(...fresh.map(row));
      button.hidden = this.#next === null;
      setText(button, "Load older trades");
      setText(byId("trades-state"), this.#counted());
      // Observed anew, it tells at once whether the end is still in sight, however one has scrolled meanwhile.
      this.#end.unobserve(button);
      this.#end.observe(button);
    } catch (error) {
      if (signal.aborted) return;
      this.#fail(error, isFirst);
    } finally {
      if (!signal.aborted) this.#isLoading = false;
    }
  }

  /**
   * @param {unknown} error
   * @param {boolean} isFirst
   */
  #fail(error, isFirst) {
    const button = byId("older-trades");
    if (!(error instanceof ApiError)) throw error;
    if (isFirst) {
      this.#trades = [];
      this.#rows.replaceChildren();
    }
    if (error.isPassing) {
      setText(byId("trades-state"), `${error.message} It is asked again in ${error.retryAfter} s.`);
      setText(button, "Ask again now");
      button.hidden = false;
      const { signal } = this.#search;
      setTimeout(() => !signal.aborted && this.#loadMore(isFirst), error.retryAfter * 1_000);
      if (isFirst) this.#next ??= `/api/trades/?limit=${PAGE}`;
      return;
    }
    this.#next = null;
    button.hidden = true;
    showErrors(/** @type {HTMLFormElement} */ (this.#filters), "filter-error-", error.errors);
    setText(byId("trades-state"), error.errors.length ? "Correct the filter to see trades." : error.message);
  }

  #counted() {
    const count = this.#trades.length;
    if (!count) return this.#shownFilters ? "No trade matches. Change or clear the filters." : "No trades yet. Record the first one with the form.";
    const trades = count === 1 ? "1 trade" : `${amount(String(count), 0)} trades`;
    return this.#next ? `${trades} shown; older ones come as you scroll.` : `${trades} shown, that is all.`;
  }

  /**
   * Show a trade that has just been recorded at its place, and follow its notification.
   * @param {Trade} trade
   */
  #add(trade) {
    if (!this.#trades.some((known) => known.id === trade.id) && this.#matches(trade)) {
      const time = Date.parse(trade.timestamp);
      let index = this.#trades.findIndex((known) => Date.parse(known.timestamp) <= time);
      if (index < 0) index = this.#trades.length;
      this.#trades.splice(index, 0, trade);
      this.#rows.insertBefore(row(trade), this.#rows.children[index] ?? null);
      setText(byId("trades-state"), this.#counted());
    }
    const shown = this.#rows.querySelector(`[data-id="${trade.id}"]`);
    shown?.classList.add("fresh");
    follow(trade, /** @type {HTMLElement | null} */ (shown?.querySelector(".told") ?? null));
  }

  /** @param {Trade} trade */
  #matches(trade) {
    const wanted = new URLSearchParams(query(new URLSearchParams(this.#shownFilters)));
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
    const opened = button?.closest(".trade-row");
    if (!button || !opened) return;
    const isOpen = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!isOpen));
    if (isOpen) return opened.querySelector(".details")?.remove();
    const details = h("div", { class: "details", role: "cell" }, "Loading…");
    opened.append(details);
    try {
      details.replaceChildren(detailsOf(await read(`/api/trades/${opened.getAttribute("data-id")}/`)));
    } catch (error) {
      setText(details, `${/** @type {Error} */ (error).message} Close and open this to ask again.`);
    }
  }

  #download() {
    const header = ["id", "ticker", "price", "quantity", "side", "timestamp", "client_trade_id", "recorded_by", "recorded_at"];
    const rows = this.#trades.map((trade) => header.map((name) => /** @type {any} */ (trade)[name]));
    download("trades.csv", csv([header, ...rows]));
  }
}

/**
 * Return the API's parameters for filters of the page, whose days are the viewer's.
 * @param {URLSearchParams} filters
 */
function query(filters) {
  const wanted = new URLSearchParams({ limit: String(PAGE) });
  const ticker = filters.get("ticker");
  const side = filters.get("side");
  if (ticker) wanted.set("ticker", ticker);
  if (side) wanted.set("side", side);
  const from = filters.get("from");
  const to = filters.get("to");
  if (from) wanted.set("start_date", boundary(from, "00:00:00"));
  if (to) wanted.set("end_date", boundary(to, "23:59:59.999").replace(".999Z", ".999999Z"));
  return wanted.toString();
}

/**
 * @param {string} day
 * @param {string} time
 */
function boundary(day, time) {
  const at = new Date(`${day}T${time}`);
  return Number.isNaN(at.getTime()) ? day : at.toISOString(); // what is no day the API refuses by name
}

/** @param {Trade} trade */
function row(trade) {
  const isBuy = trade.side === "BUY";
  const quantity = String(trade.quantity);
  const open = h(
    "button",
    { type: "button", class: "quiet details-button", "aria-expanded": "false", "aria-label": `Details of trade ${trade.id}`, title: "Details" },
    "⋯",
  );
  return h(
    "div",
    { class: "trade-row", role: "row", "data-id": trade.id },
    h("span", { role: "cell", class: "when number" }, timeElement(trade.timestamp)),
    h("span", { role: "cell", class: "ticker" }, trade.ticker),
    h("span", { role: "cell", class: `side ${isBuy ? "buy" : "sell"}` }, isBuy ? "Buy" : "Sell"),
    h("span", { role: "cell", class: "number quantity" }, amount(quantity, 0)),
    h("span", { role: "cell", class: "number price" }, amount(trade.price)),
    h("span", { role: "cell", class: "number amount" }, amount(product(trade.price, quantity))),
    h("span", { role: "cell", class: "told" }, open),
  );
}

/** @param {Trade} trade */
function detailsOf(trade) {
  const parts = /** @type {[string, Node | string][]} */ ([
    ["Trade", String(trade.id)],
    ["Recorded", timeElement(trade.recorded_at)],
    ["By", trade.recorded_by],
    ["Client's id", trade.client_trade_id ?? "none"],
    ["Notification", trade.notified_at ? timeElement(trade.notified_at) : "not delivered yet"],
  ]);
  return h("dl", {}, ...parts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

/**
 * Ask until a trade's notification is delivered, and say so beside it.
 * @param {Trade} trade
 * @param {HTMLElement | null} place
 */
async function follow(trade, place) {
  const badge = h("span", { class: "badge waiting" }, "On its way…");
  place?.prepend(badge);
  for (const wait of DELIVERY_WAITS_MS) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    let current;
    try {
      current = await read(`/api/trades/${trade.id}/`);
    } catch {
      continue;
    }
    if (!current.notified_at) continue;
    const seconds = (Date.parse(current.notified_at) - Date.parse(current.recorded_at)) / 1_000;
    badge.className = "badge delivered";
    badge.title = `at ${current.notified_at}`;
    setText(badge, `Delivered in ${seconds.toFixed(1)} s`);
    setText(byId("record-outcome"), `Trade ${trade.id} is recorded, and its notification was delivered.`);
    return;
  }
  setText(badge, "Not delivered yet");
}

/** The form. What was filled in is one trade, however often it is sent. */
class RecordForm {
  #form = /** @type {HTMLFormElement} */ (byId("record-form"));
  #outcome = byId("record-outcome");
  #isSending = false;
  #id = crypto.randomUUID();
  /** When "now" was, for as long as the same trade is sent. */
  #now = "";

  /** @param {(trade: Trade) => void} onRecorded */
  constructor(onRecorded) {
    this.onRecorded = onRecorded;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    const toggle = byId("toggle-record");
    toggle.addEventListener("click", () => {
      const isOpen = byId("record").classList.toggle("open");
      toggle.setAttribute("aria-expanded", String(isOpen));
      setText(toggle, isOpen ? "Close" : "Open");
    });
  }

  async #send() {
    if (this.#isSending) return;
    this.#isSending = true;
    const button = /** @type {HTMLElement} */ (this.#form.querySelector("button[type=submit]"));
    button.setAttribute("aria-disabled", "true");
    setText(button, "Recording…");
    try {
      const trade = await send("/api/trades/", this.#body());
      this.#id = crypto.randomUUID();
      this.#now = "";
      showErrors(this.#form, "record-error-", []);
      this.#showState(`Trade ${trade.id} is recorded. Its notification is on its way.`);
      for (const name of ["quantity", "price", "timestamp"]) this.#input(name).value = "";
      this.onRecorded(trade);
      this.#input("quantity").focus();
    } catch (error) {
      this.#refuse(error);
    } finally {
      this.#isSending = false;
      button.removeAttribute("aria-disabled");
      setText(button, "Record the trade");
    }
  }

  /** @param {unknown} error */
  #refuse(error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 409) {
      this.#id = crypto.randomUUID();
      this.#showState("An earlier attempt recorded this form with other values: look for it in the list. Send it again to record another trade.", true);
    } else if (error.isPassing) {
      this.#showState(`${error.message} Nothing is lost: send it again, it is recorded once.`, true);
    } else {
      const elsewhere = showErrors(this.#form, "record-error-", error.errors.filter((each) => each.field !== "client_trade_id"));
      this.#showState(error.errors.length ? ["Correct what is marked.", ...elsewhere].join(" ") : error.message, true);
    }
  }

  #body() {
    const text = (/** @type {string} */ name) => this.#input(name).value.trim();
    const chosen = text("timestamp");
    this.#now ||= new Date().toISOString();
    return {
      ticker: text("ticker").toUpperCase(),
      side: new FormData(this.#form).get("side"),
      quantity: text("quantity"),
      price: text("price"),
      timestamp: chosen ? new Date(chosen).toISOString() : this.#now,
      client_trade_id: this.#id,
    };
  }

  /** @param {string} name */
  #input(name) {
    return /** @type {HTMLInputElement} */ (this.#form.elements.namedItem(name));
  }

  /**
   * @param {string} text
   * @param {boolean} [isBad]
   */
  #showState(text, isBad = false) {
    this.#outcome.classList.toggle("bad", isBad);
    setText(this.#outcome, text);
  }
}
