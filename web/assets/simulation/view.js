// The simulation view: the windows, prices and costs to simulate, and the results.

import { ApiError, get, post } from "../core/api.js";
import { loadLibrary } from "../charts/library.js";
import { download, h, segments, setText } from "../core/dom.js";
import { failureNotice } from "../core/failure.js";
import { field, focusFirstError, showErrors, tickerInput } from "../core/fields.js";
import { figures } from "../core/figures.js";
import { formatAmount, formatCount, formatMoney, formatPercent, formatRatio, toCsv, trend } from "../core/format.js";
import { simulation as simulationPath, SIMULATIONS } from "../core/paths.js";
import { timeElement } from "../core/time.js";
import { isTicker, TICKER_ERROR } from "../core/words.js";
import { EquityChart } from "./equity_chart.js";
import { heatMap, METRICS } from "./heat_map.js";
import { HistoryList } from "./history_list.js";
import { historyUpload } from "./history_upload.js";
import { PastRuns } from "./past_runs.js";
import { describeBars } from "./result.js";

/**
 * @typedef {import("./result.js").Simulation} Simulation
 * @typedef {import("./result.js").SimulatedTrade} SimulatedTrade
 * @typedef {import("./result.js").Result} Result
 * @typedef {import("../core/fields.js").Field} Field
 */

export function create() {
  return new SimulationView();
}

/**
 * @param {string} label
 * @param {string} name
 * @param {string} value
 * @param {string} [hint]
 */
const numberField = (label, name, value, hint) => field(label, h("input", { name, inputmode: "decimal", autocomplete: "off", value }), hint);

/**
 * @param {string} label
 * @param {string} name
 * @param {[string, string][]} options
 */
const choice = (label, name, options) => field(label, h("select", { name }, ...options.map(([value, text]) => h("option", { value }, text))));

class SimulationView {
  #isSweep = false;
  #isSending = false;
  #shownId = "";
  /** @type {EquityChart | null} */
  #chart = null;

  /** @type {Record<string, Field>} */
  #fields = {
    ticker: field("Ticker", tickerInput({ placeholder: "AAPL" })),
    source: choice("Prices", "source", [["history", "Stored history"], ["averages", "5-minute averages"]]),
    fast: numberField("Fast", "fast", "10", "bars"),
    slow: numberField("Slow", "slow", "50", "bars"),
    "sweep.fast": numberField("Fast", "sweep.fast", "5:25:5", "first:last:step"),
    "sweep.slow": numberField("Slow", "sweep.slow", "20:100:10", "first:last:step"),
    "sweep.metric": choice("Best by", "sweep.metric", METRICS.map(([name, text]) => [name, text])),
    cash: numberField("Cash", "cash", "10000", "USD"),
    fill: choice("Filled at", "fill", [["open", "Next open"], ["close", "Close of the signal"]]),
    commission_per_trade: numberField("Commission", "commission_per_trade", "0", "USD a trade"),
    commission_per_share: numberField("Commission", "commission_per_share", "0", "USD a share"),
    commission_basis_points: numberField("Commission", "commission_basis_points", "0", "basis points"),
    slippage_basis_points: numberField("Slippage", "slippage_basis_points", "0", "basis points"),
  };
  #histories = new HistoryList((stored) => this.#choose(stored));
  #fractional = h("input", { type: "checkbox", name: "fractional" });
  #modes = segments("What to try", [["pair", "One pair"], ["sweep", "Sweep"]], (mode) => this.#setSweep(mode === "sweep"));
  #state = h("div", { class: "notice", role: "status", id: "simulation-state" });
  #past = new PastRuns();

  #title = h("h2", {});
  #figures = h("div", { id: "simulation-figures" });
  #canvas = h("div", { class: "chart", role: "img", "aria-label": "Chart of equity, buy and hold, and drawdown" });
  #hovered = h("p", { class: "legend number", "aria-hidden": "true" }, " ");
  #sweep = h("div", {});
  #trades = h("tbody", { id: "simulation-trades" });
  #downloadTrades = h("button", { type: "button" }, "Download trades");
  #result = h(
    "section",
    { class: "panel", hidden: true, "aria-label": "Result" },
    h("div", { class: "panel-head" }, this.#title, this.#downloadTrades),
    this.#figures,
    h("h2", {}, "Equity"),
    this.#canvas,
    h("p", { class: "legend" },
      ...[["equity", "Equity, USD"], ["hold", "Buy and hold, USD, with the fills"], ["drawdown", "Drawdown, %"]].map(([name, text]) =>
        h("span", {}, h("i", { class: `swatch ${name}` }), text ?? ""))),
    this.#hovered,
    this.#sweep,
    h("h2", {}, "Simulated trades"),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Simulated trades" },
      h("table", {}, h("thead", {}, h("tr", {}, ...["Bought", "Sold", "Profit, USD", "Bought at", "Sold at", "Shares", "Fees, USD"].map((text) =>
        h("th", { scope: "col", class: /^(Bought|Sold)$/.test(text) ? "" : "number" }, text)))), this.#trades)),
  );

  constructor() {
    const each = (/** @type {string[]} */ ...names) => names.map((name) => /** @type {Field} */ (this.#fields[name]).element);
    const form = h(
      "form",
      { class: "simulation-form", novalidate: true, "aria-labelledby": "simulation-title" },
      ...each("ticker", "source", "fast", "slow", "sweep.fast", "sweep.slow", "sweep.metric", "cash"),
      h("button", { type: "submit", class: "primary" }, "Simulate"),
      h("details", {}, h("summary", {}, "Costs and fills"),
        h("div", {}, ...each("fill", "commission_per_trade", "commission_per_share", "commission_basis_points", "slippage_basis_points"),
          h("label", { class: "check" }, this.#fractional, "Fractions of shares"))),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#simulate();
    });
    this.element = h(
      "div",
      { class: "view simulation" },
      h(
        "section",
        { class: "panel", "aria-labelledby": "simulation-title" },
        h("div", { class: "panel-head" }, h("h1", { id: "simulation-title" }, "Simulation"), this.#modes.element),
        h("p", { class: "muted small" }, "Buy when the fast average crosses above the slow one, sell when it crosses below."),
        form,
        this.#histories.element,
        historyUpload(() => this.#text("ticker"), (stored) => {
          this.#choose(stored);
          this.#histories.load();
        }),
        this.#state,
      ),
      this.#past.element,
      this.#result,
    );
    this.#setSweep(false);
  }

  /** @param {URLSearchParams} parameters the `id` of a recorded simulation, or form values */
  show(parameters) {
    for (const [name, value] of parameters) if (name in this.#fields) this.#set(name, value);
    this.#histories.load();
    this.#past.load();
    const id = parameters.get("id");
    this.#past.element.open = id === null;
    if (id && id !== this.#shownId) this.#load(id);
  }

  search() {
    this.#fields["ticker"]?.input.focus();
  }

  /** Use a stored history in the form. @param {import("./history_list.js").StoredHistory} stored */
  #choose({ ticker }) {
    this.#set("ticker", ticker);
    this.#set("source", "history");
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  #set(name, value) {
    const { input } = /** @type {Field} */ (this.#fields[name]);
    input.value = value;
  }

  /** @param {string} name */
  #text(name) {
    return /** @type {Field} */ (this.#fields[name]).input.value.trim();
  }

  /** @param {boolean} isSweep */
  #setSweep(isSweep) {
    this.#isSweep = isSweep;
    this.#modes.select(isSweep ? "sweep" : "pair");
    for (const [name, { element }] of Object.entries(this.#fields)) {
      if (/^(fast|slow)$/.test(name)) element.hidden = isSweep;
      if (name.startsWith("sweep.")) element.hidden = !isSweep;
    }
  }

  async #simulate() {
    if (this.#isSending) return;
    const ticker = this.#text("ticker");
    if (!isTicker(ticker)) {
      showErrors(this.#fields, [{ field: "ticker", message: TICKER_ERROR }]);
      focusFirstError(this.#fields);
      return this.#showState("Fix the highlighted fields.", true);
    }
    this.#isSending = true;
    this.#showState("Simulating…");
    try {
      const simulation = await post(SIMULATIONS, this.#body());
      showErrors(this.#fields, []);
      this.#shownId = String(simulation.id);
      history.replaceState(null, "", `#/simulation?id=${simulation.id}`);
      this.#past.load();
      await this.#show(simulation);
    } catch (error) {
      this.#refuse(error);
    } finally {
      this.#isSending = false;
    }
  }

  #body() {
    const names = ["source", "cash", "fill", "commission_per_trade", "commission_per_share", "commission_basis_points", "slippage_basis_points"];
    const windows = this.#isSweep
      ? { sweep: { fast: this.#text("sweep.fast"), slow: this.#text("sweep.slow"), metric: this.#text("sweep.metric") } }
      : { fast: whole(this.#text("fast")), slow: whole(this.#text("slow")) };
    return { ticker: this.#text("ticker").toUpperCase(), fractional: this.#fractional.checked, ...windows, ...Object.fromEntries(names.map((name) => [name, this.#text(name)])) };
  }

  /** @param {unknown} error */
  #refuse(error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.isTemporary || error.status === 500) return this.#state.replaceChildren(failureNotice(error, () => this.#simulate()));
    const errors = error.errors.map(({ field: name, message }) => {
      const isMissing = name === "ticker" && /has no history/.test(message);
      if (isMissing) return { field: name, message: "No history: drop one." };
      return { field: name === "sweep" ? "sweep.fast" : name, message };
    });
    const elsewhere = showErrors(this.#fields, errors);
    if (errors.some(({ field: name }) => /^(fill|commission|slippage)/.test(name))) this.element.querySelector("details")?.setAttribute("open", "");
    this.#showState(errors.length ? ["Fix the highlighted fields.", ...elsewhere].join(" ") : error.message, true);
    focusFirstError(this.#fields);
  }

  /** Show a recorded simulation. @param {string} id */
  async #load(id) {
    this.#shownId = id;
    this.#showState(`Loading simulation ${id}…`);
    try {
      const simulation = await get(simulationPath(id));
      if (this.#shownId !== id) return;
      this.#fill(simulation.result);
      await this.#show(simulation);
    } catch (error) {
      if (this.#shownId !== id) return;
      this.#shownId = "";
      if (error instanceof ApiError && [400, 404].includes(error.status)) return this.#showState(`There is no simulation ${id}.`, true);
      this.#state.replaceChildren(failureNotice(error, () => this.#load(id)));
    }
  }

  /** Fill the form with a simulation's parameters. @param {Result} result */
  #fill({ name, strategy }) {
    this.#set("ticker", name);
    for (const [key, value] of Object.entries(strategy)) if (key in this.#fields) this.#set(key, String(value));
    this.#fractional.checked = strategy.fractional;
  }

  /** @param {Simulation} simulation */
  async #show({ result }) {
    const { metrics, strategy, trades } = result;
    this.#showState("");
    this.#result.hidden = false;
    this.#past.element.open = false;
    setText(this.#title, `${result.name}, fast ${strategy.fast}, slow ${strategy.slow}, ${describeBars(result)}`);
    const open = trades.filter(({ exit_at: exit }) => exit === null).length;
    this.#figures.replaceChildren(figures([
      ["Final equity, USD", formatMoney(metrics["final_equity"])],
      ["Return", formatPercent(metrics["total_return"]), trend(metrics["total_return"])],
      ["Buy and hold", formatPercent(metrics["buy_and_hold_return"]), trend(metrics["buy_and_hold_return"])],
      ["Largest drawdown", formatPercent(-Math.abs(metrics["max_drawdown"]))],
      ["Sharpe", formatRatio(metrics["sharpe"])],
      ["Profit factor", formatRatio(metrics["profit_factor"])],
      ["Closed trades", formatCount(metrics["trade_count"]) + (open ? `, ${open} open` : "")],
      ["Fees, USD", formatMoney(metrics["fees"])],
    ]));
    this.#trades.replaceChildren(...(trades.length ? trades.map(toRow) : [h("tr", {}, h("td", { colspan: "7", class: "muted" }, result.no_trades_reason ?? "There were no trades."))]));
    this.#downloadTrades.hidden = trades.length === 0;
    this.#downloadTrades.onclick = () => downloadTrades(result);
    this.#showSweep(result);
    await this.#draw(result);
  }

  /** @param {Result} result */
  async #draw(result) {
    try {
      this.#chart ??= new EquityChart(await loadLibrary(), this.#canvas, (bar, drawdown) => this.#hover(bar, drawdown));
    } catch {
      const retry = h("button", { type: "button", onclick: () => this.#draw(result) }, "Try again");
      return this.#state.replaceChildren(h("div", { class: "failure", role: "alert" }, h("p", {}, "The chart could not be loaded."), retry));
    }
    this.#chart.draw(result);
  }

  /**
   * @param {import("./result.js").Bar | null} bar
   * @param {number} drawdown percent
   */
  #hover(bar, drawdown) {
    const text = bar && `Equity ${formatMoney(bar.equity)}  Price ${formatAmount(bar.close)}  Drawdown ${formatPercent(drawdown / 100)}`;
    setText(this.#hovered, text ?? " ");
  }

  /** @param {Result} result */
  #showSweep({ sweep, strategy }) {
    if (!sweep) return this.#sweep.replaceChildren();
    const text = METRICS.find(([name]) => name === sweep.metric)?.[1] ?? sweep.metric;
    const map = heatMap(sweep.pairs, sweep.metric, strategy, ({ fast, slow }) => {
      this.#set("fast", String(fast));
      this.#set("slow", String(slow));
      this.#setSweep(false);
      this.#simulate();
    });
    this.#sweep.replaceChildren(h("h2", {}, `Sweep by ${text}`), h("p", { class: "muted small" }, `${sweep.warning} A click simulates the pair alone.`), map);
  }

  /**
   * @param {string} text
   * @param {boolean} [isBad]
   */
  #showState(text, isBad = false) {
    this.#state.classList.toggle("bad", isBad);
    setText(this.#state, text);
  }
}

/** @param {string} text */
function whole(text) {
  return /^\d{1,9}$/.test(text) ? Number(text) : text; // the API reports errors for anything else
}

/** @param {Result} result */
function downloadTrades({ name, strategy, trades }) {
  const header = /** @type {(keyof SimulatedTrade)[]} */ (Object.keys(/** @type {SimulatedTrade} */ (trades[0])));
  download(`simulation-${name}-${strategy.fast}-${strategy.slow}.csv`, toCsv([header, ...trades.map((trade) => header.map((key) => trade[key]))]));
}

/** @param {SimulatedTrade} trade */
function toRow(trade) {
  const number = (/** @type {string | null} */ text) => h("td", { class: "number" }, text === null ? "–" : formatMoney(text));
  const profit = h("td", { class: "number", "data-trend": String(Math.sign(Number(trade.profit))) }, formatMoney(trade.profit));
  return h("tr", {}, h("td", {}, when(trade.entry_at)), h("td", {}, trade.exit_at ? when(trade.exit_at) : "still held"), profit,
    number(trade.entry_price), number(trade.exit_price), h("td", { class: "number" }, formatAmount(trade.shares, 0)), number(trade.fees));
}

/** @param {string} at */
function when(at) {
  return at.includes("T") ? timeElement(at) : at;
}
