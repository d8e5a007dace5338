// What a simulation came to, as the API has it, and why there may be no trades in it.

import { compare } from "../core/decimals.js";
import { formatAmount, formatCount } from "../core/format.js";

/**
 * @typedef {{at: string, close: string, equity: string}} Bar
 * @typedef {{entry_at: string, entry_price: string, shares: string, exit_at: string | null, exit_price: string | null, fees: string, profit: string}} SimulatedTrade
 * @typedef {{fast: number, slow: number, value: number | null}} SweptPair
 * @typedef {{fast: number, slow: number, cash: string, fill: "open" | "close", fractional: boolean, commission_per_trade: string, commission_per_share: string, commission_basis_points: string, slippage_basis_points: string}} Strategy
 * @typedef {{name: string, strategy: Strategy, metrics: Record<string, any>, trades: SimulatedTrade[], signals: {at: string, side: "BUY" | "SELL"}[], bars: Bar[], sweep: {metric: string, pairs: SweptPair[], warning: string} | null}} Result
 * @typedef {{id: number, recorded_at: string, result: Result}} Simulation
 */

/** Return why a simulation has no trades. @param {Result} result */
export function whyNoTrades({ strategy, signals, bars }) {
  const { slow, fill, fractional, cash } = strategy;
  if (bars.length <= slow) {
    return `The slow average needs ${formatCount(slow)} bars and one more to cross, and there are ${formatCount(bars.length)}: choose shorter windows.`;
  }
  const buys = signals.filter(({ side }) => side === "BUY");
  if (!signals.length) return "The averages never crossed: choose shorter windows, or more prices.";
  if (!buys.length) return "The fast average only crossed below the slow one, and there was nothing to sell.";
  if (fill === "open" && buys.every(({ at }) => at === bars.at(-1)?.at)) {
    return "The averages crossed on the last bar only, and there is no next bar to buy at.";
  }
  const prices = buys.map(({ at }) => /** @type {Bar} */ (bars.find((bar) => bar.at === at)).close);
  if (!fractional && prices.every((price) => compare(price, cash) > 0)) {
    return `${formatAmount(cash)} USD does not pay for one share at ${formatAmount(/** @type {string} */ (prices[0]))}: choose more cash, or fractions of shares.`;
  }
  return "What a share and its costs come to was more than the cash: choose more cash, or lower costs.";
}
