// What is known of each ticker: its latest price, ticks since the page was opened, averages of before and of gaps.

const KEPT_SECONDS = 4 * 3_600;
const BUCKET = 300; // seconds

/**
 * @typedef {import("./feed.js").Tick} Tick
 * @typedef {{ticker: string, bucket_start: string, mean: string, open: string, high: string, low: string, close: string, count: number}} Average
 * @typedef {{time: number, value: number, customValues: {text: string}}} Point seconds since the epoch, a price to draw, and to show
 */

/** One ticker. Texts are shown, numbers are drawn. */
export class Stock {
  /** @param {string} ticker */
  constructor(ticker) {
    this.ticker = ticker;
    /** @type {Tick | null} */
    this.latest = null;
    /** The last price of each second, oldest first. @type {Map<number, string>} */
    this.ticks = new Map();
    /** By the second at which they begin. @type {Map<number, Average>} */
    this.averages = new Map();
    this.direction = 0;
  }

  /**
   * Take a tick, unless a newer one came already.
   * @param {Tick} tick
   */
  take(tick) {
    if (this.latest && tick.timestamp < this.latest.timestamp) return;
    if (this.latest) this.direction = Math.sign(Number(tick.price) - Number(this.latest.price)) || this.direction;
    this.latest = tick;
    const second = Math.floor(Date.parse(tick.timestamp) / 1_000);
    this.ticks.set(second, tick.price);
    for (const oldest of this.ticks.keys()) {
      if (oldest > second - KEPT_SECONDS) break;
      this.ticks.delete(oldest);
    }
  }

  /**
   * Learn the two prices that an alert tells of.
   * @param {import("./feed.js").Alert} alert
   */
  learn(alert) {
    for (const [instant, price] of [[alert.low_timestamp, alert.low_price], [alert.timestamp, alert.price]]) {
      const second = Math.floor(Date.parse(/** @type {string} */ (instant)) / 1_000);
      if (!this.ticks.has(second)) this.ticks.set(second, /** @type {string} */ (price));
    }
  }

  /** @param {Average[]} averages */
  fill(averages) {
    for (const average of averages) this.averages.set(Date.parse(average.bucket_start) / 1_000, average);
    this.averages = new Map([...this.averages].sort(([one], [other]) => one - other));
  }

  /**
   * Return prices from an instant on, the last of each step. Where no ticks are known, averages tell the open and close.
   * @param {number} from seconds
   * @param {number} step seconds
   * @returns {Point[]}
   */
  prices(from, step) {
    /** @type {Map<number, string>} */
    const texts = new Map();
    /** @type {Set<number>} */
    const ticked = new Set();
    for (const second of this.ticks.keys()) ticked.add(second - (second % 60));
    const newest = (this.latest ? Date.parse(this.latest.timestamp) : Date.now()) / 1_000;
    for (const [start, average] of this.averages) {
      for (const [second, text] of /** @type {[number, string][]} */ ([[start, average.open], [start + BUCKET - 1, average.close]])) {
        const at = Math.min(second, newest);
        if (at >= from && !ticked.has(at - (at % 60))) texts.set(at, text);
      }
    }
    for (const [second, text] of this.ticks) if (second >= from) texts.set(second, text);
    /** @type {Map<number, string>} */
    const stepped = new Map();
    for (const [second, text] of [...texts].sort(([one], [other]) => one - other)) stepped.set(second - (second % step), text);
    return [...stepped].map(([time, text]) => point(time, text));
  }

  /**
   * Return the five-minute averages, each where it begins.
   * @param {number} from seconds
   * @param {number} step seconds
   * @returns {Point[]}
   */
  means(from, step) {
    return [...this.averages]
      .filter(([start]) => start + BUCKET > from)
      .map(([start, average]) => point(Math.max(start, from) - (Math.max(start, from) % step), average.mean));
  }

  /** Return how much the price changed in an hour, as a fraction, or null where that is not known. */
  change() {
    if (!this.latest) return null;
    const from = Date.parse(this.latest.timestamp) / 1_000 - 3_600;
    const first = this.prices(from, 1)[0];
    return first && first.value ? Number(this.latest.price) / first.value - 1 : null;
  }
}

/**
 * @param {number} time
 * @param {string} text
 * @returns {Point}
 */
export function point(time, text) {
  return { time, value: Number(text), customValues: { text } };
}
