// The form that records a trade. Resubmitting the same form records a single trade.

import { ApiError, get, post } from "../core/api.js";
import { compare, multiply } from "../core/decimals.js";
import { ask, h, setText } from "../core/dom.js";
import { formatAmount, formatCount } from "../core/format.js";
import { TRADES } from "../core/paths.js";
import { formatSpan } from "../core/time.js";
import { amountOf } from "./trade.js";
import { TradeFields } from "./trade_fields.js";

const UNUSUAL = 100; // times the largest trade
const COMPARED = 1_000; // trades

/** @typedef {import("./trade.js").Trade} Trade */

export class RecordForm {
  #form = new TradeFields();
  #known = h("datalist", { id: "known-tickers" });
  /** @type {Set<string>} */
  #traded = new Set();
  #summary = h("summary", {});
  #further = h("details", {});
  #last = h("p", { class: "line" });
  #amount = h("p", { class: "line" });
  #outcome = h("p", { class: "outcome", role: "status" });
  #submit = h("button", { type: "submit", class: "primary" }, "Record the trade");
  #toggle = h("button", { type: "button", class: "quiet narrow-only", "aria-expanded": "false", onclick: () => this.#setOpen(!this.element.classList.contains("open")) }, "Open");
  #isSending = false;
  #id = crypto.randomUUID();
  /** The time used as "now" for all attempts to send the same trade. */
  #now = "";
  /** The largest known trade amount in each currency. @type {Map<string, string> | null} */
  #largest = null;

  /**
   * @param {import("../prices/market.js").Market} market
   * @param {(trade: Trade) => void} onRecorded
   */
  constructor(market, onRecorded) {
    this.market = market;
    this.onRecorded = onRecorded;
    const { ticker, quantity, price, timestamp, account, currency, fee, note, tags } = this.#form.fields;
    const form = h(
      "form",
      { "aria-labelledby": "record-title", novalidate: true, id: "record-form" },
      ticker.element,
      this.#form.sides,
      quantity.element,
      price.element,
      timestamp.element,
      this.#further,
      h("div", {}, this.#last, this.#amount, this.#submit),
      this.#outcome,
      this.#known,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    form.addEventListener("input", () => this.#showAmount());
    this.#further.append(this.#summary, h("div", { class: "fields" }, ...[account, currency, fee, tags, note].map(({ element }) => element)));
    this.#form.checkLeft(form);
    market.addEventListener("ticks", () => this.#showLast());
    market.addEventListener("new", () => this.#complete());
    this.#complete();
    this.#showAmount();
    this.element = h(
      "section",
      { class: "panel record", "aria-labelledby": "record-title" },
      h("div", { class: "panel-head" }, h("h2", { id: "record-title" }, "Record a trade"), this.#toggle),
      form,
    );
    this.#toggle.setAttribute("aria-controls", "record-form");
  }

  /** Open the form if it is closed and focus its first field. */
  focus() {
    this.#setOpen(true);
    this.#form.fields.ticker.input.focus();
  }

  /** @param {boolean} isOpen */
  #setOpen(isOpen) {
    this.element.classList.toggle("open", isOpen);
    this.#toggle.setAttribute("aria-expanded", String(isOpen));
    setText(this.#toggle, isOpen ? "Close" : "Open");
  }

  /** Complete these tickers, too. @param {Set<string>} tickers */
  know(tickers) {
    const known = this.#traded.size;
    for (const ticker of tickers) this.#traded.add(ticker);
    if (this.#traded.size > known) this.#complete();
  }

  #complete() {
    const tickers = new Set([...this.market.priced(), ...this.#traded]);
    this.#known.replaceChildren(...[...tickers].sort().map((ticker) => h("option", { value: ticker })));
    this.#showLast();
  }

  /** Show the ticker's last price with a button to use it. */
  #showLast() {
    const latest = this.market.stocks.get(this.#form.text("ticker").toUpperCase())?.latest;
    if (!latest) return this.#last.replaceChildren();
    const age = Math.max(0, (Date.now() - Date.parse(latest.timestamp)) / 1_000);
    const text = `Last ${formatAmount(latest.price)}, ${age < 5 ? "now" : `${formatSpan(age)} ago`}`;
    const [shown, use] = this.#last.childNodes;
    if (shown && use) return setText(shown, text);
    this.#last.replaceChildren(h("span", { class: "number" }, text), h("button", {
      type: "button",
      class: "quiet",
      onclick: () => {
        const { price } = this.#form.fields;
        price.input.value = this.market.stock(this.#form.text("ticker").toUpperCase()).latest?.price ?? "";
        price.setError("");
        this.#showAmount();
      },
    }, "Use it"));
  }

  #showAmount() {
    this.#showLast();
    setText(this.#summary, `Account ${this.#form.text("account") || "main"}, fee, note`);
    const { amount, currency } = this.#form;
    this.#amount.replaceChildren(h("span", { class: "muted" }, "Amount"), h("strong", { class: "number" }, amount ? `${formatAmount(amount)} ${currency}` : "–"));
  }

  async #send() {
    if (this.#isSending) return;
    this.#isSending = true;
    this.#submit.setAttribute("aria-disabled", "true");
    setText(this.#submit, "Recording…");
    try {
      if (this.#isComplete() && (await this.#isMeant())) this.#finish(await post(TRADES, this.#body()));
    } catch (error) {
      this.#refuse(error);
    } finally {
      this.#isSending = false;
      this.#submit.removeAttribute("aria-disabled");
      setText(this.#submit, "Record the trade");
    }
  }

  #isComplete() {
    if (this.#form.check()) return true;
    this.#showFurtherErrors();
    this.#show("Fix the highlighted fields.", true);
    return false;
  }

  /** Expand the collapsed fields if any of them has an error. */
  #showFurtherErrors() {
    this.#further.open ||= this.#further.querySelector("[aria-invalid]") !== null;
    /** @type {HTMLElement | null} */ (this.element.querySelector("[aria-invalid]"))?.focus();
  }

  /** Ask for confirmation if a trade is far larger than all previous ones. */
  async #isMeant() {
    const { currency } = this.#form;
    const amount = /** @type {string} */ (this.#form.amount);
    const largest = (await this.#findLargest())?.get(currency);
    if (!largest || compare(largest, "0") === 0 || compare(amount, multiply(largest, String(UNUSUAL))) < 0) return true;
    const times = Math.floor(Number(amount) / Number(largest));
    const isMeant = await ask(
      `${formatAmount(amount)} ${currency} is ${formatCount(times)} times your largest trade so far, ${formatAmount(largest)} ${currency}. Record it all the same?`,
      "Record it",
    );
    if (!isMeant) this.#show("Nothing was recorded.");
    return isMeant;
  }

  /** Return the largest amounts of the latest trades, or null if unknown. */
  async #findLargest() {
    if (this.#largest !== null) return this.#largest;
    try {
      /** @type {Trade[]} */
      const trades = await get(`${TRADES}?limit=${COMPARED}`);
      this.#largest = new Map();
      for (const trade of trades) this.#grow(trade);
    } catch {
      // Skip the confirmation without data; recording the trade reports the error.
    }
    return this.#largest;
  }

  /** @param {Trade} trade */
  #grow(trade) {
    const largest = this.#largest?.get(trade.currency);
    if (!largest || compare(amountOf(trade), largest) > 0) this.#largest?.set(trade.currency, amountOf(trade));
  }

  /** @param {Trade} trade */
  #finish(trade) {
    this.#id = crypto.randomUUID();
    this.#now = "";
    this.#grow(trade);
    this.#form.refuse([]);
    const { quantity, price, timestamp, fee, note, tags } = this.#form.fields;
    for (const { input } of [quantity, price, timestamp, fee, note, tags]) input.value = "";
    this.#showAmount();
    this.#show(`Trade ${trade.id} is recorded. Its notification is on its way.`);
    this.onRecorded(trade);
    quantity.input.focus();
  }

  /** Report that a trade's notification was delivered. @param {Trade} trade */
  showDelivered(trade) {
    this.#show(`Trade ${trade.id} is recorded, and its notification was delivered.`);
  }

  /** @param {unknown} error */
  #refuse(error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 409) {
      this.#id = crypto.randomUUID();
      this.#show("An earlier attempt recorded this form with other values: look for it in the list. Send it again to record another trade.", true);
    } else if (error.isTemporary || error.status === 500) {
      this.#show(`${error.message} Nothing is lost: send it again, it is recorded once.`, true);
    } else {
      const elsewhere = this.#form.refuse(error.errors);
      this.#showFurtherErrors();
      this.#show(error.errors.length ? ["Fix the highlighted fields.", ...elsewhere].join(" ") : error.message, true);
    }
  }

  #body() {
    this.#now ||= new Date().toISOString();
    return { timestamp: this.#now, ...this.#form.values(), client_trade_id: this.#id };
  }

  /**
   * @param {string} text
   * @param {boolean} [isBad]
   */
  #show(text, isBad = false) {
    this.#outcome.classList.toggle("bad", isBad);
    setText(this.#outcome, text);
  }
}
