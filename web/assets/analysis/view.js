// The view of a day's analysis: its figures, its tickers, the rows that were left out, and another run.

import { ApiError, get, nextPage, post, request } from "../core/api.js";
import { download, h, setText } from "../core/dom.js";
import { failureNotice } from "../core/failure.js";
import { dateError } from "../core/fields.js";
import { figures } from "../core/figures.js";
import { formatCount } from "../core/format.js";
import { ANALYSES, analysis as analysisPath, rejects as rejectsPath } from "../core/paths.js";
import { analysisTable } from "./table.js";

const REJECTS_PAGE = 100;
const DAY_MS = 86_400_000;

/**
 * @typedef {import("./table.js").Row} Row
 * @typedef {{date: string, records_processed: number, rejected: number, rows: Row[]}} Analysis
 * @typedef {{line: number, reason: string, row: string}} Reject
 */

export function create() {
  return new AnalysisView();
}

class AnalysisView {
  #day = "";
  /** @type {string | null} */
  #moreRejects = null;

  #input = h("input", { type: "date", name: "date", "aria-label": "Day, UTC", required: true, max: "9999-12-31", onchange: () => this.#go(this.#input.value) });
  #run = h("button", { type: "submit", class: "primary" }, "Run it");
  #download = h("button", { type: "button", disabled: true, onclick: () => this.#downloadAll(analysisPath(this.#day), `analysis_${this.#day}.csv`) }, "Download CSV");
  #state = h("p", { class: "notice", role: "status", id: "analysis-state" });
  #failure = h("div", {});
  #figures = h("div", { id: "analysis-figures" });
  #table = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Results by ticker" });
  #tablePanel = h("section", { class: "panel", hidden: true, "aria-labelledby": "tickers-title" },
    h("div", { class: "panel-head" }, h("h2", { id: "tickers-title" }, "Tickers"), h("span", { class: "muted small" }, "Prices and amounts in USD, volumes in shares, the dot is the average")), this.#table);
  #rejects = h("tbody");
  #rejectsState = h("p", { class: "muted" });
  #moreButton = h("button", { type: "button", hidden: true, onclick: () => this.#loadRejects() }, "Show more");
  #rejectsPanel = h("section", { class: "panel rejects", hidden: true, "aria-labelledby": "rejects-title" },
    h("div", { class: "panel-head" }, h("h2", { id: "rejects-title" }, "Rejected rows"),
      h("button", { type: "button", onclick: () => this.#downloadAll(rejectsPath(this.#day), `rejects_${this.#day}.csv`) }, "Download rejected rows")),
    this.#rejectsState,
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Lines that were rejected" },
      h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col", class: "number" }, "Line"), h("th", { scope: "col" }, "Reason"), h("th", { scope: "col" }, "Row"))), this.#rejects)),
    this.#moreButton);

  constructor() {
    const form = h(
      "form",
      { class: "day-form", novalidate: true },
      h("button", { type: "button", class: "icon", "aria-label": "The day before", onclick: () => this.#step(-1) }, "‹"),
      this.#input,
      h("button", { type: "button", class: "icon", "aria-label": "The day after", onclick: () => this.#step(1) }, "›"),
      this.#run,
      this.#download,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const error = dateError(this.#input);
      if (error) return this.#show(error, true);
      if (this.#input.value) this.#analyze();
    });
    this.element = h(
      "div",
      { class: "view analysis" },
      h(
        "section",
        { class: "panel", "aria-labelledby": "analysis-title" },
        h("div", { class: "panel-head" }, h("h1", { id: "analysis-title" }, "Analysis of a day ", h("small", {}, "UTC")), form),
        this.#state,
        this.#failure,
        this.#figures,
      ),
      this.#tablePanel,
      this.#rejectsPanel,
    );
  }

  /** @param {URLSearchParams} parameters */
  show(parameters) {
    const yesterday = new Date(Date.now() - DAY_MS).toISOString().slice(0, 10);
    const day = parameters.get("date") ?? (this.#day || yesterday);
    if (day === this.#day) return;
    this.#day = day;
    this.#input.value = day;
    this.#load();
  }

  search() {
    this.#input.focus();
  }

  /** @param {string} day */
  #go(day) {
    if (day) location.hash = `#/analysis?date=${day}`;
  }

  /** @param {number} days */
  #step(days) {
    const day = Date.parse(`${this.#day}T00:00:00Z`);
    if (!Number.isNaN(day)) this.#go(new Date(day + days * DAY_MS).toISOString().slice(0, 10));
  }

  #load() {
    return this.#do(
      `Loading the analysis of ${this.#day}…`,
      () => get(analysisPath(this.#day)),
      `There is no analysis of ${this.#day} yet. It is made in the night after the day. If the day's trades are exported already, run it now.`,
    );
  }

  #analyze() {
    return this.#do(
      `Analyzing ${this.#day}…`,
      () => post(ANALYSES, { date: this.#day }),
      `There is no file of trades of ${this.#day}. Trades are exported in the night after their day.`,
    );
  }

  /**
   * @param {string} doing
   * @param {() => Promise<Analysis>} ask
   * @param {string} missing what a 404 means
   */
  async #do(doing, ask, missing) {
    const day = this.#day;
    this.#show(doing);
    this.#failure.replaceChildren();
    this.#run.setAttribute("aria-disabled", "true");
    try {
      const analysis = await ask();
      if (day === this.#day) await this.#showAnalysis(analysis);
    } catch (error) {
      if (day !== this.#day) return;
      this.#clear();
      if (error instanceof ApiError && error.status === 404) return this.#show(missing);
      if (error instanceof ApiError && [400, 409].includes(error.status)) return this.#show(error.errors[0] ? "This is not a day." : error.message, true);
      this.#show("");
      this.#failure.replaceChildren(failureNotice(error, () => this.#do(doing, ask, missing)));
    } finally {
      this.#run.removeAttribute("aria-disabled");
    }
  }

  /** @param {Analysis} analysis */
  async #showAnalysis({ date, records_processed: read, rejected, rows }) {
    setText(this.#run, "Run it again");
    this.#show(rows.length ? "" : `No row of ${date} is a trade.`);
    this.#figures.replaceChildren(figures([["Rows read", formatCount(read)], ["Rejected", formatCount(rejected)], ["Tickers", formatCount(rows.length)]]));
    this.#table.replaceChildren(analysisTable(rows));
    this.#tablePanel.hidden = rows.length === 0;
    this.#download.disabled = false;
    this.#rejectsPanel.hidden = rejected === 0;
    this.#rejects.replaceChildren();
    this.#moreButton.hidden = true;
    setText(this.#rejectsState, "Loading…");
    this.#moreRejects = `${rejectsPath(date)}?limit=${REJECTS_PAGE}`;
    if (rejected) await this.#loadRejects();
  }

  async #loadRejects() {
    const day = this.#day;
    if (!this.#moreRejects) return;
    try {
      const response = await request("GET", this.#moreRejects);
      /** @type {Reject[]} */
      const rejects = await response.json();
      if (day !== this.#day) return;
      this.#moreRejects = nextPage(response);
      this.#rejects.append(...rejects.map(({ line, reason, row }) =>
        h("tr", {}, h("td", { class: "number" }, formatCount(line)), h("td", {}, reason), h("td", {}, h("code", {}, row)))));
      this.#moreButton.hidden = this.#moreRejects === null;
      setText(this.#rejectsState, "Lines of the file that are no trades; the header is line 1.");
    } catch (error) {
      this.#rejectsState.replaceChildren(failureNotice(error, () => this.#loadRejects()));
    }
  }

  /**
   * Download all pages of a CSV as one file, with the header of the first.
   * @param {string} path
   * @param {string} name
   */
  async #downloadAll(path, name) {
    let text = "";
    try {
      for (let next = /** @type {string | null} */ (path); next; ) {
        const response = await request("GET", next, { accept: "text/csv" });
        const page = await response.text();
        text += text ? page.slice(page.indexOf("\n") + 1) : page;
        next = nextPage(response);
      }
      this.#failure.replaceChildren();
      download(name, text);
    } catch (error) {
      this.#failure.replaceChildren(failureNotice(error, () => this.#downloadAll(path, name)));
    }
  }

  #clear() {
    this.#figures.replaceChildren();
    this.#tablePanel.hidden = this.#rejectsPanel.hidden = true;
    this.#download.disabled = true;
    setText(this.#run, "Run it");
  }

  /**
   * @param {string} text
   * @param {boolean} [isBad]
   */
  #show(text, isBad = false) {
    this.#state.classList.toggle("bad", isBad);
    setText(this.#state, text);
  }
}
