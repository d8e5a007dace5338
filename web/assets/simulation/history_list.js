// The stored histories, each of which can be selected for a simulation.

import { pages } from "../core/api.js";
import { h } from "../core/dom.js";
import { failureNotice } from "../core/failure.js";
import { formatPlural } from "../core/format.js";
import { HISTORIES } from "../core/paths.js";

/** @typedef {{ticker: string, bars: number, first: string, last: string}} StoredHistory */

export class HistoryList {
  #chips = h("div", { class: "chips", role: "group", "aria-label": "Stored histories" });
  #failure = h("div", {});
  element = h("div", { class: "histories" }, this.#chips, this.#failure);

  /** @param {(stored: StoredHistory) => void} onChoose */
  constructor(onChoose) {
    this.onChoose = onChoose;
  }

  async load() {
    try {
      /** @type {StoredHistory[]} */
      const all = [];
      for await (const page of pages(HISTORIES)) all.push(...page);
      this.#failure.replaceChildren();
      this.#chips.replaceChildren(...(all.length ? [h("span", { class: "muted small" }, "Stored:")] : []), ...all.map((stored) => this.#chip(stored)));
    } catch (error) {
      this.#failure.replaceChildren(failureNotice(error, () => this.load()));
    }
  }

  /** @param {StoredHistory} stored */
  #chip(stored) {
    const { ticker, bars, first, last } = stored;
    return h("button", { type: "button", class: "chip", title: `${formatPlural(bars, "bar")}, ${first} to ${last}`, onclick: () => this.onChoose(stored) },
      ticker, h("span", { class: "range number" }, ` ${first.slice(0, 10)} to ${last.slice(0, 10)}`));
  }
}
