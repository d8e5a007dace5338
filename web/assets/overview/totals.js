// Totals of all positions, one line per currency: amounts in different currencies are never added.

import { h, setText } from "../core/dom.js";
import { formatGain, formatMoney, trendOfAmount } from "../core/format.js";

/** @typedef {import("./positions.js").Total} Total */

/** @type {{name: keyof Total, text: string, title: string, isGain?: boolean}[]} */
const FIGURES = [
  { name: "market_value", text: "Value", title: "All shares at their last prices" },
  { name: "change_today", text: "Today", title: "Earned since midnight UTC, by prices and by trades", isGain: true },
  { name: "unrealized_profit", text: "Unrealized", title: "What would be earned if all was closed at the last prices", isGain: true },
  { name: "realized_profit", text: "Realized", title: "What was earned by all that was closed, first in, first out, fees included", isGain: true },
];

export class Totals {
  element = h("div", { class: "portfolio", id: "portfolio" });
  /** @type {Map<string, HTMLElement>} */
  #cells = new Map();

  /** @param {Total[]} totals */
  show(totals) {
    if (totals.length !== this.element.children.length || totals.some(({ currency }) => !this.#cells.has(`${currency} market_value`))) this.#list(totals);
    for (const total of totals) {
      for (const { name, isGain } of FIGURES) {
        const cell = /** @type {HTMLElement} */ (this.#cells.get(`${total.currency} ${name}`));
        setText(cell, isGain ? formatGain(total[name]) : formatMoney(total[name]));
        if (isGain) cell.dataset["trend"] = trendOfAmount(total[name]);
      }
    }
  }

  /** @param {Total[]} totals */
  #list(totals) {
    this.#cells.clear();
    this.element.replaceChildren(...totals.map(({ currency }) =>
      h("dl", { class: "figures", "aria-label": `Totals in ${currency}` }, ...FIGURES.map(({ name, text, title }) => {
        const cell = h("dd", { class: "number" });
        this.#cells.set(`${currency} ${name}`, cell);
        return h("div", { title }, h("dt", {}, `${text}, ${currency}`), cell);
      }))));
  }
}
