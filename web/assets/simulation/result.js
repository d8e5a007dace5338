// The result of a simulation as returned by the API.

import { formatPlural } from "../core/format.js";

/**
 * @typedef {number | "Infinity" | null} Ratio
 * @typedef {{at: string, close: string, equity: string}} Bar
 * @typedef {{entry_at: string, entry_price: string, shares: string, exit_at: string | null, exit_price: string | null, fees: string, profit: string}} SimulatedTrade
 * @typedef {{fast: number, slow: number, value: Ratio}} SweptPair
 * @typedef {{fast: number, slow: number, cash: string, fill: "open" | "close", fractional: boolean, commission_per_trade: string, commission_per_share: string, commission_basis_points: string, slippage_basis_points: string}} Strategy
 * @typedef {{name: string, strategy: Strategy, metrics: Record<string, any>, trades: SimulatedTrade[], signals: {at: string, side: "BUY" | "SELL"}[], bars: Bar[], sweep: {metric: string, pairs: SweptPair[], warning: string} | null, frequency: string | null, notes: {adjusted: boolean} | null, no_trades_reason: string | null}} Result
 * @typedef {{id: number, recorded_at: string, result: Result}} Simulation
 */

/** Describe the number and length of bars, and whether prices are adjusted. @param {Result} result */
export function describeBars({ bars, frequency, notes }) {
  return `${formatPlural(bars.length, "bar")}${frequency ? ` of ${frequency}` : ""}${notes?.adjusted ? ", adjusted for dividends and splits" : ""}`;
}
