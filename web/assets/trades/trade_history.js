// The history of a trade: who recorded, corrected and voided it.

import { get } from "../core/api.js";
import { h } from "../core/dom.js";
import { formatAmount } from "../core/format.js";
import { trade as tradePath } from "../core/paths.js";
import { timeElement } from "../core/time.js";
import { deliveryBadge } from "./delivery.js";
import { toDecimal } from "./trade.js";

const LONGEST = 50; // maximum length of a chain of corrections

/** @typedef {import("./trade.js").TrackedTrade} TrackedTrade */

/** @type {[string, (trade: TrackedTrade) => string][]} */
const FIGURES = [
  ["ticker", (trade) => trade.ticker],
  ["side", (trade) => (trade.side === "BUY" ? "Buy" : "Sell")],
  ["quantity", (trade) => formatAmount(toDecimal(trade.quantity), 0)],
  ["price", (trade) => formatAmount(trade.price)],
  ["time", (trade) => trade.timestamp],
  ["account", (trade) => trade.account],
  ["fee", (trade) => formatAmount(trade.fee)],
  ["currency", (trade) => trade.currency],
];

/**
 * Return the chain of corrections that includes the given trade, oldest first.
 * @param {TrackedTrade} trade
 * @returns {Promise<TrackedTrade[]>}
 * @throws {import("../core/api.js").ApiError}
 */
export async function readHistory(trade) {
  const chain = [trade];
  for (let first = trade; first.replaces !== null && chain.length < LONGEST; chain.unshift(first)) first = await get(tradePath(first.replaces));
  for (let last = trade; last.replaced_by !== null && chain.length < LONGEST; chain.push(last)) last = await get(tradePath(last.replaced_by));
  return chain;
}

/** @param {TrackedTrade[]} chain as returned by `readHistory` */
export function historyList(chain) {
  return h("ol", { class: "history" }, ...chain.flatMap((trade, index) => {
    const before = chain[index - 1];
    const recorded = before ? correction(before, trade) : item("Recorded", trade.recorded_at, trade.recorded_by, `Trade ${trade.id}`, deliveryBadge(trade));
    const isTakenBack = trade.voided_at !== null && trade.replaced_by === null;
    return isTakenBack ? [recorded, item("Voided", trade.voided_at ?? "", trade.voided_by ?? "", quoted(trade.void_reason))] : [recorded];
  }));
}

/**
 * @param {TrackedTrade} before
 * @param {TrackedTrade} after
 */
function correction(before, after) {
  const changes = FIGURES.filter(([, figure]) => figure(before) !== figure(after)).map(([name, figure]) => `${name} ${figure(before)} → ${figure(after)}`);
  const text = [`Trade ${after.id} in place of trade ${before.id}`, ...changes].join("; ");
  return item("Corrected", after.recorded_at, after.recorded_by, `${quoted(before.void_reason)} ${text}.`, deliveryBadge(after));
}

/** @param {string | null} reason */
const quoted = (reason) => `“${reason}”`;

/**
 * @param {string} what
 * @param {string} at
 * @param {string} by
 * @param {...(Node | string)} more
 */
function item(what, at, by, ...more) {
  return h("li", {}, h("p", {}, h("strong", {}, what), " ", timeElement(at), h("span", { class: "muted" }, ` by ${by}`)), h("p", { class: "row" }, ...more));
}
