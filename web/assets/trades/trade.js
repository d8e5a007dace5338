// A trade as returned by the API, and the sorting and totals of trades.

import { add, compare, multiply } from "../core/decimals.js";
import { compareInstants } from "../core/time.js";

/**
 * @typedef {{id: number, ticker: string, price: string, quantity: number, side: "BUY" | "SELL", timestamp: string, client_trade_id: string | null, recorded_by: string, recorded_at: string, account: string, fee: string, currency: string, note: string | null, tags: string[], status?: "active" | "voided"}} Trade
 * @typedef {Trade & {notified_at: string | null, voided_at: string | null, voided_by: string | null, void_reason: string | null, replaces: number | null, replaced_by: number | null}} TrackedTrade one of which is known what became of it
 * @typedef {"time" | "ticker" | "side" | "quantity" | "price" | "amount" | "fee" | "account"} Column
 * @typedef {{column: Column, isDescending: boolean}} Order
 */

/** @type {Order} The API's default order. */
export const NEWEST_FIRST = { column: "time", isDescending: true };

/** @param {Trade} trade */
export const amountOf = (trade) => multiply(trade.price, toDecimal(trade.quantity));

/** Format a JSON number as decimal text: 1e-7 is 0.0000001. @param {number} number */
export function toDecimal(number) {
  const text = String(number);
  return text.includes("e") ? number.toFixed(10).replace(/\.?0*$/, "") : text;
}

/** @type {Record<Column, (one: Trade, other: Trade) => number>} */
const COMPARISONS = {
  time: (one, other) => compareInstants(one.timestamp, other.timestamp),
  ticker: (one, other) => one.ticker.localeCompare(other.ticker),
  side: (one, other) => one.side.localeCompare(other.side),
  quantity: (one, other) => one.quantity - other.quantity,
  price: (one, other) => compare(one.price, other.price),
  amount: (one, other) => compare(amountOf(one), amountOf(other)),
  fee: (one, other) => compare(one.fee, other.fee),
  account: (one, other) => one.account.localeCompare(other.account),
};

/**
 * Return a function that compares trades for a sort order; ties are ordered by time, then by id.
 * @param {Order} order
 * @returns {(one: Trade, other: Trade) => number}
 */
export function comparison({ column, isDescending }) {
  const sign = isDescending ? -1 : 1;
  return (one, other) =>
    sign * (COMPARISONS[column](one, other) || COMPARISONS.time(one, other) || one.id - other.id);
}

/** Totals of trades in effect: count, amounts bought and sold by currency, and shares if all have the same ticker. */
export class Totals {
  count = 0;
  /** @type {Map<string, {BUY: string, SELL: string}>} */
  amounts = new Map();
  quantities = { BUY: "0", SELL: "0" };
  /** @type {Set<string>} */
  tickers = new Set();

  /** @param {Trade} trade */
  add(trade) {
    if (trade.status === "voided") return;
    this.count += 1;
    this.tickers.add(trade.ticker);
    const { currency } = trade;
    const sums = this.amounts.get(currency) ?? { BUY: "0", SELL: "0" };
    sums[trade.side] = add(sums[trade.side], amountOf(trade));
    this.amounts.set(currency, sums);
    this.quantities[trade.side] = add(this.quantities[trade.side], toDecimal(trade.quantity));
  }

  /** @param {Iterable<Trade>} trades */
  static of(trades) {
    const totals = new Totals();
    for (const trade of trades) totals.add(trade);
    return totals;
  }
}
