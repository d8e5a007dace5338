// The chart of a simulation: equity, buy and hold, and fills above; drawdown below zero underneath.

import { color, makeChart } from "../charts/library.js";
import { formatFloat } from "../core/format.js";

/** @typedef {import("./result.js").Result} Result */
/** @typedef {import("./result.js").Bar} Bar */

export class EquityChart {
  /** @type {Result | null} */
  #result = null;
  /** @type {Map<string | number, Bar>} Bars by chart time. */
  #bars = new Map();

  /**
   * @param {import("../charts/library.js").Library} library
   * @param {HTMLElement} element
   * @param {(bar: Bar | null, drawdown: number) => void} onHover
   */
  constructor(library, element, onHover) {
    const chart = makeChart(library, element, () => this.#recolor());
    const quiet = /** @type {const} */ ({ lineWidth: 2, priceLineVisible: false, lastValueVisible: false });
    const rounded = { type: /** @type {const} */ ("custom"), minMove: 1, formatter: (/** @type {number} */ value) => formatFloat(value, 0) };
    const percent = { type: /** @type {const} */ ("custom"), minMove: 0.01, formatter: (/** @type {number} */ value) => `${formatFloat(value, 1)} %` };
    chart.applyOptions({ timeScale: { rightOffset: 0, fixLeftEdge: true, fixRightEdge: true } });
    this.chart = chart;
    this.hold = chart.addSeries(library.LineSeries, { ...quiet, lineWidth: 1, priceFormat: rounded });
    this.equity = chart.addSeries(library.LineSeries, { ...quiet, priceFormat: rounded });
    this.drawdown = chart.addSeries(
      library.BaselineSeries,
      {
        ...quiet,
        lineWidth: 1,
        baseValue: { type: "price", price: 0 },
        priceFormat: percent,
        autoscaleInfoProvider: (/** @type {() => any} */ original) => {
          const info = original();
          return info && { ...info, priceRange: { minValue: Math.min(info.priceRange.minValue, -0.1), maxValue: 0 } };
        },
      },
      1,
    );
    this.drawdown.priceScale().applyOptions({ scaleMargins: { top: 0, bottom: 0.08 } });
    this.marks = library.createSeriesMarkers(this.hold, []);
    chart.subscribeCrosshairMove((moved) => {
      const bar = this.#bars.get(/** @type {any} */ (moved.time)) ?? null;
      onHover(bar, Number(/** @type {any} */ (moved.seriesData.get(this.drawdown))?.value ?? 0));
    });
    this.#recolor();
  }

  /** @param {Result} result */
  draw(result) {
    this.#result = result;
    const { bars, strategy, trades } = result;
    this.#bars = new Map(bars.map((bar) => [chartTime(bar.at), bar]));
    const points = (/** @type {(bar: Bar) => number} */ value) => /** @type {any} */ (bars.map((bar) => ({ time: chartTime(bar.at), value: value(bar) })));
    const first = Number(bars[0]?.close);
    let peak = 0;
    this.hold.setData(points((bar) => (Number(strategy.cash) * Number(bar.close)) / first));
    this.equity.setData(points((bar) => Number(bar.equity)));
    this.drawdown.setData(points((bar) => {
      peak = Math.max(peak, Number(bar.equity));
      return (Number(bar.equity) / peak - 1) * 100;
    }));
    const fills = trades.flatMap(({ entry_at: entry, exit_at: exit }) => [{ at: entry, isBuy: true }, ...(exit ? [{ at: exit, isBuy: false }] : [])]);
    this.marks.setMarkers(fills.map(({ at, isBuy }) => {
      const look = isBuy ? { position: "belowBar", shape: "arrowUp" } : { position: "aboveBar", shape: "arrowDown" };
      return /** @type {any} */ ({ ...look, time: chartTime(at), color: color(isBuy ? "--buy" : "--sell") });
    }));
    this.chart.panes()[1]?.setStretchFactor(0.4);
    this.chart.timeScale().fitContent();
  }

  #recolor() {
    if (!this.marks) return;
    const sell = color("--sell");
    this.equity.applyOptions({ color: color("--equity") });
    this.hold.applyOptions({ color: color("--hold") });
    this.drawdown.applyOptions({ topLineColor: sell, bottomLineColor: sell, topFillColor1: "transparent", topFillColor2: "transparent", bottomFillColor1: `${sell}14`, bottomFillColor2: `${sell}55` });
    if (this.#result) this.draw(this.#result);
  }
}

/** @param {string} at a day or an instant */
function chartTime(at) {
  return at.includes("T") ? Date.parse(at) / 1_000 : at;
}
