// Realized profit: a column for each day, and the cumulative profit as a line.

import { color, makeChart } from "../charts/library.js";
import { formatFloat } from "../core/format.js";

/** @typedef {{day: string, profit: number, sum: number}} Point A day, its profit, and the cumulative profit. */

export class ProfitChart {
  /** @type {Point[]} */
  #points = [];

  /**
   * @param {import("../charts/library.js").Library} library
   * @param {HTMLElement} element
   * @param {(day: string | null) => void} onHover
   */
  constructor(library, element, onHover) {
    const chart = makeChart(library, element, () => this.#recolor());
    const priceFormat = { type: /** @type {const} */ ("custom"), minMove: 1, formatter: (/** @type {number} */ value) => formatFloat(value, 0) };
    chart.applyOptions({ timeScale: { rightOffset: 0, fixLeftEdge: true, fixRightEdge: true, timeVisible: false } });
    this.chart = chart;
    this.days = chart.addSeries(library.HistogramSeries, { priceFormat, priceLineVisible: false, lastValueVisible: false });
    this.sums = chart.addSeries(library.LineSeries, { priceFormat, lineWidth: 2, lineType: library.LineType.WithSteps, priceLineVisible: false });
    chart.subscribeCrosshairMove(({ time }) => onHover(time ? String(time) : null));
    this.#recolor();
  }

  /** @param {Point[]} points of consecutive days */
  draw(points) {
    this.#points = points;
    const [gain, loss] = [color("--buy"), color("--sell")];
    const time = (/** @type {string} */ day) => /** @type {any} */ (day);
    this.days.setData(points.map(({ day, profit }) => (profit ? { time: time(day), value: profit, color: profit > 0 ? gain : loss } : { time: time(day) })));
    this.sums.setData(points.map(({ day, sum }) => ({ time: time(day), value: sum })));
    this.chart.timeScale().fitContent();
  }

  #recolor() {
    if (!this.sums) return;
    this.sums.applyOptions({ color: color("--accent") });
    this.draw(this.#points);
  }
}
