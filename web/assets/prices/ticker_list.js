// The list of tickers: search, pin, arrow keys; each with its latest price, its change and the line of its last hour.

import { h, setText, svg } from "../core/dom.js";
import { flash } from "../core/flash.js";
import { formatAmount, formatPercent, trend } from "../core/format.js";
import { formatClock, formatSpan } from "../core/time.js";

const PINNED_KEY = "trading.pinned";
const SPARK = { width: 72, height: 26, seconds: 3_600 };
const LINE_MS = 1_000; // how often a line is drawn anew

/**
 * @typedef {import("./market.js").Stock} Stock
 * @typedef {{item: HTMLElement, button: HTMLElement, pin: HTMLElement, price: HTMLElement, change: HTMLElement, line: Element, shown: string, drawnAt: number}} Row
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

  /** Return the first ticker of the list, if there is one. */
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
   * Show what is new of a ticker.
   * @param {string} ticker
   * @param {boolean} [isFilled] whether its bars are new, too
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
      const change = stock.change();
      showChange(row.change, change);
      row.line.setAttribute("d", sparkline(stock));
      row.button.dataset["trend"] = change ? trend(change.fraction) : "0";
    }
    this.#markStale(row, stock);
  }

  /** Dim what has become old. */
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
    const line = svg("path", { d: "" });
    const price = h("span", { class: "number last" });
    const change = h("span", { class: "number change" });
    const button = h(
      "button",
      { type: "button", class: "ticker-row", "aria-pressed": String(ticker === this.#chosen), onclick: () => this.onChoose(ticker) },
      h("span", { class: "ticker" }, ticker),
      svg("svg", { viewBox: `0 0 ${SPARK.width} ${SPARK.height}`, "aria-hidden": "true" }, line),
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
 * Show a change, and over which time it is, unless that is the hour that is said elsewhere.
 * @param {HTMLElement} element
 * @param {import("./market.js").Change | null} change
 * @param {boolean} [isLong] whether the time is always said
 */
export function showChange(element, change, isLong = false) {
  const isHour = change !== null && Math.abs(change.seconds - SPARK.seconds) <= 300;
  const span = change && (isHour ? "1 h" : formatSpan(change.seconds));
  setText(element, change ? `${formatPercent(change.fraction)}${isLong ? ` in ${span}` : ""}` : "");
  element.title = change ? `In ${span}` : "";
  element.dataset["trend"] = change ? trend(change.fraction) : "0";
}

/** Return the path of the closes of the last hour's bars; where bars are missing, the line is broken. @param {Stock} stock */
function sparkline(stock) {
  const now = stock.latest ? Date.parse(stock.latest.timestamp) / 1_000 : 0;
  const bars = [...stock.bars.values()].filter((bar) => bar.time > now - SPARK.seconds - 300);
  const values = bars.flatMap((bar) => [Number(bar.open), Number(bar.close)]);
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const place = (/** @type {number} */ time, /** @type {string} */ price) => {
    const x = 1 + Math.min(1, Math.max(0, 1 - (now - time) / SPARK.seconds)) * (SPARK.width - 2);
    const y = SPARK.height - 3 - ((Number(price) - low) / span) * (SPARK.height - 6);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  };
  return bars
    .map((bar, index) => {
      const isJoined = index > 0 && bar.time - /** @type {import("./bars.js").Bar} */ (bars[index - 1]).time === 300;
      return `${isJoined ? "L" : "M"}${place(bar.time, bar.open)}L${place(Math.min(bar.time + 300, now), bar.close)}`;
    })
    .join("");
}
