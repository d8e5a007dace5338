// The latest trades, updated automatically.

import { h } from "../core/dom.js";
import { formatAmount } from "../core/format.js";
import { shortTimeElement } from "../core/time.js";
import { toDecimal } from "../trades/trade.js";

/** @typedef {import("../trades/trade.js").Trade} Trade */

export class RecentTrades {
  #list = h("ol", { class: "recent" });
  element = h(
    "section",
    { class: "panel", "aria-labelledby": "recent-title" },
    h("div", { class: "panel-head" }, h("h2", { id: "recent-title" }, "Recent trades"), h("a", { href: "#/trades" }, "All trades")),
    this.#list,
  );

  /** @param {Trade[]} trades */
  show(trades) {
    this.#list.replaceChildren(...trades.map(toItem));
  }
}

/** @param {Trade} trade */
function toItem({ id, ticker, side, quantity, price, currency, timestamp }) {
  const isBuy = side === "BUY";
  const text = `${formatAmount(toDecimal(quantity), 0)} at ${formatAmount(price)}${currency === "USD" ? "" : ` ${currency}`}`;
  return h(
    "li",
    {},
    h("a", { class: "ticker", href: `#/trades?trade=${id}` }, ticker),
    h("span", { class: `side ${isBuy ? "buy" : "sell"}` }, isBuy ? "Buy" : "Sell"),
    h("span", { class: "number" }, text),
    h("span", { class: "muted small when number" }, shortTimeElement(timestamp)),
  );
}
