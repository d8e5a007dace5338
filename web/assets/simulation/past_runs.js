// Past simulations, whose results can be opened again.

import { nextPage, request } from "../core/api.js";
import { h, setText } from "../core/dom.js";
import { failureNotice } from "../core/failure.js";
import { formatCount, formatPercent, formatRatio, trend } from "../core/format.js";
import { SIMULATIONS } from "../core/paths.js";
import { shortTimeElement } from "../core/time.js";

/** @typedef {{id: number, recorded_at: string, ticker: string, strategy: import("./result.js").Strategy, metrics: Record<string, any>}} PastRun */

const SHOWN = 10; // at a time
const COLUMNS = ["Simulation", "Return", "Buy and hold", "Largest drawdown", "Sharpe", "Closed trades", "Run"];

export class PastRuns {
  #rows = h("tbody", {});
  #next = "";
  #older = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => this.load(this.#next) }, "Show older ones");
  #failure = h("div", {});
  #state = h("p", { class: "notice", role: "status" });
  #table = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Past simulations" },
    h("table", {}, h("thead", {}, h("tr", {}, ...COLUMNS.map((text) => h("th", { scope: "col", class: text === "Simulation" ? "" : "number" }, text)))), this.#rows));
  element = h("details", { class: "panel past-runs", open: true }, h("summary", {}, "Past simulations"), this.#failure, this.#state, this.#table, this.#older);

  /** Show the latest simulations, or append a page of older ones. @param {string} [path] */
  async load(path = `${SIMULATIONS}?limit=${SHOWN}`) {
    try {
      const response = await request("GET", path);
      /** @type {PastRun[]} */
      const found = await response.json();
      this.#failure.replaceChildren();
      if (path === this.#next) this.#rows.append(...found.map(toRow));
      else {
        setText(this.#state, found.length ? "" : "None yet.");
        this.#table.hidden = found.length === 0;
        this.#rows.replaceChildren(...found.map(toRow));
      }
      this.#next = nextPage(response) ?? "";
      this.#older.hidden = !this.#next;
    } catch (error) {
      this.#failure.replaceChildren(failureNotice(error, () => this.load(path)));
    }
  }
}

/** @param {PastRun} run */
function toRow({ id, recorded_at: at, ticker, strategy, metrics }) {
  const number = (/** @type {string} */ text, /** @type {string} */ sign) => h("td", { class: "number", "data-trend": sign }, text);
  const percent = (/** @type {number} */ value) => number(formatPercent(value), trend(value));
  return h("tr", {},
    h("td", {}, h("a", { href: `#/simulation?id=${id}` }, `${ticker} ${strategy.fast}/${strategy.slow}`)),
    percent(metrics["total_return"]),
    percent(metrics["buy_and_hold_return"]),
    number(formatPercent(-Math.abs(metrics["max_drawdown"])), "0"),
    number(formatRatio(metrics["sharpe"]), "0"),
    number(formatCount(metrics["trade_count"]), "0"),
    h("td", { class: "number" }, shortTimeElement(at)));
}
