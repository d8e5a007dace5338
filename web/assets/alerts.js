// Alerts: kept in a list, told at once, and muted by ticker or altogether.

import { read } from "./api.js";
import { byId, h, setText } from "./dom.js";
import { amount, timeElement } from "./format.js";

const MUTED = "trading.muted";
const SHOWN = 100;
const TOAST_MS = 8_000;

/** @typedef {import("./feed.js").Alert} Alert */

/** The alerts that are known, newest first. An event `change` follows whatever changes what is shown. */
export class Alerts extends EventTarget {
  /** @type {Alert[]} */
  all = [];
  /** @type {Set<string>} Tickers, and `*` for all of them. */
  #muted = new Set(JSON.parse(localStorage.getItem(MUTED) ?? "[]"));
  #state = "Loading alerts…";

  constructor() {
    super();
    byId("mute-all").addEventListener("click", () => this.#toggle("*"));
    this.#show();
  }

  /** Read the latest ones, once more after a gap. */
  async load() {
    try {
      this.#keep(await read("/api/alerts/?limit=100"));
      this.#state = "No alerts yet. One appears here as soon as a price rises by more than 2 % within a minute.";
    } catch (error) {
      this.#state = `${/** @type {Error} */ (error).message} New alerts will still appear here.`;
    }
    this.#show();
  }

  /**
   * Tell of an alert that has just come.
   * @param {Alert} alert
   */
  tell(alert) {
    if (this.all.some((known) => known.id === alert.id)) return;
    this.#keep([alert]);
    this.#show();
    if (this.isMuted(alert.ticker)) return;
    const toast = h(
      "a",
      { class: "toast", href: `#/prices?ticker=${alert.ticker}` },
      h("strong", {}, alert.ticker),
      ` rose ${alert.rise_percent} % to ${amount(alert.price)} within a minute`,
    );
    byId("toasts").append(toast);
    setTimeout(() => toast.remove(), TOAST_MS);
  }

  /** @param {string} ticker */
  isMuted(ticker) {
    return this.#muted.has(ticker) || this.#muted.has("*");
  }

  /** @param {string} ticker */
  of(ticker) {
    return this.#muted.has(ticker) ? [] : this.all.filter((alert) => alert.ticker === ticker);
  }

  /** @param {Alert[]} alerts */
  #keep(alerts) {
    const known = new Map([...this.all, ...alerts].map((alert) => [alert.id, alert]));
    this.all = [...known.values()].sort((one, other) => other.timestamp.localeCompare(one.timestamp)).slice(0, SHOWN);
  }

  /** @param {string} ticker */
  #toggle(ticker) {
    if (!this.#muted.delete(ticker)) this.#muted.add(ticker);
    localStorage.setItem(MUTED, JSON.stringify([...this.#muted]));
    this.#show();
  }

  #show() {
    const isSilent = this.#muted.has("*");
    const button = byId("mute-all");
    button.setAttribute("aria-pressed", String(isSilent));
    setText(button, isSilent ? "Muted" : "Mute all");
    byId("muted").replaceChildren(...[...this.#muted].filter((ticker) => ticker !== "*").sort().map((ticker) => {
      const chip = h("button", { type: "button", class: "chip", "aria-label": `Unmute ${ticker}` }, `${ticker} muted ✕`);
      chip.addEventListener("click", () => this.#toggle(ticker));
      return chip;
    }));
    const shown = this.all.filter((alert) => !this.#muted.has(alert.ticker));
    const rows = shown.map((alert) => this.#row(alert));
    byId("alerts").replaceChildren(...(rows.length ? rows : [h("li", { class: "empty" }, this.all.length ? "All of them are muted." : this.#state)]));
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Alert} alert */
  #row(alert) {
    const mute = h("button", { type: "button", class: "quiet mute", "aria-label": `Mute ${alert.ticker}`, title: `Mute ${alert.ticker}` }, "Mute");
    mute.addEventListener("click", () => {
      this.#toggle(alert.ticker);
      byId("alerts").focus();
    });
    return h(
      "li",
      {},
      h("a", { class: "alert-ticker", href: `#/prices?ticker=${alert.ticker}` }, alert.ticker),
      h("span", { class: "rise number" }, `+${alert.rise_percent} %`),
      h("span", { class: "muted number path" }, `${amount(alert.low_price)} → ${amount(alert.price)}`),
      h("span", { class: "muted number when" }, timeElement(alert.timestamp, isOfAnotherDay(alert.timestamp))),
      mute,
    );
  }
}

/** @param {string} instant */
function isOfAnotherDay(instant) {
  return new Date(instant).toDateString() !== new Date().toDateString();
}
