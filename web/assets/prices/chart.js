// The chart of a ticker: bars as candles or a line, with the number of ticks below, or the ticks themselves, plus
// alerts, own trades, and the price levels of alert rules.

import { color, makeChart } from "../charts/library.js";
import { decimalsOf, formatFloat } from "../core/format.js";
import { toSeconds } from "../core/time.js";
import { barsOf, intervalStart, nextStart } from "./bars.js";
import { alertMarks, ruleLines, tradeMarks } from "./chart_marks.js";

/**
 * @typedef {import("../charts/library.js").Library} Library
 * @typedef {import("./market.js").Stock} Stock
 * @typedef {import("./bars.js").Bar} Bar
 * @typedef {import("./bars.js").Interval} Interval
 * @typedef {import("./chart_marks.js").Marks} Marks
 * @typedef {"candles" | "line"} Style
 */

/** The bars shown at first, and the maximum period drawn. @type {Record<Interval, {bars: number, seconds: number}>} */
const SPANS = {
  "1min": { bars: 60, seconds: 43_200 },
  "5min": { bars: 96, seconds: 3 * 86_400 },
  hour: { bars: 96, seconds: 30 * 86_400 },
  day: { bars: 60, seconds: 366 * 86_400 },
};
const FEWEST_SLOTS = 24; // keeps a single candle from filling the chart
const LIVE_STEP = 5; // seconds per point on the axis
const LIVE_SECONDS = 300; // seconds shown at first
const LIVE_GAP = 60; // seconds without a tick that break the line

export class PriceChart {
  /** @type {"live" | Interval} */
  #mode = "5min";
  /** @type {Style} */
  #style = "candles";
  /** @type {Stock | null} */
  #stock = null;
  /** The times on the axis. @type {number[]} */
  #slots = [];
  /** @type {Map<number, Bar>} The bars on the chart, by their start. */
  #bars = new Map();
  /** @type {Marks} */
  #marks = { alerts: [], trades: [], rules: [] };
  /** Removes the rule lines. */
  #removeLines = () => {};

  /**
   * @param {Library} library
   * @param {HTMLElement} element
   * @param {(bar: Bar | null, price: string | null) => void} onHover
   * @param {AbortSignal} [signal] removes the chart
   */
  constructor(library, element, onHover, signal) {
    this.chart = makeChart(library, element, () => this.#recolor(), signal);
    const quiet = /** @type {const} */ ({ priceLineVisible: false, lastValueVisible: false });
    // Points without a value keep the axis evenly spaced: the library gives every point the same width.
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
   * Redraw a ticker and show its latest part.
   * @param {Stock} stock
   * @param {"live" | Interval} mode
   * @param {Style} style
   * @param {Marks} marks of the ticker
   * @returns {number} number of bars or ticks drawn
   */
  draw(stock, mode, style, marks) {
    const isOther = stock !== this.#stock || mode !== this.#mode;
    const isAtEnd = isOther || this.#isAtEnd();
    this.#stock = stock;
    this.#mode = mode;
    this.#style = style;
    this.#useFormat(stock);
    this.chart.timeScale().applyOptions({ secondsVisible: false });
    const drawn = mode === "live" ? this.#drawTicks(stock) : this.#drawBars(stock, mode);
    this.#mark(marks);
    if (isAtEnd) this.#showLatest();
    return drawn;
  }

  /** Whether the latest price is visible, that is, the chart has not been scrolled into the past. */
  #isAtEnd() {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    return range === null || range.to >= this.#slots.length - 1;
  }

  /** Scroll to the latest part of the chart. */
  #showLatest() {
    const slots = this.#slots.length;
    const most = this.#mode === "live" ? LIVE_SECONDS / LIVE_STEP : SPANS[this.#mode].bars;
    const shown = Math.min(most, Math.max(slots, FEWEST_SLOTS));
    this.chart.timeScale().setVisibleLogicalRange({ from: slots - shown, to: slots + 2 });
  }

  /** Update the chart with the latest price. */
  update() {
    const stock = this.#stock;
    if (!stock?.latest) return;
    const mode = this.#mode;
    const second = Math.floor(toSeconds(stock.latest.timestamp));
    const time = mode === "live" ? second - (second % LIVE_STEP) : intervalStart(second, mode);
    const last = this.#slots.at(-1);
    const isGap = last !== undefined && (mode === "live" ? time - last > LIVE_GAP : time > nextStart(last, mode));
    if (last === undefined || time < last || isGap) {
      this.draw(stock, mode, this.#style, this.#marks);
      return;
    }
    const step = mode === "live" ? LIVE_STEP : time - last;
    for (let slot = last + step; slot <= time && step > 0; slot += step) {
      this.#slots.push(slot);
      this.grid.update(/** @type {any} */ ({ time: slot }));
    }
    if (mode === "live") this.line.update(/** @type {any} */ (toPoint(time, stock.latest.price)));
    else this.#put(this.#running(stock, mode, time));
  }

  /**
   * @param {Stock} stock
   * @param {Interval} interval
   * @param {number} time
   */
  #running(stock, interval, time) {
    return /** @type {Bar} */ (barsOf(stock, interval, time).at(-1));
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
    const bars = barsOf(stock, interval, newest - SPANS[interval].seconds);
    this.#bars = new Map(bars.map((bar) => [bar.time, bar]));
    /** @type {number[]} */
    const slots = [];
    const last = bars.at(-1)?.time ?? 0;
    for (let time = bars[0]?.time ?? 1; time <= last; time = nextStart(time, interval)) slots.push(time);
    this.#setSlots(slots);
    this.counts.setData(/** @type {any} */ (bars.map((bar) => this.#toCount(bar))));
    const isCandles = this.#style === "candles";
    this.candles.setData(/** @type {any} */ (isCandles ? bars.map(toCandle) : []));
    const points = bars.map((bar, index) => {
      const next = bars[index + 1];
      return toPoint(bar.time, bar.close, next !== undefined && next.time > nextStart(bar.time, interval));
    });
    this.line.setData(/** @type {any} */ (isCandles ? [] : points));
    return bars.length;
  }

  /** @param {number[]} slots */
  #setSlots(slots) {
    this.#slots = slots;
    this.grid.setData(/** @type {any} */ (slots.map((time) => ({ time }))));
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
    /** @type {number[]} */
    const slots = [];
    for (let time = first; time <= last; time += LIVE_STEP) slots.push(time);
    this.#setSlots(slots);
    this.counts.setData([]);
    this.candles.setData([]);
    this.line.setData(/** @type {any} */ (times.map((time, index) => toPoint(time, /** @type {string} */ (stepped.get(time)), (times[index + 1] ?? time) - time > LIVE_GAP))));
    return times.length;
  }

  /** @param {Marks} marks */
  #mark(marks) {
    this.#marks = marks;
    const mode = this.#mode;
    const first = mode === "live" ? (this.#stock?.ticks.keys().next().value ?? Infinity) : (this.#slots[0] ?? Infinity);
    const place = (/** @type {string} */ instant) => {
      const second = Math.floor(toSeconds(instant));
      if (second < first) return null;
      return mode === "live" ? second - (second % LIVE_STEP) : intervalStart(second, mode);
    };
    const isTerse = mode === "day" || this.chart.chartElement().clientWidth < 600;
    const all = [...alertMarks(marks.alerts, place, isTerse), ...tradeMarks(marks.trades, place, isTerse)].sort((one, other) => one.time - other.time);
    const isCandles = mode !== "live" && this.#style === "candles";
    this.marksOfCandles.setMarkers(/** @type {any} */ (isCandles ? all : []));
    this.marksOfLine.setMarkers(/** @type {any} */ (isCandles ? [] : all));
    this.#removeLines();
    const series = isCandles ? this.candles : this.line;
    const lines = ruleLines(marks.rules).map((line) => series.createPriceLine(line));
    this.#removeLines = () => lines.forEach((line) => series.removePriceLine(line));
  }

  /** @param {Stock} stock */
  #useFormat(stock) {
    const price = stock.latest?.price ?? [...stock.bars.values()].at(-1)?.close ?? "0.00";
    const decimals = decimalsOf(price);
    const format = /** @type {const} */ ({ type: "custom", minMove: 10 ** -decimals, formatter: (/** @type {number} */ value) => formatFloat(value, decimals) });
    for (const series of [this.grid, this.line, this.candles]) series.applyOptions({ priceFormat: /** @type {any} */ (format) });
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
    if (this.#stock) this.draw(this.#stock, this.#mode, this.#style, this.#marks);
  }
}

/** @param {Bar} bar */
function toCandle({ time, open, high, low, close }) {
  return { time, open: Number(open), high: Number(high), low: Number(low), close: Number(close) };
}

/**
 * @param {number} time
 * @param {string} price
 * @param {boolean} [isBeforeGap] a point's color applies to the line from it to the next point
 */
function toPoint(time, price, isBeforeGap = false) {
  return { time, value: Number(price), customValues: { text: price }, ...(isBeforeGap ? { color: "transparent" } : {}) };
}

