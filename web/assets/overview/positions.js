// Positions, as the API has them, what they are worth at the prices that come, and their sums in each currency.

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

/** The unrealized profit as a part of what was paid, or null where there is none. @param {Position} position */
export function unrealizedPart({ unrealized_profit: profit, cost_basis: cost }) {
  return profit === null || Number(cost) === 0 ? null : Number(profit) / Math.abs(Number(cost));
}

/**
 * Return a position at the price of a tick. Where its price is not of a tick, or is newer, it stays as it is: ticks have
 * no currency, and the API knows of which positions they are.
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
 * Return the totals of the API at the prices of these positions, which are all that the totals are of. Where a trade came
 * between the two answers they do not belong together, and the total stays as the API had it.
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
 * Return each position's part of what all of its currency are worth, shorts counted as what it takes to close them.
 * @param {Position[]} positions
 * @returns {Map<string, number>} by their keys
 */
export function weights(positions) {
  /** @type {Map<string, number>} */
  const sums = new Map();
  const worth = (/** @type {Position} */ position) => Math.abs(Number(position.market_value ?? 0));
  for (const each of positions) sums.set(each.currency, (sums.get(each.currency) ?? 0) + worth(each));
  return new Map(positions.map((each) => [keyOf(each), worth(each) / (sums.get(each.currency) || 1)]));
}
