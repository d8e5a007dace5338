// The analysis view: the analyzed days, and a day's figures, tickers, changes and rejected rows.

import { ApiError, get, nextPage, pages, post, request } from "../core/api.js";
import { openDialog } from "../core/dialog.js";
import { download, h, setText } from "../core/dom.js";
import { failureNotice } from "../core/failure.js";
import { dateError } from "../core/fields.js";
import { fileDrop } from "../core/file_drop.js";
import { figures } from "../core/figures.js";
import { formatAmount, formatCount, formatPlural } from "../core/format.js";
import { ANALYSES, analysis as analysisPath, EXPORTS, rejects as rejectsPath } from "../core/paths.js";
import { DAY_MS, utcDay } from "../core/time.js";
import { analyze, HeaderError } from "./own_file.js";
import { analysisTable } from "./table.js";

const REJECTS_PAGE = 100;
const DAYS_PAGE = 14;
const FILE_LIMIT = 20_000_000; // maximum size in bytes of a file analyzed in the browser
const WANTED = "Drop a CSV of trades here to analyze it without keeping it: the columns ticker, price, quantity, side and timestamp.";
const ASK_MS = 1_000; // polling interval while an analysis is running
const EXPORT_MS = 30_000; // timeout for an export that changes nothing

/**
 * @typedef {import("./table.js").Row} Row
 * @typedef {{ticker: string, figure: string, old: string | null, new: string | null}} Change
 * @typedef {{date: string, records_processed: number, rejected: number, rows: Row[], status: "current" | "stale" | "running" | "failed", reason: string | null, is_foreign: boolean, revision: number, changes: Change[]}} Analysis
 * @typedef {{line: number, reason: string, row: string}} Reject
 */

export function create() {
  return new AnalysisView();
}

class AnalysisView {
  #day = "";
  /** The displayed analysis. @type {Analysis | null} */
  #analysis = null;
  /** @type {string | null} */
  #moreRejects = null;
  /** @type {string | null} */
  #moreDays = null;
  /** @type {string[]} The known days that have an analysis, newest first. */
  #days = [];
  /** Known analysis statuses by day. @type {Map<string, Analysis["status"]>} */
  #statuses = new Map();

  #input = h("input", { type: "date", name: "date", "aria-label": "Day, UTC", required: true, max: "9999-12-31", onchange: () => this.#go(this.#input.value) });
  #run = h("button", { type: "submit", class: "primary" }, "Export and analyze");
  #dayList = h("div", { class: "chips presets", role: "group", "aria-label": "Days with an analysis" });
  #download = h("button", { type: "button", disabled: true, onclick: () => this.#downloadAll(analysisPath(this.#day), `analysis_${this.#day}.csv`) }, "Download CSV");
  #state = h("p", { class: "notice", role: "status", id: "analysis-state" });
  #failure = h("div", {});
  #figures = h("div", { id: "analysis-figures" });
  #table = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Results by ticker" });
  #tablePanel = h("section", { class: "panel", hidden: true, "aria-labelledby": "tickers-title" },
    h("div", { class: "panel-head" }, h("h2", { id: "tickers-title" }, "Tickers"), h("span", { class: "muted small" }, "Amounts in USD where nothing else is said, volumes in shares, the dot is the average")), this.#table);
  #changes = h("tbody");
  #changesSummary = h("summary", {});
  #changesPanel = h("details", { class: "panel", hidden: true }, this.#changesSummary,
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Changes" },
      h("table", {}, h("thead", {}, h("tr", {}, ...["Ticker", "Figure", "Before", "Now"].map((text, index) => h("th", { scope: "col", class: index > 1 ? "number" : "" }, text)))), this.#changes)));
  #drop = fileDrop("File of trades", WANTED, (file) => this.#analyzeFile(file));
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
      if (error) return this.#showState(error, true);
      if (this.#input.value) this.#make();
    });
    this.element = h(
      "div",
      { class: "view analysis" },
      h(
        "section",
        { class: "panel", "aria-labelledby": "analysis-title" },
        h("div", { class: "panel-head" }, h("h1", { id: "analysis-title" }, "Analysis of a day ", h("small", {}, "UTC")), form),
        this.#dayList,
        this.#state,
        this.#failure,
        this.#figures,
      ),
      this.#tablePanel,
      this.#changesPanel,
      this.#rejectsPanel,
      this.#drop.element,
    );
  }

  /** @param {URLSearchParams} parameters */
  async show(parameters) {
    if (!this.#days.length) await this.#loadDays();
    const yesterday = utcDay(Date.now() - DAY_MS);
    const day = parameters.get("date") ?? (this.#day || this.#days[0] || yesterday);
    if (day === this.#day) return;
    this.#day = day;
    this.#input.value = day;
    this.#showDays();
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
    if (!Number.isNaN(day)) this.#go(utcDay(day + days * DAY_MS));
  }

  /** Load the first or next page of analyzed days. */
  async #loadDays() {
    try {
      const response = await request("GET", this.#moreDays ?? `${ANALYSES}?limit=${DAYS_PAGE}`);
      this.#days = [...new Set([...this.#days, ...(await response.json())])];
      this.#moreDays = nextPage(response);
    } catch {
      return; // loading the day reports the error
    }
    this.#showDays();
    this.#loadStatuses();
  }

  /** Load the analysis status of each day in turn: the list of days does not include it. */
  async #loadStatuses() {
    for (const day of this.#days) {
      if (this.#statuses.has(day)) continue;
      try {
        /** @type {Analysis} */
        const { status } = await get(`${analysisPath(day)}?limit=1`);
        this.#statuses.set(day, status);
      } catch {
        return; // loading the day reports the error
      }
      this.#showDays();
    }
  }

  #showDays() {
    const chip = (/** @type {string} */ day) => {
      const status = this.#statuses.get(day) ?? "current";
      const mark = status === "current" ? null : h("span", { class: `mark ${status}` }, ` ${status}`);
      return h("button", { type: "button", class: "chip number", "aria-pressed": String(day === this.#day), onclick: () => this.#go(day) }, day, mark);
    };
    const more = this.#moreDays ? [h("button", { type: "button", class: "chip quiet", onclick: () => this.#loadDays() }, "Older days")] : [];
    this.#dayList.replaceChildren(...this.#days.map(chip), ...more);
  }

  /** Show the stored analysis of the day, waiting for one that is running. */
  async #load() {
    this.#clear();
    this.#showState(`Loading the analysis of ${this.#day}…`);
    await this.#try(async (day) => {
      let analysis = await read(day);
      if (analysis?.status === "running") analysis = await this.#follow(day, (current) => current?.status !== "running");
      if (day === this.#day) await this.#show(analysis);
    }, () => this.#load());
  }

  /** Export and analyze the day; an externally provided file is only analyzed. */
  async #make() {
    const before = this.#analysis;
    const isForeign = before?.is_foreign ?? false;
    this.#showState(isForeign ? `Analyzing ${this.#day}…` : `Exporting and analyzing ${this.#day}…`);
    this.#run.setAttribute("aria-disabled", "true");
    await this.#try(async (day) => {
      await post(isForeign ? ANALYSES : EXPORTS, { date: day });
      const start = Date.now();
      let wasRunning = false;
      // An export of unchanged trades triggers an analysis that changes nothing and may finish between two polls.
      const analysis = await this.#follow(day, (current) => {
        if (current?.status === "running") return void (wasRunning = true);
        return isForeign || wasRunning || current?.revision !== before?.revision || current?.status === "failed" || Date.now() - start > EXPORT_MS;
      });
      if (day !== this.#day) return;
      if (analysis && !this.#days.includes(day)) this.#days = [day, ...this.#days].sort().reverse();
      await this.#show(analysis);
    }, () => this.#make());
    this.#run.removeAttribute("aria-disabled");
  }

  /**
   * Poll a day's analysis until `isDone` or until another day is shown.
   * @param {string} day
   * @param {(analysis: Analysis | null) => unknown} isDone
   */
  async #follow(day, isDone) {
    for (;;) {
      const analysis = await read(day);
      if (isDone(analysis) || day !== this.#day) return analysis;
      await new Promise((resolve) => setTimeout(resolve, ASK_MS));
    }
  }

  /**
   * Run an action for the day and show any error.
   * @param {(day: string) => Promise<void>} action
   * @param {() => unknown} again
   */
  async #try(action, again) {
    const day = this.#day;
    this.#failure.replaceChildren();
    try {
      await action(day);
    } catch (error) {
      if (day !== this.#day) return;
      this.#clear();
      if (error instanceof ApiError && [400, 409].includes(error.status)) return this.#showState(error.errors[0] ? "This is not a day." : error.message, true);
      this.#showState("");
      this.#failure.replaceChildren(failureNotice(error, again));
    }
  }

  /** @param {Analysis | null} analysis */
  async #show(analysis) {
    this.#analysis = analysis;
    const day = this.#day;
    if (analysis) this.#statuses.set(day, analysis.status);
    this.#showDays();
    if (!analysis) {
      return this.#showState(`There is no analysis of ${day} yet. It is made in the night after the day, or now if you export and analyze it.`);
    }
    const { date, records_processed: read, rejected, rows, status, reason, revision, is_foreign: isForeign, changes } = analysis;
    const states = {
      current: rows.length ? "" : `There are no trades of ${date}.`,
      stale: "The trades of the day have changed since. Export and analyze it again.",
      running: "It is being made at the moment.",
      failed: `It could not be made: ${reason}`,
    };
    this.#showState(states[status], status === "failed");
    setText(this.#run, isForeign ? "Analyze again" : "Export and analyze");
    this.#figures.replaceChildren(figures([
      ["Rows read", formatCount(read)],
      ["Rejected", formatCount(rejected)],
      ["Tickers", formatCount(rows.length)],
      ["Revision", formatCount(revision)],
      ["Source", isForeign ? "A file put there" : "Export"],
    ]));
    this.#table.replaceChildren(analysisTable(rows));
    this.#tablePanel.hidden = rows.length === 0;
    this.#download.disabled = revision === 0;
    this.#showChanges(changes, revision);
    this.#rejectsPanel.hidden = rejected === 0;
    this.#rejects.replaceChildren();
    this.#moreButton.hidden = true;
    setText(this.#rejectsState, "Loading…");
    this.#moreRejects = `${rejectsPath(date)}?limit=${REJECTS_PAGE}`;
    if (rejected) await this.#loadRejects();
  }

  /**
   * @param {Change[]} changes
   * @param {number} revision
   */
  #showChanges(changes, revision) {
    this.#changesPanel.hidden = changes.length === 0;
    setText(this.#changesSummary, `What revision ${revision} changed: ${formatPlural(changes.length, "figure")}`);
    const cell = (/** @type {string | null} */ text) => h("td", { class: "number" }, text === null ? "–" : formatAmount(text, 0));
    this.#changes.replaceChildren(...changes.map(({ ticker, figure, old, new: now }) =>
      h("tr", {}, h("th", { scope: "row" }, ticker), h("td", {}, figure.replaceAll("_", " ")), cell(old), cell(now))));
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
      this.#rejects.append(...rejects.map(toReject));
      this.#moreButton.hidden = this.#moreRejects === null;
      setText(this.#rejectsState, "Lines of the file that are no trades; the header is line 1.");
    } catch (error) {
      this.#rejectsState.replaceChildren(failureNotice(error, () => this.#loadRejects()));
    }
  }

  /**
   * Download all pages of a CSV as one file, with the header of the first page.
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

  /** Show the analysis of a file in a window without storing it. @param {File} file */
  async #analyzeFile(file) {
    if (file.size > FILE_LIMIT) return this.#drop.show(`${file.name} has more than 20 MB: put it into the bucket, as the file of a day.`, true);
    try {
      const { rows, rejects, count } = analyze(await file.text());
      this.#drop.show(WANTED);
      const rejected = rejects.slice(0, REJECTS_PAGE).map(toReject);
      const note = rejects.length > REJECTS_PAGE ? `The first ${REJECTS_PAGE} of the lines that are no trades:` : "Lines that are no trades:";
      const table = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Results of ${file.name}` }, analysisTable(rows));
      openDialog(file.name, [
        h("p", { class: "muted small" }, "Analyzed in your browser. It was sent nowhere, and is not kept."),
        figures([["Rows read", formatCount(count)], ["Rejected", formatCount(rejects.length)], ["Tickers", formatCount(rows.length)]]),
        h("section", { class: "part" }, table),
        ...(rejected.length ? [h("section", { class: "part rejects" }, h("h3", {}, note), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Lines that are no trades" }, h("table", {}, h("tbody", {}, ...rejected))))] : []),
      ]);
    } catch (error) {
      if (!(error instanceof HeaderError)) throw error;
      this.#drop.show(`${file.name} is no file of trades. ${error.message}`, true);
    }
  }

  #clear() {
    this.#analysis = null;
    this.#figures.replaceChildren();
    this.#tablePanel.hidden = this.#rejectsPanel.hidden = this.#changesPanel.hidden = true;
    this.#download.disabled = true;
    setText(this.#run, "Export and analyze");
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

/** @param {Reject} reject */
function toReject({ line, reason, row }) {
  return h("tr", {}, h("td", { class: "number" }, formatCount(line)), h("td", {}, reason), h("td", {}, h("code", {}, row)));
}

/**
 * Return a day's analysis with all of its rows, or null if there is none.
 * @param {string} day
 * @returns {Promise<Analysis | null>}
 */
async function read(day) {
  try {
    /** @type {Analysis | null} */
    let whole = null;
    for await (const page of pages(analysisPath(day))) {
      if (whole) whole.rows.push(.../** @type {any} */ (page).rows);
      else whole = /** @type {any} */ (page);
    }
    return whole;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}
