// Trade filters: ticker, side, account, and days in the viewer's time zone. They are kept in the URL.
// A ticker that is typed is a prefix; one that is chosen, or linked to, is that ticker only.

import { h } from "../core/dom.js";
import { dateError, field, showErrors, tickerInput } from "../core/fields.js";
import { formatDay, startOfDay } from "../core/time.js";
import { isTickerPrefix, TICKER_ERROR } from "../core/words.js";

const PAUSE_MS = 400;
const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** @type {[string, (today: Date) => [Date | null, Date | null]][]} name, and its first and last day */
const PRESETS = [
  ["All time", () => [null, null]],
  ["Today", (today) => [today, today]],
  ["Yesterday", (today) => [daysBefore(today, 1), daysBefore(today, 1)]],
  ["7 days", (today) => [daysBefore(today, 6), today]],
  ["This month", (today) => [new Date(today.getFullYear(), today.getMonth(), 1), today]],
  ["This year", (today) => [new Date(today.getFullYear(), 0, 1), today]],
];

/**
 * @param {Date} day
 * @param {number} count
 */
function daysBefore(day, count) {
  return new Date(day.getFullYear(), day.getMonth(), day.getDate() - count);
}

export class Filters {
  #ticker = field("Ticker", tickerInput({ placeholder: "All" }));
  #side = field("Side", h("select", { name: "side" }, h("option", { value: "" }, "Both"), h("option", { value: "BUY" }, "Buy"), h("option", { value: "SELL" }, "Sell")));
  #from = field("From", h("input", { name: "from", type: "date", max: "9999-12-31" }));
  #to = field("To", h("input", { name: "to", type: "date", max: "9999-12-31" }));
  #account = field("Account", h("input", { name: "account", autocomplete: "off", placeholder: "All", maxlength: "40" }));
  #tag = field("Tag", h("input", { name: "tag", autocomplete: "off", autocapitalize: "none", placeholder: "Any", maxlength: "40" }));
  #status = field("Show", h("select", { name: "status" }, h("option", { value: "" }, "Active"), h("option", { value: "voided" }, "Voided"), h("option", { value: "all" }, "All")));
  #fields = { ticker: this.#ticker, side: this.#side, from: this.#from, to: this.#to, account: this.#account, tag: this.#tag, status: this.#status };
  #more = h("button", { type: "button", class: "quiet more", "aria-expanded": "false", onclick: () => this.#showMore(!this.element.classList.contains("all")) }, "Account, tag, voided…");
  #isExact = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pause;
  #presets = PRESETS.map(([name, days]) =>
    h("button", { type: "button", class: "chip", "aria-pressed": "false", onclick: () => this.#usePreset(days) }, name));

  /** @param {(parameters: URLSearchParams) => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    this.element = h(
      "form",
      { class: "filters", "aria-label": "Filter trades", novalidate: true },
      ...Object.values(this.#fields).map(({ element }) => element),
      this.#more,
      h("div", { class: "chips presets", role: "group", "aria-label": "Days" }, ...this.#presets, h("button", { type: "reset", class: "chip quiet" }, "Clear")),
    );
    for (const { element } of [this.#account, this.#tag, this.#status]) element.classList.add("further");
    const soon = () => {
      clearTimeout(this.#pause);
      this.#pause = setTimeout(() => this.#apply(), PAUSE_MS);
    };
    this.#ticker.input.addEventListener("input", () => (this.#isExact = false));
    this.element.addEventListener("input", soon);
    this.element.addEventListener("keyup", soon); // a partly typed date fires no input event
    this.element.addEventListener("focusout", soon);
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#apply();
    });
    this.element.addEventListener("reset", () => setTimeout(() => this.#apply()));
  }

  focus() {
    this.#ticker.input.focus();
  }

  /** Filter by the ticker in the field only, or by all that begin with it. @param {boolean} isExact */
  setExact(isExact) {
    this.#isExact = isExact;
    this.#apply();
  }

  /** Show the filters from the URL, except in the focused field. @param {URLSearchParams} parameters */
  show(parameters) {
    this.#isExact = parameters.has("ticker");
    for (const [name, { input }] of Object.entries(this.#fields)) {
      const wanted = parameters.get(name) ?? (name === "ticker" ? parameters.get("ticker_prefix") : null) ?? "";
      if (input.value !== wanted && document.activeElement !== input) input.value = wanted;
    }
    if (["account", "tag", "status"].some((name) => parameters.has(name))) this.#showMore(true);
    this.#showPreset();
  }

  /** On a phone, show all filters or only the common ones. @param {boolean} isAll */
  #showMore(isAll) {
    this.element.classList.toggle("all", isAll);
    this.#more.setAttribute("aria-expanded", String(isAll));
  }

  /** @param {import("../core/api.js").FieldError[]} errors from the API, with its field names */
  showErrors(errors) {
    const { from, to, ...others } = this.#fields;
    const here = errors.map(({ field: name, message }) => ({ field: name === "ticker_prefix" ? "ticker" : name, message }));
    return showErrors({ ...others, start_date: from, end_date: to }, here);
  }

  #apply() {
    clearTimeout(this.#pause);
    if (!this.#check()) return;
    const parameters = new URLSearchParams();
    for (const [name, { input }] of Object.entries(this.#fields)) {
      const text = input.value.trim();
      if (!text) continue;
      if (name === "ticker") parameters.set(this.#isExact ? "ticker" : "ticker_prefix", text.toUpperCase());
      else parameters.set(name, name === "tag" ? text.toLowerCase() : text);
    }
    this.#showPreset();
    this.onChange(parameters);
  }

  /** Show errors and return whether the filters are valid. */
  #check() {
    const ticker = this.#ticker.input.value.trim();
    const isBad = ticker !== "" && !isTickerPrefix(ticker);
    const [from, to] = [this.#from.input, this.#to.input];
    this.#ticker.setError(isBad ? TICKER_ERROR : "");
    this.#from.setError(dateError(from));
    const isReversed = from.value && to.value && from.value > to.value;
    this.#to.setError(dateError(to) || (isReversed ? "Before the first day." : ""));
    return !isBad && !dateError(from) && !dateError(to) && !isReversed;
  }

  /** @param {(today: Date) => [Date | null, Date | null]} days */
  #usePreset(days) {
    const [from, to] = days(startOfDay(new Date()));
    this.#from.input.value = from ? formatDay(from) : "";
    this.#to.input.value = to ? formatDay(to) : "";
    this.#apply();
  }

  #showPreset() {
    const today = startOfDay(new Date());
    const shown = `${this.#from.input.value} ${this.#to.input.value}`;
    PRESETS.forEach(([, days], index) => {
      const wanted = days(today).map((day) => (day ? formatDay(day) : "")).join(" ");
      this.#presets[index]?.setAttribute("aria-pressed", String(wanted === shown));
    });
  }
}

/**
 * Return the API parameters for filters, whose days are in the viewer's time zone.
 * @param {URLSearchParams} filters
 * @param {number} limit
 */
export function toQuery(filters, limit) {
  const query = new URLSearchParams({ limit: String(limit) });
  for (const name of ["ticker", "ticker_prefix", "side", "account", "tag", "status"]) {
    const value = filters.get(name);
    if (value) query.set(name, value);
  }
  const [from, to] = [filters.get("from"), filters.get("to")];
  if (from) query.set("start_date", boundary(from, 0));
  if (to) query.set("end_date", DAY.test(to) ? boundary(to, 1).replace(/\.000Z$/, ".999999Z") : to);
  return query;
}

/**
 * Return the start or end of a day as an instant. Anything else is left for the API to reject by field name.
 * @param {string} day
 * @param {0 | 1} end
 */
function boundary(day, end) {
  const at = new Date(`${day}T${end ? "23:59:59" : "00:00:00"}`);
  return DAY.test(day) && !Number.isNaN(at.getTime()) ? at.toISOString() : day;
}
