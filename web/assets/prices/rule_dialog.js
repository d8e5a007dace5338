// The alert rules: a list to pause or delete them, and a form that adds one.

import { patch, post, request } from "../core/api.js";
import { openDialog } from "../core/dialog.js";
import { h } from "../core/dom.js";
import { act, entryForm } from "../core/entry_form.js";
import { failureNotice } from "../core/failure.js";
import { field, tickerInput } from "../core/fields.js";
import { ALERT_RULES, alertRule } from "../core/paths.js";
import { describeRule } from "./rules.js";

/** @typedef {import("./rule_book.js").RecordedRule} RecordedRule */
/** @typedef {import("./rule_book.js").RuleBook} RuleBook */

/** @type {[string, string][]} */
const KINDS = [["rise", "rises by"], ["fall", "falls by"], ["above", "is above"], ["below", "is below"]];
/** @type {[number, string][]} */
const WINDOWS = [[10, "10 seconds"], [30, "30 seconds"], [60, "1 minute"], [300, "5 minutes"], [600, "10 minutes"], [900, "15 minutes"]];

/** Open the window of alert rules. @param {RuleBook} book */
export function openRules(book) {
  new RuleDialog(book);
}

class RuleDialog {
  #list = h("ul", { class: "rules", "aria-label": "Alert rules" }, h("li", { class: "muted" }, "Loading…"));
  #kind = h("select", { name: "kind", onchange: () => this.#showFields() }, ...KINDS.map(([value, text]) => h("option", { value }, text)));
  #once = h("input", { type: "checkbox", name: "once" });
  #fields = {
    ticker: field("Ticker", tickerInput({ placeholder: "AAPL" }), "or * for every one"),
    kind: field("Alert when its price", this.#kind),
    percent: field("Percent", h("input", { name: "percent", inputmode: "decimal", autocomplete: "off", placeholder: "3" })),
    window_seconds: field("Within", h("select", { name: "window_seconds" }, ...WINDOWS.map(([value, text]) => h("option", { value, selected: value === 60 }, text)))),
    price: field("Price", h("input", { name: "price", inputmode: "decimal", autocomplete: "off", placeholder: "180.00" })),
  };
  #form = entryForm("Add the rule", this.#fields, [
    h("div", { class: "fields" }, ...Object.values(this.#fields).map(({ element }) => element)),
    h("label", { class: "check" }, this.#once, "Once only"),
  ], () => this.#add());

  /** @param {RuleBook} book */
  constructor(book) {
    this.book = book;
    this.#showFields();
    openDialog("Alert rules", [this.#list, this.#form.element]);
    this.#load();
  }

  async #load() {
    try {
      await this.book.load();
      const { rules } = this.book;
      this.#list.replaceChildren(...(rules.length ? rules.map((rule) => this.#row(rule)) : [h("li", { class: "muted" }, "There are no rules, so nothing alerts.")]));
    } catch (error) {
      this.#list.replaceChildren(h("li", {}, failureNotice(error, () => this.#load())));
    }
  }

  /** @param {RecordedRule} rule */
  #row(rule) {
    const name = `${rule.ticker === "*" ? "Every ticker" : rule.ticker} ${describeRule(rule)}`;
    const state = rule.paused ? "Paused" : rule.ended_at ? "Has alerted" : "";
    const isActive = !rule.paused && !rule.ended_at;
    const change = () => this.#change(() => patch(alertRule(rule.id), { paused: isActive }));
    const remove = () => this.#change(() => request("DELETE", alertRule(rule.id)));
    const action = isActive ? "Pause" : "Resume";
    return h("li", {}, h("span", {}, name), state ? h("span", { class: "badge" }, state) : null,
      h("button", { type: "button", class: "quiet", "aria-label": `${action}: ${name}`, onclick: change }, action),
      h("button", { type: "button", class: "quiet", "aria-label": `Delete: ${name}`, onclick: remove }, "Delete"));
  }

  /** @param {() => Promise<unknown>} send */
  #change(send) {
    act(async () => {
      await send();
      await this.#load();
    }, this.#form.say);
  }

  async #add() {
    await post(ALERT_RULES, this.#body());
    await this.#load();
    return "The rule applies to prices from now on.";
  }

  #body() {
    const { ticker, percent, window_seconds: seconds, price } = this.#fields;
    const settings = this.#isMove
      ? { percent: percent.input.value.trim(), window_seconds: Number(seconds.input.value) }
      : { price: price.input.value.trim() };
    return { ticker: ticker.input.value.trim().toUpperCase(), kind: this.#kind.value, once: this.#once.checked, ...settings };
  }

  get #isMove() {
    return ["rise", "fall"].includes(this.#kind.value);
  }

  #showFields() {
    this.#fields.percent.element.hidden = this.#fields.window_seconds.element.hidden = !this.#isMove;
    this.#fields.price.element.hidden = this.#isMove;
  }
}
