// A trade: its figures, its history, and forms to void, correct or annotate it.

import { ApiError, get, patch, post } from "../core/api.js";
import { openDialog } from "../core/dialog.js";
import { h, setText } from "../core/dom.js";
import { entryForm } from "../core/entry_form.js";
import { failureNotice } from "../core/failure.js";
import { field } from "../core/fields.js";
import { formatAmount } from "../core/format.js";
import { correctTrade, trade as tradePath, voidTrade } from "../core/paths.js";
import { timeElement } from "../core/time.js";
import { amountOf, toDecimal } from "./trade.js";
import { toTags, TradeFields } from "./trade_fields.js";
import { historyList, readHistory } from "./trade_history.js";

/**
 * @typedef {import("./trade.js").TrackedTrade} TrackedTrade
 * @typedef {import("../core/fields.js").Field} Field
 */

export class TradeDialog {
  #content = h("div", { class: "trade-window" }, h("p", { class: "muted" }, "Loading…"));
  #dialog;

  /**
   * @param {string} id
   * @param {() => void} onClose
   * @param {(id: number) => void} onChanged receives the id of the trade now in effect
   */
  constructor(id, onClose, onChanged) {
    this.id = id;
    this.onChanged = onChanged;
    this.#dialog = openDialog(`Trade ${id}`, [this.#content], onClose);
    this.#load();
  }

  close() {
    this.#dialog.close();
  }

  async #load() {
    try {
      /** @type {TrackedTrade} */
      const trade = await get(tradePath(this.id));
      this.#show(trade, await readHistory(trade));
    } catch (error) {
      if (error instanceof ApiError && [400, 404].includes(error.status)) return this.#content.replaceChildren(h("p", { class: "notice bad" }, `There is no trade ${this.id}.`));
      this.#content.replaceChildren(failureNotice(error, () => this.#load()));
    }
  }

  /**
   * @param {TrackedTrade} trade
   * @param {TrackedTrade[]} history
   */
  #show(trade, history) {
    const place = h("div", {});
    const open = (/** @type {HTMLElement} */ form) => {
      place.replaceChildren(form);
      /** @type {HTMLElement | null} */ (form.querySelector("input"))?.focus();
    };
    const button = (/** @type {string} */ text, /** @type {() => HTMLElement} */ form) => h("button", { type: "button", onclick: () => open(form()) }, text);
    const annotate = button("Note and tags", () => this.#annotateForm(trade));
    const actions = trade.status === "voided" ? [annotate] : [button("Correct", () => this.#correctForm(trade)), button("Void", () => this.#voidForm(trade)), annotate];
    this.#content.replaceChildren(figuresOf(trade), h("div", { class: "row" }, ...actions), place, h("h3", {}, "History"), historyList(history));
  }

  /** @param {TrackedTrade} trade */
  #voidForm(trade) {
    const reason = reasonField("Entered twice");
    return this.#form("Void the trade", "It stops counting, and stays in the ledger with your reason.", { reason }, reason.element,
      () => post(voidTrade(trade.id), { reason: reason.input.value.trim() }));
  }

  /** @param {TrackedTrade} trade */
  #annotateForm(trade) {
    const { fields } = new TradeFields();
    const { note, tags } = fields;
    note.input.value = trade.note ?? "";
    tags.input.value = trade.tags.join(", ");
    return this.#form("Save", "", { note, tags }, h("div", { class: "fields" }, note.element, tags.element), () => {
      const text = note.input.value.trim();
      return patch(tradePath(trade.id), { note: text || null, tags: toTags(tags.input.value) });
    });
  }

  /** @param {TrackedTrade} trade */
  #correctForm(trade) {
    const form = new TradeFields();
    const reason = reasonField("Wrong price");
    form.fill(trade);
    const before = form.values();
    const { ticker, quantity, price, timestamp, account, currency, fee } = form.fields;
    const others = [ticker, quantity, price, timestamp, account, currency, fee].map(({ element }) => element);
    const content = h("div", { class: "fields" }, form.sides, ...others, reason.element);
    return this.#form("Correct the trade", "A new trade takes its place; this one stays in the ledger with your reason.", { ...form.fields, reason }, content, () => {
      if (!form.check()) return null;
      const changes = Object.entries(form.values()).filter(([name, value]) => String(value) !== String(before[/** @type {keyof typeof before} */ (name)]));
      return post(correctTrade(trade.id), { ...Object.fromEntries(changes), reason: reason.input.value.trim() });
    });
  }

  /**
   * Create a form that changes the trade, then shows the trade in effect.
   * @param {string} action
   * @param {string} hint
   * @param {Record<string, Field>} fields
   * @param {HTMLElement} content
   * @param {() => Promise<TrackedTrade> | null} send sends the change, or returns null if a field is invalid
   */
  #form(action, hint, fields, content, send) {
    return entryForm(action, fields, [h("p", { class: "muted small" }, hint), content], () => {
      const sent = send();
      return sent && this.#showChanged(sent);
    }, " Send it again: it is done once.").element;
  }

  /** @param {Promise<TrackedTrade>} sent */
  async #showChanged(sent) {
    const { id } = await sent;
    this.onChanged(id);
    this.id = String(id);
    const title = /** @type {HTMLElement} */ (this.#dialog.querySelector("h2"));
    setText(title, `Trade ${id}`);
    await this.#load();
    title.focus();
  }
}

/** @param {string} placeholder */
const reasonField = (placeholder) => field("Reason", h("input", { name: "reason", autocomplete: "off", maxlength: 1_000, placeholder }));

/** @param {TrackedTrade} trade */
function figuresOf(trade) {
  const { id, side, ticker, quantity, price, currency } = trade;
  const parts = /** @type {[string, Node | string][]} */ ([
    ["Side", side === "BUY" ? "Buy" : "Sell"],
    ["Ticker", ticker],
    ["Quantity", formatAmount(toDecimal(quantity), 0)],
    ["Price", `${formatAmount(price)} ${currency}`],
    ["Amount", `${formatAmount(amountOf(trade))} ${currency}`],
    ["Fee", `${formatAmount(trade.fee)} ${currency}`],
    ["Time", timeElement(trade.timestamp)],
    ["Account", trade.account],
    ...(trade.tags.length ? [["Tags", trade.tags.join(", ")]] : []),
    ...(trade.note ? [["Note", trade.note]] : []),
    ...(trade.client_trade_id ? [["Client’s id", trade.client_trade_id]] : []),
    ["Status", trade.status === "voided" ? h("span", { class: "badge voided" }, trade.replaced_by ? "Corrected" : "Voided") : "Active"],
  ]);
  return h("dl", { class: "trade-figures", "aria-label": `Trade ${id}` }, ...parts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}
