// The import view: previews a broker's file, compares it with the ledger, and records it.

import { ApiError, get, request } from "../core/api.js";
import { h, setText } from "../core/dom.js";
import { failureNotice } from "../core/failure.js";
import { field, focusFirstError, showErrors } from "../core/fields.js";
import { fileDrop } from "../core/file_drop.js";
import { formatPlural } from "../core/format.js";
import { IMPORT_FORMATS, IMPORTS } from "../core/paths.js";
import { inPlainWords } from "../core/words.js";
import { ColumnsForm } from "./columns.js";
import { PastImports } from "./past_imports.js";
import { comparisonLists, importLists, noticesOf } from "./result.js";

/**
 * @typedef {import("./result.js").ImportResult} ImportResult
 * @typedef {import("./result.js").Comparison} Comparison
 * @typedef {"try" | "record" | "compare"} Action
 */

const LIMIT = 4_000_000; // bytes
const WANTED = "Drop the file of trades here that your broker exports, a CSV. You see what is in it before anything is recorded.";
const NO_CSV = /\.(xlsx?|ods|numbers|pdf|zip)$/i;

/** @type {Record<Action, {doing: string, query: Record<string, string>}>} */
const ACTIONS = {
  try: { doing: "Reading", query: { dry_run: "true" } },
  record: { doing: "Recording", query: {} },
  compare: { doing: "Comparing", query: { mode: "compare" } },
};

export function create() {
  return new ImportView();
}

class ImportView {
  /** @type {File | null} */
  #file = null;
  #request = new AbortController();
  /** The options of the last read: leaving a field unchanged does not read the file again. */
  #tried = "";
  /** Format titles by name. @type {Map<string, string>} */
  #titles = new Map();
  /** Tickers for ISINs without one. @type {Map<string, string>} */
  #tickers = new Map();

  #drop = fileDrop("Broker’s file", WANTED, (file) => this.#take(file));
  #columns = new ColumnsForm(() => this.#send("try"));
  #fields = {
    account: field("Account", h("input", { name: "account", autocomplete: "off", maxlength: "40", placeholder: "main" }), "to record in"),
    timezone: field("Time zone", h("input", { name: "timezone", autocomplete: "off", list: "time-zones", placeholder: "the broker’s", spellcheck: "false" }), "of its dates"),
    currency: field("Currency", h("input", { name: "currency", class: "upper", autocomplete: "off", maxlength: "3", placeholder: "USD" }), "if it has none"),
    source_account: field("Broker’s account", h("input", { name: "source_account", autocomplete: "off" }), "of several"),
    date_format: this.#columns.dateFormat,
  };
  #state = h("p", { class: "notice", role: "status", id: "import-state" });
  #failure = h("div", {});
  #title = h("h2", { tabindex: "-1" });
  #actions = h("div", { class: "row" });
  #content = h("div", {});
  #result = h("section", { class: "panel import-result", hidden: true, "aria-label": "The file" }, h("div", { class: "panel-head" }, this.#title, this.#actions), this.#content);
  #past = new PastImports();

  constructor() {
    const form = h("form", { class: "import-form", novalidate: true, "aria-labelledby": "import-title" },
      ...[this.#fields.account, this.#fields.timezone, this.#fields.currency, this.#fields.source_account].map(({ element }) => element));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", () => this.#query("try").toString() !== this.#tried && this.#send("try"));
    const zones = Intl.supportedValuesOf("timeZone").map((zone) => h("option", { value: zone }));
    this.element = h("div", { class: "view imports" },
      h("div", { class: "column" },
        h("section", { class: "panel", "aria-labelledby": "import-title" },
          h("div", { class: "panel-head" }, h("h1", { id: "import-title" }, "Import")),
          this.#drop.element, form, h("datalist", { id: "time-zones" }, ...zones), this.#state, this.#failure, this.#columns.element),
        this.#result),
      this.#past.element);
  }

  show() {
    this.#past.load();
  }

  search() {
    this.#drop.focus();
  }

  /** @param {File} file */
  #take(file) {
    this.#file = null;
    this.#request.abort();
    this.#tickers.clear();
    this.#columns.close();
    this.#result.hidden = true;
    this.#failure.replaceChildren();
    this.#showState("");
    if (NO_CSV.test(file.name)) return this.#drop.show(`${file.name} is not a CSV. Export it as one, or save the sheet as one.`, true);
    if (file.size > LIMIT) return this.#drop.show(`${file.name} has more than 4 MB. Export it in parts, by year for example.`, true);
    this.#drop.show(file.name);
    this.#file = file;
    this.#send("try");
  }

  /** Send the file and show the result. @param {Action} action */
  async #send(action) {
    const file = this.#file;
    if (!file) return;
    this.#request.abort();
    this.#request = new AbortController();
    const { signal } = this.#request;
    this.#tried = this.#query("try").toString();
    this.#failure.replaceChildren();
    this.#result.inert = true;
    this.#showState(`${ACTIONS[action].doing} ${file.name}…`);
    try {
      await this.#learnTitles();
      const response = await request("POST", `${IMPORTS}?${this.#query(action)}`, { body: file, type: "application/octet-stream", signal });
      const answer = await response.json();
      if (signal.aborted) return;
      this.#refuse([]);
      this.#showState("");
      if (action === "compare") this.#showComparison(answer);
      else this.#showImport(answer);
      if (action === "record") this.#past.load();
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.#showState("");
      if (error.errors.length) await this.#refuse(error.errors);
      else this.#failure.replaceChildren(failureNotice(error, () => !signal.aborted && this.#send(action)));
    } finally {
      if (!signal.aborted) this.#result.inert = false;
    }
  }

  /** @param {Action} action */
  #query(action) {
    const { account, timezone, currency, source_account: source } = this.#fields;
    const values = {
      account: account.input.value.trim(),
      timezone: timezone.input.value.trim(),
      currency: currency.input.value.trim().toUpperCase(),
      source_account: source.input.value.trim(),
      tickers: [...this.#tickers].map(([isin, ticker]) => `${isin}:${ticker}`).join(","),
      ...this.#columns.query,
      ...ACTIONS[action].query,
    };
    return new URLSearchParams(Object.entries(values).filter(([, value]) => value));
  }

  async #learnTitles() {
    if (this.#titles.size) return;
    for (const { name, title } of await get(IMPORT_FORMATS)) this.#titles.set(name, title);
  }

  /** Show errors; ask for columns if the format is unknown. @param {import("../core/api.js").FieldError[]} errors */
  async #refuse(errors) {
    const elsewhere = showErrors(this.#fields, errors);
    if (!errors.length) return;
    this.#result.hidden = true;
    const isUnknown = errors.some(({ field: name, message }) => name === "body" && message.includes("none of the formats"));
    if (isUnknown && this.#file) await this.#columns.open(this.#file);
    const several = errors.filter(({ field: name }) => name === "source_account").map(({ message }) => inPlainWords("", message)); // too long for its field
    this.#showState([...elsewhere.map(ofFile), ...several].join(" ") || "Fix the highlighted fields.", true);
    focusFirstError(this.#fields);
  }

  /** @param {ImportResult} result */
  #showImport(result) {
    const { import_id: id, recorded, rows_read: read, format } = result;
    const rows = formatPlural(read, "row");
    const title = `${this.#titles.get(format) ?? "Your columns"}: ${rows}`;
    const compare = h("button", { type: "button", onclick: () => this.#send("compare") }, "Compare with the ledger");
    if (id === null) {
      const record = h("button", { type: "button", class: "primary", disabled: recorded === 0, onclick: () => this.#send("record") }, `Record ${formatPlural(recorded, "trade")}`);
      this.#show(title, [compare, record], recorded ? "Nothing is recorded yet." : "The file has no trades that are not recorded already.", noticesOf(result), this.#tickersForm(result.isins_without_ticker), importLists(result));
    } else {
      const back = h("button", { type: "button", onclick: async () => (await this.#past.takeBack({ id, recorded })) && this.#send("try") }, "Take it back");
      const account = this.#fields.account.input.value.trim() || "main";
      this.#show(title, [compare, ...(recorded ? [back] : []), h("a", { class: "button primary", href: `#/overview?account=${encodeURIComponent(account)}` }, "See the positions")],
        `Import ${id} is completed: ${formatPlural(recorded, "trade")} recorded.`, noticesOf(result), this.#tickersForm(result.isins_without_ticker), importLists(result));
    }
  }

  /** @param {Comparison} comparison */
  #showComparison(comparison) {
    const { differs, missing_here: here, missing_there: there, rejected } = comparison;
    const isEqual = differs + here + there === 0;
    const said = isEqual ? "The file and the ledger agree." : "The file and the ledger, from the file’s first day to its last.";
    const again = h("button", { type: "button", onclick: () => this.#send("try") }, "Back to the file");
    this.#show(`${this.#titles.get(comparison.format) ?? "Your columns"}: compared`, [again], `${said}${rejected ? ` ${formatPlural(rejected, "row")} could not be read.` : ""}`, comparisonLists(comparison));
  }

  /**
   * @param {string} title
   * @param {Node[]} actions
   * @param {string} said
   * @param {...(Node | null)} content
   */
  #show(title, actions, said, ...content) {
    setText(this.#title, title);
    this.#actions.replaceChildren(...actions);
    this.#content.replaceChildren(h("p", { role: "status" }, said), ...content.filter((each) => each !== null));
    this.#result.hidden = this.#result.inert = false;
    const isNowhere = document.activeElement === document.body; // for example, after the focused button was removed
    if (isNowhere || this.#columns.element.contains(document.activeElement)) this.#title.focus();
  }

  /** Ask for the tickers of ISINs. @param {string[]} isins */
  #tickersForm(isins) {
    if (!isins.length) return null;
    const fields = isins.map((isin) => ({ isin, ...field(isin, h("input", { class: "upper", autocomplete: "off", maxlength: "10", placeholder: "Ticker" })) }));
    const form = h("form", { class: "change-form", novalidate: true, "aria-label": "Tickers of ISINs" },
      h("p", { class: "muted small" }, "The file has no tickers of these securities. Name them to record their trades."),
      h("div", { class: "fields" }, ...fields.map(({ element }) => element)),
      h("button", { type: "submit" }, "Use these tickers"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      for (const { isin, input } of fields) if (input.value.trim()) this.#tickers.set(isin, input.value.trim().toUpperCase());
      this.#send("try");
    });
    return form;
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

/** Reword an API error about the request body to refer to the file, without its example. @param {string} text */
const ofFile = (text) => text.replace(/^(Is|Has) /, (verb) => `The file ${verb.toLowerCase()}`).replace(/ Name its columns: .*/, " Name its columns below.");
