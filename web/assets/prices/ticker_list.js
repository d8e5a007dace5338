// The list of tickers, with search, pins and arrow keys: each with its latest price, change and sparkline.

import { h, setText } from "../core/dom.js";
import { flash } from "../core/flash.js";
import { formatAmount, formatPercent, trend } from "../core/format.js";
import { formatClock, formatSpan } from "../core/time.js";
import { LINE_MS, LINE_SECONDS, Sparkline } from "./sparkline.js";

const PINNED_KEY = "trading.pinned";

/**
 * @typedef {import("./market.js").Stock} Stock
 * @typedef {{item: HTMLElement, button: HTMLElement, pin: HTMLElement, price: HTMLElement, change: HTMLElement, line: Sparkline, shown: string, drawnAt: number}} Row
 */

export class TickerList {
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** @type {Set<string>} */
  #pinned = new Set(JSON.parse(localStorage.getItem(PINNED_KEY) ?? "[]"));
  #chosen = "";
  #search = h("input", { type: "search", class: "upper", "aria-label": "Search tickers", placeholder: "Search", autocomplete: "off", spellcheck: "false", oninput: () => this.list() });
  #list = h("ul", { class: "tickers", "aria-label": "Tickers", onkeydown: (/** @type {KeyboardEvent} */ event) => this.#move(event) },
    ...Array.from({ length: 10 }, () => h("li", { class: "skeleton" })));
  #empty = h("p", { class: "notice", hidden: true });

  /**
   * @param {import("./market.js").Market} market
   * @param {(ticker: string) => void} onChoose
   */
  constructor(market, onChoose) {
    this.market = market;
    this.onChoose = onChoose;
    this.element = h(
      "section",
      { class: "panel tickers-panel", "aria-labelledby": "tickers-title" },
      h("div", { class: "panel-head" }, h("h2", { id: "tickers-title" }, "Tickers"), this.#search),
      this.#list,
      this.#empty,
    );
  }

  search() {
    this.#search.focus();
  }

  /** List the tickers that match the search. */
  list() {
    const wanted = this.#search.value.trim().toUpperCase();
    const all = this.#ordered();
    const ordered = all.filter((ticker) => ticker.includes(wanted));
    this.#list.replaceChildren(...ordered.map((ticker) => this.#row(ticker).item));
    this.#empty.hidden = ordered.length > 0;
    setText(this.#empty, all.length ? `No ticker has “${wanted}” in its name.` : "No prices yet. They appear as soon as a feed publishes some.");
    for (const ticker of ordered) this.paint(ticker);
  }

  /** Return the tickers that have a price, pinned ones first. */
  #ordered() {
    const all = this.market.priced();
    return [...all.filter((ticker) => this.#pinned.has(ticker)), ...all.filter((ticker) => !this.#pinned.has(ticker))];
  }

  /** Return the first ticker in the list, if any. */
  first() {
    return this.#ordered()[0];
  }

  /** @param {string} ticker */
  choose(ticker) {
    this.#rows.get(this.#chosen)?.button.setAttribute("aria-pressed", "false");
    this.#chosen = ticker;
    this.#rows.get(ticker)?.button.setAttribute("aria-pressed", "true");
  }

  /**
   * Update a ticker.
   * @param {string} ticker
   * @param {boolean} [isFilled] whether its bars are also new
   */
  paint(ticker, isFilled = false) {
    const stock = this.market.stocks.get(ticker);
    const row = this.#rows.get(ticker);
    if (!stock?.latest || !row) return;
    const text = formatAmount(stock.latest.price);
    if (row.shown && row.shown !== text) flash(row.price, stock.direction);
    row.shown = text;
    setText(row.price, text);
    const now = performance.now();
    if (isFilled || now - row.drawnAt > LINE_MS) {
      row.drawnAt = now;
      showChange(row.change, stock.change());
      row.line.draw(stock);
    }
    this.#markStale(row, stock);
  }

  /** Dim stale prices. */
  markStale() {
    for (const [ticker, row] of this.#rows) this.#markStale(row, this.market.stock(ticker));
  }

  /**
   * @param {Row} row
   * @param {Stock} stock
   */
  #markStale(row, stock) {
    const isStale = stock.isStale();
    row.item.classList.toggle("stale", isStale);
    if (isStale && stock.latest) {
      setText(row.change, formatClock(new Date(stock.latest.timestamp)).slice(0, 5));
      row.change.title = `No price for ${formatSpan((Date.now() - Date.parse(stock.latest.timestamp)) / 1_000)}`;
    }
  }

  /**
   * @param {string} ticker
   * @returns {Row}
   */
  #row(ticker) {
    const known = this.#rows.get(ticker);
    if (known) return known;
    const line = new Sparkline();
    const price = h("span", { class: "number last" });
    const change = h("span", { class: "number change" });
    const button = h(
      "button",
      { type: "button", class: "ticker-row", "aria-pressed": String(ticker === this.#chosen), onclick: () => this.onChoose(ticker) },
      h("span", { class: "ticker" }, ticker),
      line.element,
      price,
      change,
    );
    const pin = h("button", { type: "button", class: "icon pin", onclick: () => this.#togglePin(ticker) });
    const row = { item: h("li", {}, pin, button), button, pin, price, change, line, shown: "", drawnAt: -Infinity };
    this.#rows.set(ticker, row);
    this.#showPin(ticker);
    return row;
  }

  /** @param {string} ticker */
  #togglePin(ticker) {
    if (!this.#pinned.delete(ticker)) this.#pinned.add(ticker);
    localStorage.setItem(PINNED_KEY, JSON.stringify([...this.#pinned]));
    this.#showPin(ticker);
    this.list();
    this.#rows.get(ticker)?.pin.focus();
  }

  /** @param {string} ticker */
  #showPin(ticker) {
    const { pin } = this.#row(ticker);
    const isPinned = this.#pinned.has(ticker);
    setText(pin, isPinned ? "★" : "☆");
    pin.setAttribute("aria-pressed", String(isPinned));
    pin.setAttribute("aria-label", `Pin ${ticker}`);
    pin.title = isPinned ? "Pinned to the top" : "Pin to the top";
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = /** @type {HTMLElement[]} */ ([...this.#list.querySelectorAll(".ticker-row")]);
    const focused = buttons.findIndex((button) => button.parentElement?.contains(document.activeElement));
    const next = buttons[Math.min(buttons.length - 1, Math.max(0, focused + step))];
    next?.focus();
    next?.click();
  }
}

/**
 * Show a change, with its time span in the text or only in the title.
 * @param {HTMLElement} element
 * @param {import("./market.js").Change | null} change
 * @param {boolean} [isLong] whether the text includes the time span
 */
export function showChange(element, change, isLong = false) {
  const isHour = change !== null && Math.abs(change.seconds - LINE_SECONDS) <= 300;
  const span = change && (isHour ? "1 h" : formatSpan(change.seconds));
  setText(element, change ? `${formatPercent(change.fraction)}${isLong ? ` in ${span}` : ""}` : "");
  element.title = change ? `In ${span}` : "";
  element.dataset["trend"] = change ? trend(change.fraction) : "0";
}
