// Past imports, each of which can be inspected and reverted.

import { nextPage, pages, post, request } from "../core/api.js";
import { ask, download, h, setText } from "../core/dom.js";
import { failureNotice } from "../core/failure.js";
import { formatCount, formatPlural, toCsv } from "../core/format.js";
import { IMPORTS, importRows, voidImport } from "../core/paths.js";
import { shortTimeElement } from "../core/time.js";

/** @typedef {{id: number, format: string, account: string, recorded_by: string, recorded_at: string, completed_at: string | null, rows_read: number, recorded: number, already_recorded: number, skipped: number, rejected: number, voided_at: string | null, void_reason: string | null}} Import */
/** @typedef {import("./result.js").Row & {outcome: string}} ImportRow */

const SHOWN = 20; // at a time
const PAGE = 5_000;
const REASON = "Taken back on the page";

export class PastImports {
  #list = h("ul", { class: "past-imports" });
  #next = "";
  #older = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => this.load(this.#next) }, "Show older ones");
  #failure = h("div", {});
  #state = h("p", { class: "notice", role: "status" });
  element = h("section", { class: "panel", "aria-labelledby": "past-imports-title" },
    h("div", { class: "panel-head" }, h("h2", { id: "past-imports-title" }, "Past imports")), this.#failure, this.#state, this.#list, this.#older);

  /** Show the latest imports, or append a page of older ones. @param {string} [path] */
  async load(path = `${IMPORTS}?limit=${SHOWN}`) {
    try {
      const response = await request("GET", path);
      /** @type {Import[]} */
      const found = await response.json();
      this.#failure.replaceChildren();
      if (path === this.#next) this.#list.append(...found.map((each) => this.#item(each)));
      else {
        setText(this.#state, found.length ? "" : "Nothing was imported yet.");
        this.#list.replaceChildren(...found.map((each) => this.#item(each)));
      }
      this.#next = nextPage(response) ?? "";
      this.#older.hidden = !this.#next;
    } catch (error) {
      this.#failure.replaceChildren(failureNotice(error, () => this.load(path)));
    }
  }

  /** Confirm and revert an import; return whether it was reverted. @param {Pick<Import, "id" | "recorded">} wanted */
  async takeBack({ id, recorded }) {
    const trades = formatPlural(recorded, "trade");
    if (!(await ask(`Take import ${id} back, with the ${trades} that it recorded? Its file is not recorded again in the same account.`, "Take it back"))) return false;
    try {
      await post(voidImport(id), { reason: REASON });
      await this.load();
      setText(this.#state, `Import ${id} is taken back.`);
      return true;
    } catch (error) {
      this.#failure.replaceChildren(failureNotice(error, () => this.takeBack({ id, recorded })));
      return false;
    }
  }

  /** @param {Import} each */
  #item(each) {
    const { id, format, account, recorded_at: at, completed_at: completed, recorded, voided_at: voided } = each;
    const counts = [
      formatPlural(recorded, "trade"),
      ...(each.rejected ? [`${formatCount(each.rejected)} rejected`] : []),
      ...(each.already_recorded ? [`${formatCount(each.already_recorded)} already there`] : []),
    ].join(", ");
    const status = voided ? h("span", { class: "badge voided", title: each.void_reason ?? "" }, "Taken back") : completed ? null : h("span", { class: "badge" }, "Unfinished");
    const rows = h("button", { type: "button", class: "quiet", "aria-label": `Rows of import ${id}, as CSV`, onclick: () => this.#download(id) }, "Rows");
    const back = voided || recorded === 0 ? null : h("button", { type: "button", class: "quiet", "aria-label": `Take back import ${id}`, onclick: () => this.takeBack(each) }, "Take back");
    return h("li", { class: voided ? "voided" : "" },
      h("div", {}, h("p", {}, h("strong", {}, `${id} · ${format}`), ` into ${account} `, status), h("p", { class: "muted small" }, completed ? `${counts} · ` : "Send the same file again to complete it · ", shortTimeElement(at), ` by ${each.recorded_by}`)),
      h("div", { class: "row" }, rows, back));
  }

  /** Save the outcome of each row. @param {number} id */
  async #download(id) {
    try {
      /** @type {ImportRow[]} */
      const all = [];
      for await (const page of pages(`${importRows(id)}?limit=${PAGE}`)) all.push(...page);
      download(`import-${id}.csv`, toCsv([
        ["line", "outcome", "reason", "trade_id", "account", "timestamp", "side", "quantity", "ticker", "price", "fee", "currency"],
        ...all.map(({ line, outcome, reason, trade_id: trade, trade: told }) =>
          [line, outcome, reason ?? null, trade, told?.account ?? null, told?.timestamp ?? null, told?.side ?? null, told?.quantity ?? null, told?.ticker ?? null, told?.price ?? null, told?.fee ?? null, told?.currency ?? null]),
      ]));
    } catch (error) {
      this.#failure.replaceChildren(failureNotice(error, () => this.#download(id)));
    }
  }
}
