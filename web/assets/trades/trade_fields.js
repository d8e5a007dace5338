// The fields of a trade in the forms that record and correct one: validation and values.

import { isDecimal, multiply } from "../core/decimals.js";
import { h, segments } from "../core/dom.js";
import { dateError, field, focusFirstError, showErrors, tickerInput } from "../core/fields.js";
import { formatClock, formatDay, ZONE } from "../core/time.js";
import { isTicker, TICKER_ERROR } from "../core/words.js";
import { toDecimal } from "./trade.js";

/**
 * @typedef {import("./trade.js").Trade} Trade
 * @typedef {import("../core/api.js").FieldError} FieldError
 * @typedef {"ticker" | "quantity" | "price" | "timestamp" | "account" | "fee" | "currency" | "note" | "tags"} Name
 */

const REQUIRED = ["ticker", "quantity", "price"];
/** @type {Record<string, string>} */
const NUMBERS = { quantity: "50", price: "310.50", fee: "1.50" };

/** @param {Record<string, string>} attributes */
const text = (attributes) => h("input", { autocomplete: "off", ...attributes });

export class TradeFields {
  #side = "BUY";
  #sides = segments("Side", [["BUY", "Buy"], ["SELL", "Sell"]], (side) => this.#setSide(side));
  sides = h("fieldset", {}, h("legend", {}, "Side"), this.#sides.element);
  fields = {
    ticker: field("Ticker", tickerInput({ placeholder: "MSFT", list: "known-tickers" })),
    quantity: field("Quantity", text({ name: "quantity", inputmode: "decimal", placeholder: "50" }), "shares"),
    price: field("Price", text({ name: "price", inputmode: "decimal", placeholder: "310.50" }), "of a share"),
    timestamp: field("Time", h("input", { name: "timestamp", type: "datetime-local", step: "1", max: "9999-12-31T23:59:59" }), `${ZONE}; empty for now`),
    account: field("Account", text({ name: "account", placeholder: "main", maxlength: "40" })),
    currency: field("Currency", text({ name: "currency", class: "upper", placeholder: "USD", maxlength: "3" })),
    fee: field("Fee", text({ name: "fee", inputmode: "decimal", placeholder: "0" })),
    note: field("Note", text({ name: "note", maxlength: "1000" })),
    tags: field("Tags", text({ name: "tags", placeholder: "earnings, swing" }), "with commas between"),
  };

  constructor() {
    for (const button of this.#sides.element.querySelectorAll("button")) button.classList.add(button.value.toLowerCase());
    this.#setSide("BUY");
  }

  /** Validate a field when it loses focus, not while typing. @param {HTMLElement} form */
  checkLeft(form) {
    form.addEventListener("focusout", (event) => {
      const input = /** @type {HTMLInputElement} */ (event.target);
      const left = this.fields[/** @type {Name} */ (input.name)];
      if (left && (input.value || input.validity.badInput)) left.setError(this.#error(/** @type {Name} */ (input.name)));
    });
  }

  /** Show each field's error, focus the first, and return whether all fields are valid. */
  check() {
    const names = /** @type {Name[]} */ (Object.keys(this.fields));
    for (const name of names) this.fields[name].setError(this.#error(name));
    focusFirstError(this.fields);
    return names.every((name) => !this.#error(name));
  }

  /** Show the API's errors and return those that belong to no field. @param {FieldError[]} errors */
  refuse(errors) {
    const own = errors.map(({ field: name, message }) => ({ field: name.replace(/\[\d+\]$/, ""), message })); // tags[0]
    const elsewhere = showErrors(this.fields, own);
    focusFirstError(this.fields);
    return elsewhere;
  }

  /** @param {Name} name */
  text(name) {
    return this.fields[name].input.value.trim();
  }

  get currency() {
    return this.text("currency").toUpperCase() || "USD";
  }

  /** Price times quantity, or null if either is not a number. */
  get amount() {
    const [quantity, price] = [this.text("quantity"), this.text("price")];
    return isDecimal(quantity) && isDecimal(price) ? multiply(price, quantity) : null;
  }

  /** The form's values in API format; empty optional fields are left to the API's defaults. */
  values() {
    const time = this.text("timestamp");
    const note = this.text("note");
    const tags = toTags(this.text("tags"));
    return {
      ticker: this.text("ticker").toUpperCase(),
      side: this.#side,
      quantity: this.text("quantity"),
      price: this.text("price"),
      currency: this.currency,
      account: this.text("account") || "main",
      fee: this.text("fee") || "0",
      ...(time ? { timestamp: new Date(time).toISOString() } : {}),
      ...(note ? { note } : {}),
      ...(tags.length ? { tags } : {}),
    };
  }

  /** Fill in the values of a trade. @param {Trade} trade */
  fill(trade) {
    this.#setSide(trade.side);
    const at = new Date(trade.timestamp);
    const texts = {
      ...trade,
      quantity: toDecimal(trade.quantity),
      timestamp: `${formatDay(at)}T${formatClock(at)}`,
      note: trade.note ?? "",
      tags: trade.tags.join(", "),
    };
    for (const name of /** @type {Name[]} */ (Object.keys(this.fields))) this.fields[name].input.value = texts[name];
  }

  /** @param {string} side */
  #setSide(side) {
    this.#side = side;
    this.#sides.select(/** @type {any} */ (side));
  }

  /** @param {Name} name */
  #error(name) {
    const written = this.text(name);
    if (name === "timestamp") return dateError(this.fields.timestamp.input);
    if (!written) return REQUIRED.includes(name) ? "This is needed." : "";
    if (name === "ticker") return isTicker(written) ? "" : TICKER_ERROR;
    if (!(name in NUMBERS)) return "";
    if (written.startsWith("-")) return "Must not be negative.";
    if (/^[\d.,\s]+$/.test(written) && !isDecimal(written)) return "Write 1310.50, not 1,310.50.";
    return isDecimal(written) ? "" : `Must be a number, such as ${NUMBERS[name]}.`;
  }
}

/** @param {string} written */
export function toTags(written) {
  return [...new Set(written.toLowerCase().split(/[\s,]+/).filter(Boolean))];
}
