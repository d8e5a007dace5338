// Positions as returned by the API, their value at live prices, and their totals by currency.

import { add, compare, multiply, subtract } from "../core/decimals.js";
import { compareInstants } from "../core/time.js";

/**
 * @typedef {import("../core/feed.js").Tick} Tick
 * @typedef {{
 *   account: string, ticker: string, currency: string, quantity: string, average_cost: string | null, cost_basis: string,
 *   realized_profit: string, fees: string, trade_count: number, last_price: string | null, last_price_at: string | null,
 *   price_source: "tick" | "trade" | null, market_value: string | null, unrealized_profit: string | null,
 * }} Position
 * @typedef {{currency: string, cost_basis: string, market_value: string, unrealized_profit: string, realized_profit: string, change_today: string}} Total
 */

/** @param {Position} position */
export const keyOf = ({ account, ticker, currency }) => `${account} ${ticker} ${currency}`;

/** @param {Position} position */
export const isOpen = ({ quantity }) => Number(quantity) !== 0;

/** The unrealized profit as a fraction of the cost, or null if there is none. @param {Position} position */
export function unrealizedPart({ unrealized_profit: profit, cost_basis: cost }) {
  return profit === null || Number(cost) === 0 ? null : Number(profit) / Math.abs(Number(cost));
}

/**
 * Return a position at the price of a tick, unchanged if its price is not from a tick or is newer: ticks have no
 * currency, and the API knows which positions they apply to.
 * @param {Position} position
 * @param {Tick | null | undefined} tick
 * @returns {Position}
 */
export function atTick(position, tick) {
  const { quantity, cost_basis: cost, last_price_at: at, price_source: source } = position;
  if (!tick || source !== "tick" || at === null || compareInstants(tick.timestamp, at) <= 0) return position;
  const value = multiply(quantity, tick.price);
  return { ...position, last_price: tick.price, last_price_at: tick.timestamp, market_value: value, unrealized_profit: subtract(value, cost) };
}

/**
 * Return the API's totals at the prices of the given positions, which must be all positions in those totals. If a trade
 * was recorded between the two responses, they are inconsistent, and the total is left unchanged.
 * @param {Total[]} totals
 * @param {Position[]} positions
 * @returns {Total[]}
 */
export function atPrices(totals, positions) {
  return totals.map((total) => {
    const own = positions.filter(({ currency }) => currency === total.currency);
    const sum = (/** @type {(position: Position) => string | null} */ part) => own.reduce((total, each) => add(total, part(each) ?? "0"), "0");
    const isSame = compare(sum((each) => each.cost_basis), total.cost_basis) === 0 && compare(sum((each) => each.realized_profit), total.realized_profit) === 0;
    if (!isSame) return total;
    const value = sum((each) => each.market_value);
    return {
      ...total,
      market_value: value,
      unrealized_profit: sum((each) => each.unrealized_profit),
      change_today: add(total.change_today, subtract(value, total.market_value)),
    };
  });
}

/**
 * Return each position's share of the total value in its currency; shorts count at their cost to close.
 * @param {Position[]} positions
 * @returns {Map<string, number>} by key
 */
export function weights(positions) {
  /** @type {Map<string, number>} */
  const sums = new Map();
  const worth = (/** @type {Position} */ position) => Math.abs(Number(position.market_value ?? 0));
  for (const each of positions) sums.set(each.currency, (sums.get(each.currency) ?? 0) + worth(each));
  return new Map(positions.map((each) => [keyOf(each), worth(each) / (sums.get(each.currency) || 1)]));
}
