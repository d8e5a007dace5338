// The data of each ticker: its latest price, the ticks since the page was opened, and the API's bars.

import { get } from "../core/api.js";
import { averages } from "../core/paths.js";
import { compareInstants, DAY_MS, startOfDay, toSeconds } from "../core/time.js";
import { BAR_SECONDS, highest, lowest, merge } from "./bars.js";

const TICKS_SECONDS = 1_800; // how long ticks are kept
const MINUTE = 60;
const MINUTES_SECONDS = 43_200; // how long one-minute bars are kept
const PAGE = 5_000; // five-minute bars: 17 days of a market that never closes
const RECENT_MS = 900_000; // age of bars that may still change
const HOUR = 3_600;
const STALE_SECONDS = 60;

/**
 * @typedef {import("../core/feed.js").Tick} Tick
 * @typedef {import("./bars.js").Bar} Bar
 * @typedef {{ticker: string, bucket_start: string, mean: string, open: string, high: string, low: string, close: string, count: number}} Average
 * @typedef {{fraction: number, seconds: number}} Change the change of a price and its time span
 */

/** One ticker. Prices are decimal text. */
export class Stock {
  /** @type {Tick | null} */
  latest = null;
  /** Direction of the last price change: 1, -1, or 0 if there was none yet. */
  direction = 0;
  /** The last price of each second that had one, oldest first. @type {Map<number, string>} */
  ticks = new Map();
  /** Five-minute bars by start, oldest first. The last one may still change. @type {Map<number, Bar>} */
  bars = new Map();
  /** One-minute bars, built from the ticks since the page was opened: the API has none. @type {Map<number, Bar>} */
  minutes = new Map();

  /** @param {string} ticker */
  constructor(ticker) {
    this.ticker = ticker;
  }

  /**
   * Apply a tick, unless a newer one has already arrived. Return whether it was applied.
   * @param {Tick} tick
   */
  take(tick) {
    if (this.latest && compareInstants(tick.timestamp, this.latest.timestamp) < 0) return false;
    if (this.latest) this.direction = Math.sign(Number(tick.price) - Number(this.latest.price)) || this.direction;
    this.latest = tick;
    const second = Math.floor(toSeconds(tick.timestamp));
    this.ticks.set(second, tick.price);
    forget(this.ticks, second - TICKS_SECONDS);
    extend(this.bars, second - (second % BAR_SECONDS), tick.price);
    extend(this.minutes, second - (second % MINUTE), tick.price);
    forget(this.minutes, second - MINUTES_SECONDS);
    return true;
  }

  /**
   * Merge bars from the API, in any order. A local bar may include ticks that the API has not counted yet.
   * @param {Average[]} averages
   */
  fill(averages) {
    for (const { bucket_start: start, open, high, low, close, count } of averages) {
      const time = toSeconds(start);
      const known = this.bars.get(time);
      this.bars.set(time, {
        time,
        open,
        high: known ? highest(high, known.high) : high,
        low: known ? lowest(low, known.low) : low,
        close: known && time === this.#runningStart() ? known.close : close,
        count: Math.max(count, known?.count ?? 0),
      });
    }
    this.bars = new Map([...this.bars].sort(([one], [other]) => one - other));
  }

  #runningStart() {
    if (!this.latest) return null;
    const second = Math.floor(toSeconds(this.latest.timestamp));
    return second - (second % BAR_SECONDS);
  }

  /** Whether the price may be out of date. @param {number} [now] milliseconds */
  isStale(now = Date.now()) {
    return this.latest !== null && now - Date.parse(this.latest.timestamp) > STALE_SECONDS * 1_000;
  }

  /**
   * Return the change since the last price at least an hour old, or since the first known price, whichever is later.
   * @returns {Change | null}
   */
  change() {
    if (!this.latest) return null;
    const now = toSeconds(this.latest.timestamp);
    const from = now - HOUR;
    /** @type {[number, string] | null} */
    let reference = null;
    for (const [start, bar] of this.bars) {
      if (start > from) {
        reference ??= [start, bar.open];
        break;
      }
      // Of the bar that contains the instant, only the start is known to be old enough.
      reference = start + BAR_SECONDS <= from ? [start + BAR_SECONDS, bar.close] : [start, bar.open];
    }
    if (!reference) return null;
    const [time, price] = reference;
    return { fraction: Number(this.latest.price) / Number(price) - 1, seconds: Math.max(0, now - time) };
  }

  /** Return the bar of the latest price's day, in the viewer's time zone, or null if unknown. */
  day() {
    if (!this.latest) return null;
    const from = startOfDay(new Date(this.latest.timestamp)).getTime() / 1_000;
    /** @type {Bar | null} */
    let day = null;
    for (const [start, bar] of this.bars) {
      if (start < from) continue;
      if (day) merge(day, bar);
      else day = { ...bar };
    }
    return day;
  }
}

/**
 * Add a price to the bar that starts at the given time.
 * @param {Map<number, Bar>} bars
 * @param {number} time
 * @param {string} price
 */
function extend(bars, time, price) {
  const bar = { time, open: price, high: price, low: price, close: price, count: 1 };
  const running = bars.get(time);
  if (running) merge(running, bar);
  else bars.set(time, bar);
}

/**
 * Remove entries at or before the given time.
 * @param {Map<number, unknown>} byTime oldest first
 * @param {number} time
 */
function forget(byTime, time) {
  for (const oldest of byTime.keys()) {
    if (oldest > time) break;
    byTime.delete(oldest);
  }
}

/** All tickers. Emits `ticks` after each batch, with its tickers, and `new` after a ticker's first price. */
export class Market extends EventTarget {
  /** @type {Map<string, Stock>} */
  stocks = new Map();
  /** The time from which a ticker's bars are known, in milliseconds. @type {Map<string, number>} */
  #knownSince = new Map();

  /** @param {import("../core/feed.js").Feed} feed */
  constructor(feed) {
    super();
    feed.addEventListener("prices", (event) => this.#take(/** @type {CustomEvent<Tick[]>} */ (event).detail));
    feed.addEventListener("missed", () => this.#knownSince.clear());
  }

  /** Return a ticker, even if it has no price yet. @param {string} ticker */
  stock(ticker) {
    const stock = this.stocks.get(ticker) ?? new Stock(ticker);
    this.stocks.set(ticker, stock);
    return stock;
  }

  /** Return the tickers that have a price, sorted. */
  priced() {
    return [...this.stocks.values()].filter((stock) => stock.latest).map((stock) => stock.ticker).sort();
  }

  /** Whether a ticker's bars have been loaded. @param {string} ticker */
  isFilled(ticker) {
    return this.#knownSince.has(ticker);
  }

  /**
   * Load a ticker's bars since an instant, or only the new ones if those are known. Return whether loading succeeded.
   * @param {string} ticker
   * @param {number} [since] milliseconds; 0 for as many bars as fit a page
   */
  async fill(ticker, since = Date.now() - DAY_MS) {
    const known = this.#knownSince.get(ticker);
    const isKnown = known !== undefined && known <= since;
    const start = isKnown ? Date.now() - RECENT_MS : since;
    const query = new URLSearchParams({ limit: String(PAGE), ...(start ? { start_date: new Date(start).toISOString() } : {}) });
    try {
      /** @type {Average[]} */
      const found = await get(`${averages(ticker)}?${query}`);
      this.stock(ticker).fill(found);
      if (!isKnown) this.#knownSince.set(ticker, since);
      return true;
    } catch {
      return false; // the feed state shows the failure, and the next poll retries
    }
  }

  /** @param {Tick[]} ticks */
  #take(ticks) {
    const tickers = new Set();
    let isNew = false;
    for (const tick of ticks) {
      const stock = this.stock(tick.ticker);
      isNew ||= !stock.latest;
      if (stock.take(tick)) tickers.add(tick.ticker);
    }
    this.dispatchEvent(new CustomEvent("ticks", { detail: tickers }));
    if (isNew) this.dispatchEvent(new Event("new"));
  }
}
