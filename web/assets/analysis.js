// The view of a day's analysis: figures, bars, a table, the rejected rows, and another run.

import { ApiError, ask, nextPage, read, send } from "./api.js";
import { byId, download, h, setText } from "./dom.js";
import { amount, rounded } from "./format.js";

const REJECTS_PAGE = 100;

/**
 * @typedef {{ticker: string, total_volume: string, average_price: string, trade_count: number, notional: string, open: string, high: string, low: string, close: string, buy_volume: string, sell_volume: string}} Row
 * @typedef {{date: string, records_processed: number, rejected: number, rows: Row[]}} Analysis
 * @typedef {{line: number, reason: string, row: string}} Reject
 */

export class AnalysisView {
  #day = "";
  /** @type {string | null} */
  #moreRejects = null;
  #form = /** @type {HTMLFormElement} */ (byId("day-form"));
  #input = /** @type {HTMLInputElement} */ (this.#form.elements.namedItem("date"));

  constructor() {
    this.#input.addEventListener("change", () => {
      if (this.#input.value) location.hash = `#/analysis?date=${this.#input.value}`;
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#input.value) this.#run();
    });
    byId("download-analysis").addEventListener("click", () => this.#download("", `analysis_${this.#day}.csv`));
    byId("download-rejects").addEventListener("click", () => this.#download("rejects/", `rejects_${this.#day}.csv`));
    byId("more-rejects").addEventListener("click", () => this.#loadRejects());
  }

  /** @param {URLSearchParams} parameters */
  show(parameters) {
    const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
    const day = parameters.get("date") ?? (this.#day || yesterday);
    if (day === this.#day) return;
    this.#day = day;
    this.#input.value = day;
    this.#load();
  }

  hide() {}

  async #load() {
    await this.#do(`Loading the analysis of ${this.#day}…`, () => read(`/api/analyses/${encodeURIComponent(this.#day)}/`), () =>
      `There is no analysis of ${this.#day} yet. It is made in the night after the day; run it now if the day's trades are exported.`,
    );
  }

  async #run() {
    await this.#do(`Analyzing ${this.#day}…`, () => send("/api/analyses/", { date: this.#day }), () =>
      `There is no file of trades of ${this.#day}. Trades are exported in the night after their day.`,
    );
  }

  /**
   * @param {string} meanwhile
   * @param {() => Promise<Analysis>} get
   * @param {() => string} missing
   */
  async #do(meanwhile, get, missing) {
    const day = this.#day;
    const button = byId("run-analysis");
    this.#showState(meanwhile);
    button.setAttribute("aria-disabled", "true");
    try {
      const analysis = await get();
      if (day === this.#day) await this.#show(analysis);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (day !== this.#day) return;
      this.#clear();
      const hint = error.isPassing ? " Try it again in a moment." : "";
      this.#showState(error.status === 404 ? missing() : error.message + hint, error.status !== 404);
    } finally {
      button.removeAttribute("aria-disabled");
    }
  }

  /** @param {Analysis} analysis */
  async #show(analysis) {
    const { rows } = analysis;
    setText(byId("run-analysis"), "Run it again");
    this.#showState(rows.length ? "" : `No row of ${analysis.date} is a trade.`);
    byId("analysis-figures").replaceChildren(
      ...figures([
        ["Rows read", amount(String(analysis.records_processed), 0)],
        ["Rejected", amount(String(analysis.rejected), 0)],
        ["Tickers", String(rows.length)],
      ]),
    );
    byId("volume-bars").replaceChildren(...bars(rows, "total_volume", 0));
    byId("price-bars").replaceChildren(...bars(rows, "average_price", 2));
    byId("analysis-rows").replaceChildren(...rows.map(tableRow));
    for (const id of ["analysis-figures", "analysis-charts", "analysis-table", "rejects"]) byId(id).hidden = false;
    byId("analysis-charts").hidden = byId("analysis-table").hidden = !rows.length;
    byId("download-analysis").toggleAttribute("disabled", false);
    byId("download-rejects").hidden = !analysis.rejected;
    byId("rejects-rows").replaceChildren();
    byId("rejects-table").hidden = !analysis.rejected;
    byId("more-rejects").hidden = true;
    setText(byId("rejects-state"), analysis.rejected ? "Loading…" : "None: every row of the file is a trade.");
    this.#moreRejects = `/api/analyses/${analysis.date}/rejects/?limit=${REJECTS_PAGE}`;
    if (analysis.rejected) await this.#loadRejects();
  }

  async #loadRejects() {
    const day = this.#day;
    if (!this.#moreRejects) return;
    try {
      const answer = await ask("GET", this.#moreRejects);
      const rejects = await answer.json();
      if (day !== this.#day) return;
      this.#moreRejects = nextPage(answer);
      byId("rejects-rows").append(...rejects.map(rejectRow));
      byId("more-rejects").hidden = this.#moreRejects === null;
      setText(byId("rejects-state"), "Lines of the file that are no trades; the header is line 1.");
    } catch (error) {
      setText(byId("rejects-state"), `${/** @type {Error} */ (error).message} Choose the day again to see them.`);
    }
  }

  /**
   * Follow the pages of a CSV to the end, and keep the header of the first.
   * @param {string} path
   * @param {string} name
   */
  async #download(path, name) {
    let text = "";
    /** @type {string | null} */
    let next = `/api/analyses/${this.#day}/${path}`;
    try {
      while (next) {
        const answer = await ask("GET", next, { accept: "text/csv" });
        const page = await answer.text();
        text += text ? page.slice(page.indexOf("\n") + 1) : page;
        next = nextPage(answer);
      }
      download(name, text);
    } catch (error) {
      this.#showState(/** @type {Error} */ (error).message, true);
    }
  }

  #clear() {
    for (const id of ["analysis-figures", "analysis-charts", "analysis-table", "rejects"]) byId(id).hidden = true;
    byId("download-analysis").toggleAttribute("disabled", true);
    setText(byId("run-analysis"), "Run it");
  }

  /**
   * @param {string} text
   * @param {boolean} [isBad]
   */
  #showState(text, isBad = false) {
    byId("analysis-state").classList.toggle("bad", isBad);
    setText(byId("analysis-state"), text);
  }
}

/**
 * Make the parts of a list of figures.
 * @param {[string, string, string?][]} parts name, text, and a trend
 */
export function figures(parts) {
  return parts.map(([name, text, trend]) => h("div", {}, h("dt", {}, name), h("dd", { class: "number", "data-trend": trend }, text)));
}

/**
 * @param {Row[]} rows
 * @param {"total_volume" | "average_price"} name
 * @param {number} decimals
 */
function bars(rows, name, decimals) {
  const largest = Math.max(...rows.map((row) => Number(row[name])));
  return rows.map((row) => {
    const bar = h("span", { class: "bar" });
    bar.style.setProperty("--part", String(largest ? Number(row[name]) / largest : 0));
    return h(
      "div",
      { class: "bar-row" },
      h("span", { class: "ticker" }, row.ticker),
      h("span", { class: "track", "aria-hidden": "true" }, bar),
      h("span", { class: "number" }, amount(decimals ? rounded(row[name], decimals) : row[name], decimals)),
    );
  });
}

/** @param {Row} row */
function tableRow(row) {
  const cells = [
    amount(row.total_volume, 0), amount(row.average_price, 6), amount(String(row.trade_count), 0), amount(row.notional), amount(row.open),
    amount(row.high), amount(row.low), amount(row.close), amount(row.buy_volume, 0), amount(row.sell_volume, 0),
  ];
  return h("tr", {}, h("th", { scope: "row" }, row.ticker), ...cells.map((text) => h("td", { class: "number" }, text)));
}

/** @param {Reject} reject */
function rejectRow(reject) {
  return h("tr", {}, h("td", { class: "number" }, amount(String(reject.line), 0)), h("td", {}, reject.reason), h("td", {}, h("code", {}, reject.row)));
}
