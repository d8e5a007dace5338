// The view of a simulation: which windows on which prices, what they would have earned, and how far they fell.

import { figures } from "./analysis.js";
import { ApiError, send } from "./api.js";
import { colour, loadLibrary, makeChart } from "./chart.js";
import { byId, h, setText, showErrors } from "./dom.js";
import { amount, percent, rounded, timeElement } from "./format.js";

/**
 * @typedef {{at: string, close: string, equity: string}} Bar
 * @typedef {{entry_at: string, entry_price: string, shares: string, exit_at: string | null, exit_price: string | null, fees: string, profit: string}} SimulatedTrade
 * @typedef {{name: string, metrics: Record<string, any>, trades: SimulatedTrade[], signals: {at: string, side: string}[], bars: Bar[]}} Result
 */

export class SimulationView {
  #form = /** @type {HTMLFormElement} */ (byId("simulation-form"));
  #isSending = false;
  /** @type {EquityChart | null} */
  #chart = null;

  constructor() {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#simulate();
    });
  }

  /** @param {URLSearchParams} parameters */
  show(parameters) {
    for (const name of ["ticker", "source", "fast", "slow", "cash"]) {
      const value = parameters.get(name);
      if (value !== null) /** @type {HTMLInputElement} */ (this.#form.elements.namedItem(name)).value = value;
    }
  }

  hide() {}

  async #simulate() {
    if (this.#isSending) return;
    this.#isSending = true;
    this.#showState("Simulating…");
    try {
      const values = Object.fromEntries([...new FormData(this.#form)].map(([name, value]) => [name, String(value).trim()]));
      history.replaceState(null, "", `#/simulation?${new URLSearchParams(values)}`);
      const { ticker = "", source, fast, slow, cash } = values;
      const recorded = await send("/api/simulations/", { ticker: ticker.toUpperCase(), source, fast: whole(fast), slow: whole(slow), cash });
      showErrors(this.#form, "simulation-error-", []);
      this.#showState("");
      await this.#show(recorded.result);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const elsewhere = showErrors(this.#form, "simulation-error-", error.errors);
      const hint = error.isPassing ? " Try it again in a moment." : "";
      this.#showState(error.errors.length ? ["Correct what is marked.", ...elsewhere].join(" ") : error.message + hint, true);
    } finally {
      this.#isSending = false;
    }
  }

  /** @param {Result} result */
  async #show(result) {
    const { metrics } = result;
    byId("simulation-result").hidden = false;
    byId("simulation-figures").replaceChildren(
      ...figures([
        ["Final equity, USD", amount(rounded(metrics["final_equity"], 2))],
        ["Return", percent(metrics["total_return"]), trend(metrics["total_return"])],
        ["Buy and hold", percent(metrics["buy_and_hold_return"]), trend(metrics["buy_and_hold_return"])],
        ["Largest drawdown", percent(-Math.abs(metrics["max_drawdown"]))],
        ["Sharpe", metrics["sharpe"] === null ? "–" : metrics["sharpe"].toFixed(2)],
        ["Trades", String(result.trades.length)],
        ["Fees, USD", amount(rounded(metrics["fees"], 2))],
      ]),
    );
    byId("simulation-trades").replaceChildren(...(result.trades.length ? result.trades.map(tradeRow) : [noTrades()]));
    try {
      this.#chart ??= new EquityChart(await loadLibrary(), byId("equity-chart"));
      this.#chart.draw(result);
    } catch (error) {
      this.#showState("The chart could not be loaded: reload the page.", true);
      throw error;
    }
  }

  /**
   * @param {string} text
   * @param {boolean} [isBad]
   */
  #showState(text, isBad = false) {
    byId("simulation-state").classList.toggle("bad", isBad);
    setText(byId("simulation-state"), text);
  }
}

/** Equity and the price above, the drawdown below, and a mark at each crossing. */
class EquityChart {
  /**
   * @param {import("./chart.js").Library} library
   * @param {HTMLElement} element
   */
  constructor(library, element) {
    const chart = makeChart(library, element, () => this.#recolour());
    const line = /** @type {const} */ ({ lineWidth: 2, priceLineVisible: false, lastValueVisible: false });
    chart.applyOptions({ leftPriceScale: { visible: true, borderVisible: false }, timeScale: { rightOffset: 0 } });
    this.chart = chart;
    this.price = chart.addSeries(library.LineSeries, { ...line, lineWidth: 1, priceScaleId: "left" });
    this.equity = chart.addSeries(library.LineSeries, line);
    const asPercent = { type: /** @type {const} */ ("custom"), minMove: 0.01, formatter: (/** @type {number} */ value) => `${value.toFixed(1)} %` };
    this.drawdown = chart.addSeries(library.AreaSeries, { ...line, lineWidth: 1, priceFormat: asPercent }, 1);
    this.marks = library.createSeriesMarkers(this.price, []);
    this.#recolour();
  }

  /** @param {Result} result */
  draw({ bars, signals }) {
    const points = (/** @type {(bar: Bar) => number} */ value) => /** @type {any} */ (bars.map((bar) => ({ time: chartTime(bar.at), value: value(bar) })));
    let peak = 0;
    this.price.setData(points((bar) => Number(bar.close)));
    this.equity.setData(points((bar) => Number(bar.equity)));
    this.drawdown.setData(points((bar) => {
      peak = Math.max(peak, Number(bar.equity));
      return (Number(bar.equity) / peak - 1) * 100;
    }));
    this.marks.setMarkers(signals.map((signal) => {
      const isBuy = signal.side === "BUY";
      const look = isBuy ? { position: "belowBar", shape: "arrowUp" } : { position: "aboveBar", shape: "arrowDown" };
      return /** @type {any} */ ({ ...look, time: chartTime(signal.at), color: colour(isBuy ? "--buy" : "--sell") });
    }));
    this.chart.panes()[1]?.setStretchFactor(0.4);
    this.chart.timeScale().fitContent();
  }

  #recolour() {
    if (!this.marks) return;
    this.equity.applyOptions({ color: colour("--equity") });
    this.price.applyOptions({ color: colour("--accent") });
    this.drawdown.applyOptions({ lineColor: colour("--sell"), invertFilledArea: true, topColor: `${colour("--sell")}33`, bottomColor: `${colour("--sell")}33` });
  }
}

/** @param {string} at a day, or an instant */
function chartTime(at) {
  return at.includes("T") ? Date.parse(at) / 1_000 : at;
}

/** @param {string | undefined} text */
function whole(text) {
  return /^\d{1,9}$/.test(text ?? "") ? Number(text) : text; // the API says what is wrong with anything else
}

/** @param {number} value */
function trend(value) {
  return String(Math.sign(value));
}

/** @param {SimulatedTrade} trade */
function tradeRow(trade) {
  const number = (/** @type {string | null} */ text, decimals = 2) => h("td", { class: "number" }, text === null ? "–" : amount(rounded(text, 2), decimals));
  const profit = h("td", { class: "number", "data-trend": trend(Number(trade.profit)) }, amount(rounded(trade.profit, 2)));
  return h("tr", {}, h("td", {}, when(trade.entry_at)), number(trade.entry_price), h("td", { class: "number" }, amount(trade.shares, 0)),
    h("td", {}, trade.exit_at ? when(trade.exit_at) : "still held"), number(trade.exit_price), number(trade.fees), profit);
}

function noTrades() {
  return h("tr", {}, h("td", { colspan: "7", class: "muted" }, "The averages never crossed: try shorter windows."));
}

/** @param {string} at */
function when(at) {
  return at.includes("T") ? timeElement(at) : at;
}
