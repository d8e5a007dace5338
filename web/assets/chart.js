// The chart library in the page's colours, its time in the viewer's zone. It is loaded with the first chart.

import { clock, day, utc } from "./format.js";
import { point } from "./market.js";

/**
 * @typedef {import("./market.js").Point} Point
 * @typedef {typeof import("./vendor/lightweight-charts.js")} Library
 * @typedef {import("./vendor/lightweight-charts.js").UTCTimestamp} UTCTimestamp
 */

/** @param {string} name */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** @returns {Promise<Library>} */
export function loadLibrary() {
  return import("./vendor/lightweight-charts.js");
}

/**
 * Make an empty chart that keeps to its element's size and to the colours that the viewer prefers.
 * @param {Library} library
 * @param {HTMLElement} element
 * @param {() => void} onRecoloured
 */
export function makeChart(library, element, onRecoloured) {
  const chart = library.createChart(element, {
    autoSize: true,
    layout: { attributionLogo: false, fontSize: 12, fontFamily: getComputedStyle(element).fontFamily }, // the footer names it
    rightPriceScale: { borderVisible: false, minimumWidth: 72, scaleMargins: { top: 0.12, bottom: 0.08 } },
    timeScale: { borderVisible: false, timeVisible: true, rightOffset: 3, tickMarkFormatter: tickMark },
    crosshair: { mode: library.CrosshairMode.Magnet },
    localization: { timeFormatter: (/** @type {any} */ time) => hovered(time) },
    handleScroll: false,
    handleScale: false,
  });
  const recolour = () => {
    chart.applyOptions({
      layout: { background: { color: "transparent" }, textColor: colour("--muted"), panes: { separatorColor: colour("--line") } },
      grid: { vertLines: { color: colour("--grid") }, horzLines: { color: colour("--grid") } },
      crosshair: {
        vertLine: { color: colour("--muted"), labelBackgroundColor: colour("--label") },
        horzLine: { color: colour("--muted"), labelBackgroundColor: colour("--label") },
      },
    });
    onRecoloured();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  recolour();
  return chart;
}

/** @param {any} time seconds, or a business day as text */
function instant(time) {
  return new Date(typeof time === "number" ? time * 1_000 : `${time}T00:00:00Z`);
}

/** @param {any} time */
function hovered(time) {
  if (typeof time !== "number") return String(time);
  return `${clock(instant(time))} · ${utc(instant(time)).slice(11)}`;
}

/**
 * @param {any} time
 * @param {number} kind as the library counts them: 0 a year, 1 a month, 2 a day, 3 a time, 4 a time with seconds
 */
function tickMark(time, kind) {
  const at = instant(time);
  if (typeof time !== "number") return kind === 0 ? String(time).slice(0, 4) : String(time).slice(kind === 1 ? 0 : 5, kind === 1 ? 7 : 10);
  if (kind < 3) return day(at).slice(5);
  return kind === 4 ? clock(at) : clock(at).slice(0, 5);
}

/** A ticker's live price, its five-minute averages and its alerts, on an even axis of time. */
export class PriceChart {
  /**
   * @param {Library} library
   * @param {HTMLElement} element
   * @param {(price: string | null, average: string | null) => void} onHover
   */
  constructor(library, element, onHover) {
    this.library = library;
    this.step = 5;
    this.last = 0;
    this.lastMean = /** @type {string | null} */ (null);
    this.chart = makeChart(library, element, () => this.#recolour());
    const line = /** @type {const} */ ({ priceLineVisible: false, lastValueVisible: false, crosshairMarkerRadius: 4 });
    // Points without a value keep the axis even: the library gives every point the same room.
    this.grid = this.chart.addSeries(library.LineSeries, { ...line });
    this.means = this.chart.addSeries(library.LineSeries, { ...line, lineWidth: 2, lineType: library.LineType.WithSteps, crosshairMarkerVisible: false });
    this.prices = this.chart.addSeries(library.AreaSeries, { ...line, lineWidth: 2, lastValueVisible: true });
    this.marks = library.createSeriesMarkers(this.prices, []);
    this.chart.subscribeCrosshairMove((moved) => {
      const at = (/** @type {any} */ series) => /** @type {any} */ (moved.seriesData.get(series))?.customValues?.text ?? null;
      onHover(at(this.prices), at(this.means));
    });
    this.#recolour();
  }

  /**
   * Draw a ticker anew.
   * @param {import("./market.js").Stock} stock
   * @param {number} seconds shown
   * @param {import("./feed.js").Alert[]} alerts of this ticker, newest first
   */
  draw(stock, seconds, alerts) {
    this.step = seconds / 360;
    const now = stock.latest ? Date.parse(stock.latest.timestamp) / 1_000 : Date.now() / 1_000;
    this.last = now - (now % this.step);
    const from = this.last - seconds;
    const slots = Array.from({ length: 361 }, (_, index) => ({ time: from + index * this.step }));
    const isPast = (/** @type {Point} */ { time }) => time <= this.last; // whatever the two clocks say
    const prices = stock.prices(from, this.step).filter(isPast);
    const means = stock.means(from, this.step).filter(isPast);
    this.lastMean = means.at(-1)?.customValues?.text ?? null;
    if (this.lastMean !== null && means.at(-1)?.time !== this.last) means.push(point(this.last, this.lastMean));
    this.grid.setData(/** @type {any} */ (slots));
    this.means.setData(/** @type {any} */ (means));
    this.prices.setData(/** @type {any} */ (prices));
    this.mark(alerts.filter((alert) => Date.parse(alert.timestamp) / 1_000 >= from));
    // Where prices began only lately, they get the whole width.
    const first = Math.floor(((prices[0]?.time ?? from) - from) / this.step);
    this.chart.timeScale().setVisibleLogicalRange({ from: Math.min(Math.max(first, 0), 300), to: 363 });
  }

  /**
   * Draw the newest price.
   * @param {import("./feed.js").Tick} tick
   */
  add(tick) {
    const second = Math.floor(Date.parse(tick.timestamp) / 1_000);
    const time = second - (second % this.step);
    if (time < this.last) return;
    for (let slot = this.last + this.step; slot <= time; slot += this.step) this.grid.update(/** @type {any} */ ({ time: slot }));
    this.last = time;
    this.prices.update(/** @type {any} */ (point(time, tick.price)));
    if (this.lastMean !== null) this.means.update(/** @type {any} */ (point(time, this.lastMean)));
  }

  /** @param {import("./feed.js").Alert[]} alerts newest first */
  mark(alerts) {
    this.marks.setMarkers(
      alerts.toReversed().map((alert) => {
        const second = Math.floor(Date.parse(alert.timestamp) / 1_000);
        const time = /** @type {UTCTimestamp} */ (second - (second % this.step));
        return { time, position: "aboveBar", shape: "arrowDown", size: 1, color: colour("--alert"), text: `+${alert.rise_percent} %` };
      }),
    );
  }

  #recolour() {
    if (!this.marks) return;
    const price = colour("--accent");
    this.prices.applyOptions({ lineColor: price, topColor: `${price}2e`, bottomColor: `${price}00` });
    this.means.applyOptions({ color: colour("--average") });
    this.marks.setMarkers(this.marks.markers().map((mark) => ({ ...mark, color: colour("--alert") })));
  }
}
