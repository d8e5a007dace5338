// The view of prices: every ticker with its latest price, and one of them as a chart.

import { read } from "./api.js";
import { loadLibrary, PriceChart } from "./chart.js";
import { byId, h, setText, svg } from "./dom.js";
import { amount, percent, rounded, timeElement } from "./format.js";
import { Stock } from "./market.js";

const HOUR_MS = 3_600_000;
const REFRESH_MS = 30_000;
const SPARK = { width: 84, height: 28, points: 60 };

/**
 * @typedef {{button: HTMLElement, price: HTMLElement, change: HTMLElement, line: Element, drawnAt: number}} Row
 */

export class PricesView {
  /** @type {Map<string, Stock>} */
  #stocks = new Map();
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** @type {Set<string>} Tickers with news that are not yet on the screen. */
  #news = new Set();
  /** @type {PriceChart | null} */
  #chart = null;
  #chosen = "";
  #isShown = false;
  #isPainting = false;
  #filled = 0; // how many times the chosen ticker's averages were asked for

  /**
   * @param {import("./feed.js").Feed} feed
   * @param {import("./alerts.js").Alerts} alerts
   */
  constructor(feed, alerts) {
    this.alerts = alerts;
    feed.addEventListener("prices", (event) => this.#take(/** @type {CustomEvent} */ (event).detail));
    feed.addEventListener("missed", () => this.#fillAll());
    alerts.addEventListener("change", () => this.#mark());
    byId("ranges").addEventListener("change", () => this.#drawChart());
    byId("averages-as-table").addEventListener("toggle", () => this.#showTable());
    setInterval(() => this.#isShown && this.#chosen && this.#fillChosen(), REFRESH_MS);
  }

  /** @param {URLSearchParams} parameters */
  async show(parameters) {
    this.#isShown = true;
    const wanted = parameters.get("ticker")?.toUpperCase();
    if (wanted && /^[A-Z]{1,5}(\.[A-Z])?$/.test(wanted)) this.#choose(wanted);
    if (!this.#chart) {
      try {
        const library = await loadLibrary();
        this.#chart ??= new PriceChart(library, byId("chart"), (price, mean) => this.#hover(price, mean));
      } catch {
        setText(byId("hovered"), "The chart could not be loaded: reload the page.");
        return;
      }
    }
    this.#drawChart();
    for (const ticker of this.#rows.keys()) this.#news.add(ticker);
    this.#paintSoon();
  }

  hide() {
    this.#isShown = false;
  }

  /** @param {import("./feed.js").Tick[]} ticks */
  #take(ticks) {
    let isNew = false;
    for (const tick of ticks) {
      let stock = this.#stocks.get(tick.ticker);
      if (!stock) {
        stock = this.#stock(tick.ticker);
        isNew = true;
      }
      stock.take(tick);
      this.#news.add(tick.ticker);
    }
    if (isNew) {
      this.#listTickers();
      this.#fillAll();
      if (!this.#chosen) this.#choose([...this.#stocks.keys()].sort()[0] ?? "");
    }
    this.#paintSoon();
  }

  /** @param {string} ticker */
  #stock(ticker) {
    const stock = this.#stocks.get(ticker) ?? new Stock(ticker);
    this.#stocks.set(ticker, stock);
    return stock;
  }

  /** However many prices come, the screen is painted once a frame. */
  #paintSoon() {
    if (this.#isPainting || !this.#isShown) return;
    this.#isPainting = true;
    requestAnimationFrame((now) => {
      this.#isPainting = false;
      for (const ticker of this.#news) this.#paint(ticker, now);
      this.#news.clear();
    });
  }

  /**
   * @param {string} ticker
   * @param {number} now
   */
  #paint(ticker, now) {
    const stock = this.#stocks.get(ticker);
    const row = this.#rows.get(ticker);
    if (!stock?.latest || !row) return;
    setText(row.price, amount(stock.latest.price));
    row.price.dataset["moved"] = String(stock.direction);
    if (now - row.drawnAt > 1_000) {
      row.drawnAt = now;
      const change = stock.change();
      showChange(row.change, change);
      row.line.setAttribute("d", sparkline(stock));
      row.button.dataset["trend"] = change === null ? "0" : String(Math.sign(change));
    }
    if (ticker === this.#chosen) {
      this.#chart?.add(stock.latest);
      this.#showHead(stock);
    }
  }

  #listTickers() {
    const tickers = [...this.#stocks.values()].filter((stock) => stock.latest).map((stock) => stock.ticker).sort();
    byId("tickers").replaceChildren(...tickers.map((ticker) => {
      const row = this.#rows.get(ticker) ?? this.#row(ticker);
      this.#rows.set(ticker, row);
      return h("li", {}, row.button);
    }));
    this.#showChosen();
  }

  /** @param {string} ticker */
  #row(ticker) {
    const line = svg("path", { d: "" });
    const picture = svg("svg", { viewBox: `0 0 ${SPARK.width} ${SPARK.height}`, "aria-hidden": "true" }, line);
    const price = h("span", { class: "number last" });
    const change = h("span", { class: "number change" });
    const button = h("button", { type: "button" }, h("span", { class: "ticker" }, ticker), picture, price, change);
    button.addEventListener("click", () => {
      location.hash = `#/prices?ticker=${ticker}`;
    });
    return { button, price, change, line, drawnAt: -Infinity };
  }

  /** @param {string} ticker */
  #choose(ticker) {
    if (ticker === this.#chosen) return;
    this.#chosen = ticker;
    this.#stock(ticker);
    this.#showChosen();
    this.#drawChart();
    this.#fillChosen();
  }

  #showChosen() {
    for (const [ticker, row] of this.#rows) row.button.setAttribute("aria-pressed", String(ticker === this.#chosen));
    const stock = this.#stocks.get(this.#chosen);
    if (stock) this.#showHead(stock);
  }

  /** @param {Stock} stock */
  #showHead(stock) {
    setText(byId("chosen-ticker"), stock.ticker);
    setText(byId("chosen-price"), stock.latest ? amount(stock.latest.price) : "–");
    byId("chosen-price").title = stock.latest ? `USD at ${stock.latest.timestamp}` : "";
    showChange(byId("chosen-change"), stock.change(), " in 1 h");
    if (!stock.latest) setText(byId("chosen-change"), "no price yet");
    byId("chart").setAttribute(
      "aria-label",
      `Chart of the prices of ${stock.ticker} with their 5-minute averages and ${this.alerts.of(stock.ticker).length} alerts; the averages are in the table below.`,
    );
  }

  #seconds() {
    return Number(/** @type {HTMLInputElement} */ (byId("ranges").querySelector(":checked")).value);
  }

  #drawChart() {
    const stock = this.#stocks.get(this.#chosen);
    if (!this.#isShown || !stock) return;
    const alerts = this.alerts.of(stock.ticker);
    for (const alert of alerts) stock.learn(alert); // a mark stands on a price
    this.#chart?.draw(stock, this.#seconds(), alerts);
  }

  #mark() {
    if (this.#chosen) this.#drawChart();
  }

  /** Read the averages of the last hour of every ticker, for its little chart and what was missed. */
  async #fillAll() {
    const since = new Date(Date.now() - HOUR_MS - 300_000).toISOString();
    for (const stock of [...this.#stocks.values()]) {
      if (stock.ticker === this.#chosen) await this.#fillChosen();
      else if (!(await this.#fill(stock, since))) return;
      const row = this.#rows.get(stock.ticker);
      if (row) row.drawnAt = -Infinity;
      this.#news.add(stock.ticker);
      this.#paintSoon();
    }
  }

  async #fillChosen() {
    const stock = this.#stock(this.#chosen);
    this.#filled += 1;
    const turn = this.#filled;
    const isFilled = await this.#fill(stock, new Date(Date.now() - 24 * HOUR_MS).toISOString());
    if (!isFilled || turn !== this.#filled) return;
    this.#showHead(stock);
    this.#drawChart();
    this.#showTable();
  }

  /**
   * @param {Stock} stock
   * @param {string} since
   */
  async #fill(stock, since) {
    try {
      stock.fill(await read(`/api/prices/${stock.ticker}/averages/?limit=300&start_date=${encodeURIComponent(since)}`));
      return true;
    } catch {
      return false; // the feed's state says it, and the next round tries again
    }
  }

  #showTable() {
    const stock = this.#stocks.get(this.#chosen);
    if (!stock || !(/** @type {HTMLDetailsElement} */ (byId("averages-as-table")).open)) return;
    const rows = [...stock.averages.values()].reverse().map((average) =>
      h(
        "tr",
        {},
        h("td", {}, timeElement(average.bucket_start)),
        ...[rounded(average.mean, 4), average.open, average.high, average.low, average.close].map((text, index) =>
          h("td", { class: "number" }, amount(text, index ? 2 : 4)),
        ),
        h("td", { class: "number" }, String(average.count)),
      ),
    );
    byId("averages-rows").replaceChildren(...rows);
  }

  /**
   * @param {string | null} price
   * @param {string | null} mean
   */
  #hover(price, mean) {
    const parts = [price === null ? "" : `Price ${amount(price)}`, mean === null ? "" : `average ${amount(rounded(mean, 4), 4)}`];
    setText(byId("hovered"), parts.filter(Boolean).join(" · "));
  }
}

/**
 * @param {HTMLElement} element
 * @param {number | null} change
 * @param {string} [suffix]
 */
function showChange(element, change, suffix = "") {
  setText(element, change === null ? " " : percent(change) + suffix);
  element.dataset["trend"] = change === null ? "0" : String(Math.sign(Number(change.toFixed(4))));
}

/** @param {Stock} stock */
function sparkline(stock) {
  const now = stock.latest ? Date.parse(stock.latest.timestamp) / 1_000 : 0;
  const points = stock.prices(now - 3_600, 3_600 / SPARK.points);
  const low = Math.min(...points.map((point) => point.value));
  const span = Math.max(...points.map((point) => point.value)) - low || 1;
  return points
    .map(({ time, value }, index) => {
      const x = ((time - now + 3_600) / 3_600) * (SPARK.width - 2) + 1;
      const y = SPARK.height - 3 - ((value - low) / span) * (SPARK.height - 6);
      return `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join("");
}
