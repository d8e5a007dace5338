// Alerts: the latest ones, muted tickers, and notifications of new alerts.

import { get } from "../core/api.js";
import { h } from "../core/dom.js";
import { ALERTS } from "../core/paths.js";
import { compareInstants } from "../core/time.js";
import { showToast } from "../core/toasts.js";
import { describeAlert } from "./rules.js";

const MUTED_KEY = "trading.muted";
const NOTIFY_KEY = "trading.notify";
const KEPT = 100;
const EVERY_TICKER = "*";

/** @typedef {import("../core/feed.js").Alert} Alert */

/** Emits `change` whenever the alerts to show change. */
export class Alerts extends EventTarget {
  /** Newest first. @type {Alert[]} */
  all = [];
  /** Explains an empty list. */
  state = "Loading alerts…";
  /** @type {Set<string>} */
  #muted = new Set(JSON.parse(localStorage.getItem(MUTED_KEY) ?? "[]"));

  /** @param {import("../core/feed.js").Feed} feed */
  constructor(feed) {
    super();
    feed.addEventListener("alert", (event) => this.#tell(/** @type {CustomEvent<Alert>} */ (event).detail));
    feed.addEventListener("missed", () => this.load());
  }

  /** Load the latest alerts. */
  async load() {
    try {
      this.#keep(await get(`${ALERTS}?limit=100`));
      this.state = "No alerts yet. One appears here when a price meets a rule.";
    } catch (error) {
      this.state = `${/** @type {Error} */ (error).message} New alerts still appear here.`;
    }
    this.#changed();
  }

  /** The alerts of tickers that are not muted, newest first. */
  get shown() {
    return this.all.filter((alert) => !this.#muted.has(alert.ticker));
  }

  /** The muted tickers, sorted. */
  get muted() {
    return [...this.#muted].filter((ticker) => ticker !== EVERY_TICKER).sort();
  }

  get isSilent() {
    return this.#muted.has(EVERY_TICKER);
  }

  /** Mute or unmute a ticker, or all of them. @param {string} [ticker] */
  toggle(ticker = EVERY_TICKER) {
    if (!this.#muted.delete(ticker)) this.#muted.add(ticker);
    localStorage.setItem(MUTED_KEY, JSON.stringify([...this.#muted]));
    this.#changed();
  }

  /** Whether alerts are also shown as browser notifications while another window is in front. */
  get isNotifying() {
    return "Notification" in window && Notification.permission === "granted" && localStorage.getItem(NOTIFY_KEY) === "yes";
  }

  /** Turn browser notifications on or off; the browser asks for permission the first time. */
  async toggleNotifications() {
    const isWanted = !this.isNotifying && (await Notification.requestPermission()) === "granted";
    localStorage.setItem(NOTIFY_KEY, isWanted ? "yes" : "no");
    this.#changed();
  }

  /** @param {Alert} alert */
  #tell(alert) {
    if (this.all.some((known) => known.id === alert.id)) return;
    this.#keep([alert]);
    this.#changed();
    if (this.isSilent || this.#muted.has(alert.ticker)) return;
    const text = describeAlert(alert);
    showToast(h("a", { href: `#/prices?ticker=${alert.ticker}` }, alert.ticker), ` ${text}`);
    if (this.isNotifying && document.hidden) new Notification(`${alert.ticker} ${text}`, { tag: alert.id });
  }

  /** @param {Alert[]} alerts */
  #keep(alerts) {
    const known = new Map([...this.all, ...alerts].map((alert) => [alert.id, alert]));
    this.all = [...known.values()].sort((one, other) => compareInstants(other.timestamp, one.timestamp)).slice(0, KEPT);
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
