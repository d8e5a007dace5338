// The price socket: opened with a ticket, reopened with increasing delays when it closes, and monitored for silence.

import { ApiError, post } from "./api.js";
import { TICKET } from "./paths.js";

export const STALLED_MS = 10_000;
const PING_MS = 240_000; // API Gateway closes a socket that is idle for ten minutes
const ANSWER_MS = 10_000;
const WAITS_MS = [500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000];

/**
 * @typedef {{ticker: string, price: string, timestamp: string}} Tick
 * A rise has the low it started from, a fall has the high, and an alert for a price threshold has neither.
 * @typedef {{id: string, ticker: string, price: string, timestamp: string, low_price: string | null, low_timestamp: string | null, rise_percent: string | null,
 *   high_price: string | null, high_timestamp: string | null, fall_percent: string | null, rule: Rule}} Alert
 * @typedef {{id: number | null, ticker: string, kind: "rise" | "fall" | "above" | "below", percent: string | null, window_seconds: number | null, price: string | null, once: boolean}} Rule
 * @typedef {"idle" | "connecting" | "quiet" | "live" | "stalled" | "waiting" | "offline" | "refused"} State
 */

/**
 * Events: `prices` with ticks, `alert` with an alert, `state`, and `missed` when prices resume after a gap.
 */
export class Feed extends EventTarget {
  /** @type {State} */
  state = "idle";
  /** When the last prices arrived, in milliseconds since the epoch. */
  heardAt = 0;
  /** When the next attempt is due. */
  retryAt = 0;
  /** @type {WebSocket | null} */
  #socket = null;
  #attempts = 0;
  #sentAt = 0;
  #isAnswered = true;
  #wasInterrupted = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;

  /** Connect and stay connected while the page is open. */
  start() {
    addEventListener("online", () => this.connect());
    addEventListener("offline", () => this.#lose());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && !this.#socket) this.connect();
    });
    setInterval(() => this.#watch(), 1_000);
    this.connect();
  }

  /** Connect now, without waiting for the next attempt. */
  async connect() {
    clearTimeout(this.#retry);
    this.#drop();
    if (!navigator.onLine) return this.#become("offline");
    this.#become("connecting");
    const attempt = {};
    this.#current = attempt;
    let ticket;
    try {
      ticket = await post(TICKET);
    } catch (error) {
      if (this.#current === attempt) this.#lose(error instanceof ApiError && [401, 403].includes(error.status));
      return;
    }
    if (this.#current !== attempt) return;
    const socket = new WebSocket(ticket.url);
    this.#socket = socket;
    this.#sentAt = Date.now();
    this.#isAnswered = true;
    socket.onopen = () => {
      this.#write({ action: "subscribe", tickers: ["*"] });
      this.#become("quiet");
    };
    socket.onmessage = (event) => this.#take(event.data);
    socket.onclose = () => {
      if (this.#socket === socket) this.#lose();
    };
  }

  /** @type {object | null} */
  #current = null;

  /** @param {string} text */
  #take(text) {
    this.#isAnswered = true;
    const message = JSON.parse(exact(text));
    if (Array.isArray(message)) {
      this.#attempts = 0;
      this.heardAt = Date.now();
      if (this.state !== "live") this.#become("live");
      if (this.#wasInterrupted) {
        this.#wasInterrupted = false;
        this.dispatchEvent(new Event("missed"));
      }
      this.dispatchEvent(new CustomEvent("prices", { detail: message }));
    } else if (message.type === "alert") {
      this.dispatchEvent(new CustomEvent("alert", { detail: message }));
    }
  }

  #watch() {
    const now = Date.now();
    if (this.state === "live" && now - this.heardAt > STALLED_MS) {
      this.#wasInterrupted = true;
      this.#become("stalled");
      this.#write({ action: "ping" }); // tells a quiet market from a dead connection
    }
    if (!this.#socket) return;
    if (!this.#isAnswered && now - this.#sentAt > ANSWER_MS) this.#lose();
    else if (now - this.#sentAt > PING_MS) this.#write({ action: "ping" });
  }

  /** @param {object} message */
  #write(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify(message));
    this.#sentAt = Date.now();
    this.#isAnswered = false;
  }

  #lose(isRefused = false) {
    this.#drop();
    clearTimeout(this.#retry);
    this.#wasInterrupted ||= this.heardAt > 0;
    if (!navigator.onLine) return this.#become("offline");
    const wait = /** @type {number} */ (WAITS_MS[Math.min(this.#attempts, WAITS_MS.length - 1)]) * (0.75 + Math.random() / 2);
    this.#attempts += 1;
    this.retryAt = Date.now() + wait;
    this.#retry = setTimeout(() => this.connect(), wait);
    this.#become(isRefused ? "refused" : "waiting");
  }

  #drop() {
    this.#current = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  /** @param {State} state */
  #become(state) {
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}

/**
 * Prices arrive as JSON numbers: keep their digits as text before JSON.parse converts them to floats.
 * @param {string} text
 */
export function exact(text) {
  return text.replace(/("(?:price|low_price|rise_percent)"\s*:\s*)(-?\d+(?:\.\d+)?)/g, '$1"$2"');
}
