// The prices view: all tickers with their latest prices, a chart of the selected one, and the alerts.

import { get } from "../core/api.js";
import { loadLibrary } from "../charts/library.js";
import { h, segments, setText } from "../core/dom.js";
import { formatAmount, formatCount, formatPlural } from "../core/format.js";
import { TRADES } from "../core/paths.js";
import { formatDay, formatSpan, isToday, timeElement, toSeconds } from "../core/time.js";
import { isTicker } from "../core/words.js";
import { alertList } from "./alert_list.js";
import { barsOf, INTERVALS, intervalStart } from "./bars.js";
import { PriceChart } from "./chart.js";
import { showChange, TickerList } from "./ticker_list.js";

const REFRESH_MS = 30_000;
const TRADES_SHOWN = 1_000;
const ENOUGH_BARS = 6; // from this many, bars are shown by default instead of ticks
const DECIDE_MS = 3_000;
const STYLE_KEY = "trading.chart";

/**
 * @typedef {import("./market.js").Stock} Stock
 * @typedef {import("../trades/trade.js").Trade} Trade
 * @typedef {import("./bars.js").Interval} Interval
 * @typedef {"live" | Interval} Mode
 * @typedef {"candles" | "line" | "table"} Style
 */

/** @param {import("../views.js").Context} context */
export function create(context) {
  return new PricesView(context);
}

class PricesView {
  /** @type {PriceChart | null} */
  #chart = null;
  #ticker = "";
  /** @type {Mode | null} Null until the user chooses or the bars are loaded. */
  #mode = null;
  /** @type {Style} */
  #style = /** @type {Style} */ (localStorage.getItem(STYLE_KEY) ?? "candles");
  /** @type {Set<string>} Tickers with updates that are not displayed yet. */
  #news = new Set();
  /** The user's trades in the selected ticker, newest first. @type {Trade[]} */
  #trades = [];
  #isShown = false;
  /** Whether there is nothing to show yet. */
  #isEmpty = true;
  /** The start of the current bar at the last full redraw. */
  #drawnBar = 0;
  #isPainting = false;
  /** The time until which the default ticker may still change, unless the user selects one. */
  #undecidedUntil = Infinity;

  #name = h("h1", {}, " ");
  #price = h("p", { class: "big number" }, " ");
  #change = h("p", { class: "change number" }, " ");
  #stale = h("p", { class: "muted" });
  #day = h("dl", { class: "day-figures number" });
  #hovered = h("p", { class: "legend number", "aria-hidden": "true" });
  #note = h("p", { class: "muted small" });
  #canvas = h("div", { class: "chart", role: "img", "aria-label": "Chart of prices" });
  #table = h("div", { class: "scroll chart", tabindex: "0", role: "region", "aria-label": "Bars of prices", hidden: true });
  #modes = segments("Interval", [["live", "Live"], ...Object.entries(INTERVALS).map(([name, { text }]) => /** @type {[Mode, string]} */ ([/** @type {Mode} */ (name), text]))], (mode) => this.#go({ mode }));
  #styles = segments("Kind of chart", /** @type {[Style, string][]} */ ([["candles", "Candles"], ["line", "Line"], ["table", "Table"]]), (style) => this.#setStyle(style));
  #failure = h("div", {});

  /** @param {import("../views.js").Context} context */
  constructor({ feed, market, alerts, book }) {
    this.market = market;
    this.alerts = alerts;
    this.book = book;
    this.list = new TickerList(market, (ticker) => this.#go({ ticker }));
    this.element = h(
      "div",
      { class: "view prices" },
      h(
        "section",
        { class: "panel chart-panel", "aria-label": "Chosen ticker" },
        h("div", { class: "chart-head" }, h("div", { class: "chosen" }, this.#name, this.#price, this.#change, this.#stale), this.#day),
        h("div", { class: "chart-tools" }, this.#modes.element, this.#styles.element),
        this.#canvas,
        this.#table,
        this.#failure,
        h("div", { class: "chart-foot" }, this.#note, this.#hovered),
      ),
      this.list.element,
      alertList(alerts, book),
    );
    market.addEventListener("ticks", (event) => this.#take(/** @type {CustomEvent<Set<string>>} */ (event).detail));
    market.addEventListener("new", () => this.#listAll());
    feed.addEventListener("missed", () => this.#refillAll());
    alerts.addEventListener("change", () => this.#draw());
    book.addEventListener("change", () => this.#draw());
    setInterval(() => this.#isShown && !document.hidden && this.#refresh(), REFRESH_MS);
    setInterval(() => this.#isShown && this.#markStale(), 1_000);
    this.#styles.select(this.#style);
    this.#listAll();
  }

  /** @param {URLSearchParams} parameters */
  show(parameters) {
    this.#isShown = true;
    const mode = parameters.get("interval");
    if (mode === "live" || (mode && mode in INTERVALS)) this.#mode = /** @type {Mode} */ (mode);
    const ticker = parameters.get("ticker")?.toUpperCase() ?? "";
    if (isTicker(ticker)) {
      this.#undecidedUntil = 0;
      this.#choose(ticker);
    } else {
      this.#chooseFirst();
    }
    this.#loadChart();
    this.#draw();
    this.book.load().catch(() => {}); // the rules window reports the failure
    for (const each of this.market.stocks.keys()) this.#news.add(each);
    this.#paintSoon();
  }

  hide() {
    this.#isShown = false;
  }

  search() {
    this.list.search();
  }

  /** @param {{ticker?: string, mode?: Mode}} choice */
  #go({ ticker = this.#ticker, mode }) {
    const interval = mode ?? this.#mode;
    const parameters = new URLSearchParams({ ticker, ...(interval ? { interval } : {}) });
    location.hash = `#/prices?${parameters}`;
  }

  /** @param {Style} style */
  #setStyle(style) {
    this.#style = style;
    localStorage.setItem(STYLE_KEY, style);
    this.#styles.select(style);
    this.#draw();
  }

  async #loadChart() {
    if (this.#chart) return;
    try {
      const library = await loadLibrary();
      this.#chart ??= new PriceChart(library, this.#canvas, (bar, price) => this.#hover(bar, price));
      this.#failure.replaceChildren();
      this.#draw();
    } catch {
      const retry = h("button", { type: "button", onclick: () => this.#loadChart() }, "Try again");
      this.#failure.replaceChildren(h("div", { class: "notice failure", role: "alert" }, h("p", {}, "The chart could not be loaded."), retry));
    }
  }

  /** @param {Set<string>} tickers */
  #take(tickers) {
    for (const ticker of tickers) this.#news.add(ticker);
    this.#paintSoon();
  }

  /** Repaint at most once per frame, however many prices arrive. */
  #paintSoon() {
    if (this.#isPainting || !this.#isShown) return;
    this.#isPainting = true;
    requestAnimationFrame(() => {
      this.#isPainting = false;
      for (const ticker of this.#news) this.list.paint(ticker);
      if (this.#news.has(this.#ticker)) {
        this.#showHead();
        this.#showNews();
      }
      this.#news.clear();
    });
  }

  /** Update the selected ticker. A table, which may have thousands of rows, is redrawn only when a new bar starts. */
  #showNews() {
    const isTable = this.#style === "table";
    if (this.#isEmpty || (isTable && this.#drawnBar !== this.#runningBar())) this.#draw();
    else if (!isTable) this.#chart?.update();
  }

  #runningBar() {
    const { latest } = this.market.stock(this.#ticker);
    const mode = this.#mode === "live" || this.#mode === "1min" ? "1min" : "5min";
    return latest ? intervalStart(Math.floor(toSeconds(latest.timestamp)), mode) : 0;
  }

  #listAll() {
    this.list.list();
    this.#chooseFirst();
    this.#fillNew();
  }

  /** Select the first ticker in the list, not the first to arrive: they arrive one by one. */
  #chooseFirst() {
    const first = this.list.first();
    if (!first || Date.now() > this.#undecidedUntil) return;
    if (this.#undecidedUntil === Infinity) this.#undecidedUntil = Date.now() + DECIDE_MS;
    this.#choose(first);
  }

  /** @param {string} ticker */
  #choose(ticker) {
    if (ticker === this.#ticker) return;
    this.#ticker = ticker;
    this.#trades = [];
    this.list.choose(ticker);
    this.#showHead();
    this.#draw();
    this.#refresh();
  }

  #showHead() {
    const stock = this.market.stock(this.#ticker);
    setText(this.#name, stock.ticker);
    setText(this.#price, stock.latest ? formatAmount(stock.latest.price) : "–");
    this.#price.title = stock.latest ? `USD at ${stock.latest.timestamp}` : "";
    showChange(this.#change, stock.change(), true);
    this.#showDay(stock);
  }

  /** @param {Stock} stock */
  #showDay(stock) {
    const day = stock.day();
    const parts = day ? /** @type {[string, string][]} */ ([["Open", day.open], ["High", day.high], ["Low", day.low]]) : [];
    const texts = parts.map(([name, price]) => `${name} ${formatAmount(price)}`).join();
    if (this.#day.dataset["shown"] === texts) return;
    this.#day.dataset["shown"] = texts;
    const date = stock.latest && new Date(stock.latest.timestamp);
    this.#day.title = date ? `Since 00:00 of ${isToday(date) ? "today" : formatDay(date)}, in your time zone` : "";
    this.#day.replaceChildren(...parts.map(([name, price]) => h("div", {}, h("dt", {}, name), h("dd", {}, formatAmount(price)))));
  }

  #markStale() {
    this.list.markStale();
    const stock = this.market.stock(this.#ticker);
    const isStale = stock.isStale();
    this.#price.classList.toggle("stale", isStale);
    const age = stock.latest ? (Date.now() - Date.parse(stock.latest.timestamp)) / 1_000 : 0;
    setText(this.#stale, isStale ? `${formatSpan(age)} old` : "");
  }

  #draw() {
    if (!this.#isShown || !this.#ticker) return;
    const stock = this.market.stock(this.#ticker);
    const mode = this.#mode ?? (stock.bars.size >= ENOUGH_BARS ? "5min" : "live");
    this.#modes.select(mode);
    const isTable = this.#style === "table";
    this.#drawnBar = this.#runningBar();
    this.#canvas.hidden = isTable;
    this.#table.hidden = !isTable;
    if (isTable) return mode === "live" ? this.#showTicks(stock) : this.#showBars(stock, mode);
    const alerts = this.alerts.shown.filter((alert) => alert.ticker === stock.ticker);
    const style = this.#style === "line" ? "line" : "candles";
    const rules = this.book.of(stock.ticker);
    const drawn = this.#chart?.draw(stock, mode, style, { alerts, trades: this.#trades, rules }) ?? 0;
    const marks = [formatPlural(this.#trades.length, "trade"), formatPlural(rules.length, "rule"), formatPlural(alerts.length, "alert")];
    this.#canvas.setAttribute("aria-label", `${stock.ticker}: ${formatPlural(drawn, mode === "live" ? "price" : "bar")}, ${marks.join(", ")}`);
    this.#isEmpty = drawn === 0;
    const isEmpty = this.#isEmpty && this.#chart;
    const meaning = { live: "Each price since this page was opened", "1min": "Bars since this page was opened; below: the number of prices in each" }[/** @type {string} */ (mode)] ?? "Below: the number of prices in each bar";
    setText(this.#note, isEmpty ? `There are no prices of ${stock.ticker} yet.` : `${meaning}. Where there were none, there is a gap.`);
  }

  /** @param {Stock} stock */
  #showTicks(stock) {
    this.#showTable(["Price"], [...stock.ticks].reverse().map(([second, price]) => [second, formatAmount(price)]));
  }

  /**
   * @param {Stock} stock
   * @param {Interval} interval
   */
  #showBars(stock, interval) {
    const rows = barsOf(stock, interval).reverse().map(({ time, open, high, low, close, count }) =>
      /** @type {[number, ...string[]]} */ ([time, ...[open, high, low, close].map((price) => formatAmount(price)), formatCount(count)]));
    this.#showTable(["Open", "High", "Low", "Close", "Prices"], rows);
  }

  /**
   * @param {string[]} columns
   * @param {[number, ...string[]][]} rows
   */
  #showTable(columns, rows) {
    const head = columns.map((text) => h("th", { scope: "col", class: "number" }, text));
    const body = rows.map(([time, ...texts]) =>
      h("tr", {}, h("td", {}, timeElement(new Date(time * 1_000).toISOString())), ...texts.map((text) => h("td", { class: "number" }, text))));
    this.#table.replaceChildren(h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Time"), ...head)), h("tbody", {}, ...body)));
    this.#isEmpty = rows.length === 0;
    setText(this.#note, rows.length ? "" : `There are no prices of ${this.#ticker} yet.`);
  }

  /**
   * @param {import("./bars.js").Bar | null} bar
   * @param {string | null} price
   */
  #hover(bar, price) {
    const text = bar
      ? `O ${formatAmount(bar.open)}  H ${formatAmount(bar.high)}  L ${formatAmount(bar.low)}  C ${formatAmount(bar.close)}  ${formatPlural(bar.count, "price")}`
      : price === null ? "" : formatAmount(price);
    setText(this.#hovered, text);
  }

  /** Load the selected ticker's trades and its new bars, or all bars if not yet loaded. */
  async #refresh() {
    const ticker = this.#ticker;
    if (!ticker) return;
    const [isFilled] = await Promise.all([this.market.fill(ticker, 0), this.#loadTrades(ticker)]);
    if (!isFilled || ticker !== this.#ticker) return;
    this.#showHead();
    this.#draw();
  }

  /** @param {string} ticker */
  async #loadTrades(ticker) {
    try {
      /** @type {Trade[]} */
      const trades = await get(`${TRADES}?${new URLSearchParams({ ticker, limit: String(TRADES_SHOWN) })}`);
      if (ticker === this.#ticker) this.#trades = trades;
    } catch {
      // The chart is useful without them, and the next poll retries.
    }
  }

  /** Load bars for tickers that have none yet, for their sparklines and changes. */
  async #fillNew() {
    for (const ticker of this.market.priced()) {
      if (this.market.isFilled(ticker)) continue;
      if (ticker === this.#ticker) await this.#refresh();
      else if (!(await this.market.fill(ticker))) return;
      this.list.paint(ticker, true);
    }
  }

  /** Load what was missed while the feed was disconnected. */
  #refillAll() {
    const chosen = this.#ticker;
    this.#refresh().then(() => this.#fillNew());
    this.list.paint(chosen, true);
  }
}
