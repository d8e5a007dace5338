// The form that records a trade. What was filled in is one trade, however often it is sent.

import { ApiError, get, post } from "../core/api.js";
import { compare, isDecimal, multiply } from "../core/decimals.js";
import { ask, h, segments, setText } from "../core/dom.js";
import { dateError, field, focusFirstError, showErrors, tickerInput } from "../core/fields.js";
import { formatAmount, formatCount } from "../core/format.js";
import { TRADES } from "../core/paths.js";
import { formatSpan, ZONE } from "../core/time.js";
import { isTicker, TICKER_ERROR } from "../core/words.js";
import { amountOf } from "./trade.js";

const UNUSUAL = 100; // times the largest trade
const COMPARED = 1_000; // trades

/** @typedef {import("./trade.js").Trade} Trade */

export class RecordForm {
  #ticker = field("Ticker", tickerInput({ placeholder: "MSFT", list: "known-tickers" }));
  #quantity = field("Quantity", h("input", { name: "quantity", inputmode: "decimal", autocomplete: "off", placeholder: "50" }), "shares");
  #price = field("Price", h("input", { name: "price", inputmode: "decimal", autocomplete: "off", placeholder: "310.50" }), "USD a share");
  #time = field("Time", h("input", { name: "timestamp", type: "datetime-local", step: "1", max: "9999-12-31T23:59:59" }), `${ZONE}; empty for now`);
  #fields = { ticker: this.#ticker, quantity: this.#quantity, price: this.#price, timestamp: this.#time };
  #known = h("datalist", { id: "known-tickers" });
  #last = h("p", { class: "line" });
  #amount = h("p", { class: "line" });
  #outcome = h("p", { class: "outcome", role: "status" });
  #submit = h("button", { type: "submit", class: "primary" }, "Record the trade");
  #sides = segments("Side", [["BUY", "Buy"], ["SELL", "Sell"]], (side) => this.#setSide(side));
  #toggle = h("button", { type: "button", class: "quiet narrow-only", "aria-expanded": "false", onclick: () => this.#setOpen(!this.element.classList.contains("open")) }, "Open");
  #side = "BUY";
  #isSending = false;
  #id = crypto.randomUUID();
  /** When "now" was, for as long as the same trade is sent. */
  #now = "";
  /** The largest amount of a trade, as far as it is known. @type {string | null} */
  #largest = null;

  /**
   * @param {import("../prices/market.js").Market} market
   * @param {(trade: Trade) => void} onRecorded
   */
  constructor(market, onRecorded) {
    this.market = market;
    this.onRecorded = onRecorded;
    this.#sides.select("BUY");
    for (const button of this.#sides.element.querySelectorAll("button")) button.classList.add(button.value.toLowerCase());
    const form = h(
      "form",
      { "aria-labelledby": "record-title", novalidate: true, id: "record-form" },
      this.#ticker.element,
      h("fieldset", {}, h("legend", {}, "Side"), this.#sides.element),
      this.#quantity.element,
      this.#price.element,
      this.#time.element,
      h("div", {}, this.#last, this.#amount, this.#submit),
      this.#outcome,
      this.#known,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    form.addEventListener("input", () => this.#showAmount());
    form.addEventListener("focusout", (event) => this.#checkLeft(/** @type {HTMLInputElement} */ (event.target)));
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

  /** Open the form where it is closed, and go to its first field. */
  focus() {
    this.#setOpen(true);
    this.#ticker.input.focus();
  }

  /** @param {boolean} isOpen */
  #setOpen(isOpen) {
    this.element.classList.toggle("open", isOpen);
    this.#toggle.setAttribute("aria-expanded", String(isOpen));
    setText(this.#toggle, isOpen ? "Close" : "Open");
  }

  /** @param {string} side */
  #setSide(side) {
    this.#side = side;
    this.#sides.select(/** @type {any} */ (side));
  }

  #complete() {
    this.#known.replaceChildren(...this.market.priced().map((ticker) => h("option", { value: ticker })));
    this.#showLast();
  }

  /** Show the last price of the ticker, which a click takes. */
  #showLast() {
    const latest = this.market.stocks.get(this.#text("ticker").toUpperCase())?.latest;
    if (!latest) return this.#last.replaceChildren();
    const age = Math.max(0, (Date.now() - Date.parse(latest.timestamp)) / 1_000);
    const text = `Last ${formatAmount(latest.price)}, ${age < 5 ? "now" : `${formatSpan(age)} ago`}`;
    const [shown, use] = this.#last.childNodes;
    if (shown && use) return setText(shown, text);
    this.#last.replaceChildren(h("span", { class: "number" }, text), h("button", {
      type: "button",
      class: "quiet",
      onclick: () => {
        this.#price.input.value = this.market.stock(this.#text("ticker").toUpperCase()).latest?.price ?? "";
        this.#price.setError("");
        this.#showAmount();
      },
    }, "Use it"));
  }

  #showAmount() {
    this.#showLast();
    const amount = this.#amountText();
    this.#amount.replaceChildren(h("span", { class: "muted" }, "Amount"), h("strong", { class: "number" }, amount ? `${formatAmount(amount)} USD` : "–"));
  }

  #amountText() {
    const [quantity, price] = [this.#text("quantity"), this.#text("price")];
    return isDecimal(quantity) && isDecimal(price) ? multiply(price, quantity) : null;
  }

  /** Say what is wrong with a field when it is left, not while one types in it. @param {HTMLInputElement} input */
  #checkLeft(input) {
    const name = /** @type {keyof typeof this.fields} */ (input.name);
    const left = this.fields[name];
    if (left && (input.value || input.validity.badInput)) left.setError(this.#error(name));
  }

  get fields() {
    return this.#fields;
  }

  /** @param {"ticker" | "quantity" | "price" | "timestamp"} name */
  #error(name) {
    const text = this.#text(name);
    if (name === "timestamp") return dateError(this.#time.input);
    if (!text) return "This is needed.";
    if (name === "ticker") return isTicker(text) ? "" : TICKER_ERROR;
    if (text.startsWith("-")) return "Must not be negative.";
    if (/^[\d.,\s]+$/.test(text) && !isDecimal(text)) return "Write 1310.50, not 1,310.50.";
    return isDecimal(text) ? "" : `Must be a number, such as ${name === "price" ? "310.50" : "50"}.`;
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
    const names = /** @type {("ticker" | "quantity" | "price" | "timestamp")[]} */ (Object.keys(this.#fields));
    for (const name of names) this.#fields[name].setError(this.#error(name));
    const isComplete = names.every((name) => !this.#error(name));
    if (!isComplete) {
      this.#show("Correct what is marked.", true);
      focusFirstError(this.#fields);
    }
    return isComplete;
  }

  /** Ask whether a trade is meant that is far larger than all before it. */
  async #isMeant() {
    const amount = /** @type {string} */ (this.#amountText());
    const largest = await this.#findLargest();
    if (largest === null || compare(largest, "0") === 0 || compare(amount, multiply(largest, String(UNUSUAL))) < 0) return true;
    const times = Math.floor(Number(amount) / Number(largest));
    const isMeant = await ask(
      `${formatAmount(amount)} USD is ${formatCount(times)} times your largest trade so far, ${formatAmount(largest)} USD. Record it all the same?`,
      "Record it",
    );
    if (!isMeant) this.#show("Nothing was recorded.");
    return isMeant;
  }

  /** Return the largest amount of the latest trades, or null where there are none or they are not known. */
  async #findLargest() {
    if (this.#largest !== null) return this.#largest;
    try {
      /** @type {Trade[]} */
      const trades = await get(`${TRADES}?limit=${COMPARED}`);
      for (const trade of trades) this.#grow(amountOf(trade));
    } catch {
      // A question that cannot be decided is not asked; recording says what is wrong.
    }
    return this.#largest;
  }

  /** @param {string} amount */
  #grow(amount) {
    if (this.#largest === null || compare(amount, this.#largest) > 0) this.#largest = amount;
  }

  /** @param {Trade} trade */
  #finish(trade) {
    this.#id = crypto.randomUUID();
    this.#now = "";
    this.#grow(amountOf(trade));
    showErrors(this.#fields, []);
    for (const { input } of [this.#quantity, this.#price, this.#time]) input.value = "";
    this.#showAmount();
    this.#show(`Trade ${trade.id} is recorded. Its notification is on its way.`);
    this.onRecorded(trade);
    this.#quantity.input.focus();
  }

  /** Say that a trade's notification was delivered. @param {Trade} trade */
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
      const elsewhere = showErrors(this.#fields, error.errors.filter(({ field: name }) => name !== "client_trade_id"));
      this.#show(error.errors.length ? ["Correct what is marked.", ...elsewhere].join(" ") : error.message, true);
      focusFirstError(this.#fields);
    }
  }

  #body() {
    const chosen = this.#text("timestamp");
    this.#now ||= new Date().toISOString();
    return {
      ticker: this.#text("ticker").toUpperCase(),
      side: this.#side,
      quantity: this.#text("quantity"),
      price: this.#text("price"),
      timestamp: chosen ? new Date(chosen).toISOString() : this.#now,
      client_trade_id: this.#id,
    };
  }

  /** @param {keyof RecordForm["fields"]} name */
  #text(name) {
    return this.#fields[name].input.value.trim();
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
