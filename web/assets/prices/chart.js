// The chart of a ticker: bars as candles or as a line, with the number of ticks below, or the ticks themselves.

import { color, makeChart } from "../charts/library.js";
import { decimalsOf, formatFloat } from "../core/format.js";
import { toSeconds } from "../core/time.js";
import { aggregate, intervalStart, nextStart } from "./bars.js";

/**
 * @typedef {import("../charts/library.js").Library} Library
 * @typedef {import("./market.js").Stock} Stock
 * @typedef {import("./bars.js").Bar} Bar
 * @typedef {import("./bars.js").Interval} Interval
 * @typedef {import("../core/feed.js").Alert} Alert
 * @typedef {"candles" | "line"} Style
 */

/** How much is shown at first, and how much of it may be empty. @type {Record<Interval, {bars: number, seconds: number}>} */
export const SPANS = {
  "5min": { bars: 96, seconds: 3 * 86_400 },
  hour: { bars: 96, seconds: 30 * 86_400 },
  day: { bars: 60, seconds: 366 * 86_400 },
};
const LIVE_STEP = 5; // seconds that share a place on the axis
const LIVE_SECONDS = 900;
const LIVE_GAP = 60; // seconds without a tick that break the line

export class PriceChart {
  /** @type {"live" | Interval} */
  #mode = "5min";
  /** @type {Style} */
  #style = "candles";
  /** @type {Stock | null} */
  #stock = null;
  #lastTime = 0;
  /** @type {Map<number, Bar>} The bars on the chart, by their start. */
  #bars = new Map();

  /**
   * @param {Library} library
   * @param {HTMLElement} element
   * @param {(bar: Bar | null, price: string | null) => void} onHover
   */
  constructor(library, element, onHover) {
    this.chart = makeChart(library, element, () => this.#recolor());
    const quiet = /** @type {const} */ ({ priceLineVisible: false, lastValueVisible: false });
    // Points without a value keep the axis even: the library gives every point the same room.
    this.grid = this.chart.addSeries(library.LineSeries, quiet);
    this.counts = this.chart.addSeries(library.HistogramSeries, { ...quiet, priceScaleId: "counts" });
    this.chart.priceScale("counts").applyOptions({ scaleMargins: { top: 0.86, bottom: 0 } });
    this.candles = this.chart.addSeries(library.CandlestickSeries, { priceLineVisible: true, borderVisible: false });
    this.line = this.chart.addSeries(library.LineSeries, { ...quiet, lastValueVisible: true, priceLineVisible: true, lineWidth: 2 });
    this.marksOfCandles = library.createSeriesMarkers(this.candles, []);
    this.marksOfLine = library.createSeriesMarkers(this.line, []);
    this.chart.subscribeCrosshairMove((moved) => {
      const price = /** @type {any} */ (moved.seriesData.get(this.line))?.customValues?.text ?? null;
      onHover(this.#bars.get(Number(moved.time)) ?? null, price);
    });
    this.#recolor();
  }

  /**
   * Draw a ticker anew, and show its latest part.
   * @param {Stock} stock
   * @param {"live" | Interval} mode
   * @param {Style} style
   * @param {Alert[]} alerts of this ticker
   * @returns {number} how many bars or ticks are drawn
   */
  draw(stock, mode, style, alerts) {
    const isOther = stock !== this.#stock || mode !== this.#mode;
    const isAtEnd = isOther || this.#isAtEnd();
    this.#stock = stock;
    this.#mode = mode;
    this.#style = style;
    this.#useFormat(stock);
    this.chart.timeScale().applyOptions({ secondsVisible: false });
    const drawn = mode === "live" ? this.#drawTicks(stock) : this.#drawBars(stock, mode);
    this.#mark(alerts);
    if (isAtEnd) this.#showLatest();
    return drawn;
  }

  /** Whether the latest price is in sight: nobody has moved the chart into the past. */
  #isAtEnd() {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    return range === null || range.to >= this.grid.data().length - 1;
  }

  /** Move to the latest part of what is drawn. */
  #showLatest() {
    const slots = this.grid.data().length;
    const shown = this.#mode === "live" ? LIVE_SECONDS / LIVE_STEP : SPANS[this.#mode].bars;
    this.chart.timeScale().setVisibleLogicalRange({ from: slots - shown, to: slots + 2 });
  }

  /** Draw what is new of the latest price. */
  update() {
    const stock = this.#stock;
    if (!stock?.latest) return;
    const mode = this.#mode;
    const second = Math.floor(toSeconds(stock.latest.timestamp));
    const time = mode === "live" ? second - (second % LIVE_STEP) : intervalStart(second, mode);
    const isGap = mode === "live" ? time - this.#lastTime > LIVE_GAP : this.#lastTime > 0 && time > nextStart(this.#lastTime, mode);
    if (time < this.#lastTime || isGap || !this.#lastTime) {
      this.draw(stock, mode, this.#style, this.#alerts);
      return;
    }
    if (mode === "live") {
      for (let slot = this.#lastTime + LIVE_STEP; slot <= time; slot += LIVE_STEP) this.grid.update(/** @type {any} */ ({ time: slot }));
      this.line.update(/** @type {any} */ (toPoint(time, stock.latest.price)));
    } else {
      this.grid.update(/** @type {any} */ ({ time }));
      this.#put(this.#running(stock, mode, time));
    }
    this.#lastTime = time;
  }

  /**
   * @param {Stock} stock
   * @param {Interval} interval
   * @param {number} time
   */
  #running(stock, interval, time) {
    const bars = [...stock.bars.values()].filter((bar) => bar.time >= time);
    return /** @type {Bar} */ (aggregate(bars, interval).at(-1));
  }

  /** @param {Bar} bar */
  #put(bar) {
    this.#bars.set(bar.time, bar);
    this.counts.update(/** @type {any} */ (this.#toCount(bar)));
    if (this.#style === "candles") this.candles.update(/** @type {any} */ (toCandle(bar)));
    else this.line.update(/** @type {any} */ (toPoint(bar.time, bar.close)));
  }

  /**
   * @param {Stock} stock
   * @param {Interval} interval
   */
  #drawBars(stock, interval) {
    const newest = [...stock.bars.keys()].at(-1) ?? 0;
    const bars = aggregate([...stock.bars.values()].filter((bar) => bar.time > newest - SPANS[interval].seconds), interval);
    this.#bars = new Map(bars.map((bar) => [bar.time, bar]));
    const slots = [];
    const last = bars.at(-1)?.time ?? 0;
    for (let time = bars[0]?.time ?? 1; time <= last; time = nextStart(time, interval)) slots.push({ time });
    this.grid.setData(/** @type {any} */ (slots));
    this.counts.setData(/** @type {any} */ (bars.map((bar) => this.#toCount(bar))));
    const isCandles = this.#style === "candles";
    this.candles.setData(/** @type {any} */ (isCandles ? bars.map(toCandle) : []));
    const points = bars.map((bar, index) => {
      const next = bars[index + 1];
      return toPoint(bar.time, bar.close, next !== undefined && next.time > nextStart(bar.time, interval));
    });
    this.line.setData(/** @type {any} */ (isCandles ? [] : points));
    this.#lastTime = last;
    return bars.length;
  }

  /** @param {Stock} stock */
  #drawTicks(stock) {
    this.#bars = new Map();
    /** @type {Map<number, string>} */
    const stepped = new Map();
    for (const [second, price] of stock.ticks) stepped.set(second - (second % LIVE_STEP), price);
    const times = [...stepped.keys()];
    const last = times.at(-1) ?? 0;
    const first = Math.min(times[0] ?? 0, last - LIVE_SECONDS);
    const slots = [];
    for (let time = first; time <= last; time += LIVE_STEP) slots.push({ time });
    this.grid.setData(/** @type {any} */ (slots));
    this.counts.setData([]);
    this.candles.setData([]);
    this.line.setData(/** @type {any} */ (times.map((time, index) => toPoint(time, /** @type {string} */ (stepped.get(time)), (times[index + 1] ?? time) - time > LIVE_GAP))));
    this.#lastTime = last;
    return times.length;
  }

  /** @type {Alert[]} */
  #alerts = [];

  /** @param {Alert[]} alerts */
  #mark(alerts) {
    this.#alerts = alerts;
    const first = Number(this.grid.data()[0]?.time ?? Infinity);
    const mode = this.#mode;
    const marks = alerts
      .map((alert) => ({ alert, second: Math.floor(toSeconds(alert.timestamp)) }))
      .filter(({ second }) => second >= first)
      .map(({ alert, second }) => ({
        time: /** @type {any} */ (mode === "live" ? second - (second % LIVE_STEP) : intervalStart(second, mode)),
        position: /** @type {const} */ ("aboveBar"),
        shape: /** @type {const} */ ("arrowDown"),
        size: 1,
        color: color("--alert"),
        text: mode === "day" ? "" : `+${alert.rise_percent} %`,
      }))
      .sort((one, other) => one.time - other.time);
    const isCandles = mode !== "live" && this.#style === "candles";
    this.marksOfCandles.setMarkers(isCandles ? marks : []);
    this.marksOfLine.setMarkers(isCandles ? [] : marks);
  }

  /** @param {Stock} stock */
  #useFormat(stock) {
    const price = stock.latest?.price ?? [...stock.bars.values()].at(-1)?.close ?? "0.00";
    const decimals = decimalsOf(price);
    const format = /** @type {const} */ ({ type: "custom", minMove: 10 ** -decimals, formatter: (/** @type {number} */ value) => formatFloat(value, decimals) });
    for (const series of [this.grid, this.line, this.candles]) series.applyOptions({ priceFormat: /** @type {any} */ (format) });
    this.chart.applyOptions({ localization: { priceFormatter: format.formatter } });
  }

  /** @param {Bar} bar */
  #toCount(bar) {
    return { time: bar.time, value: bar.count, color: color("--line") };
  }

  #recolor() {
    if (!this.marksOfLine) return;
    const [buy, sell] = [color("--buy"), color("--sell")];
    this.candles.applyOptions({ upColor: buy, wickUpColor: buy, downColor: sell, wickDownColor: sell });
    this.line.applyOptions({ color: color("--accent") });
    if (this.#stock) this.draw(this.#stock, this.#mode, this.#style, this.#alerts);
  }
}

/** @param {Bar} bar */
function toCandle({ time, open, high, low, close }) {
  return { time, open: Number(open), high: Number(high), low: Number(low), close: Number(close) };
}

/**
 * @param {number} time
 * @param {string} price
 * @param {boolean} [isBeforeGap] a point's color is that of the line from it to the next one
 */
function toPoint(time, price, isBeforeGap = false) {
  return { time, value: Number(price), customValues: { text: price }, ...(isBeforeGap ? { color: "transparent" } : {}) };
}

