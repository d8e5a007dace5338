// Bars: the first, highest, lowest and last price of an interval, and its number of ticks.

import { compare } from "../core/decimals.js";

/**
 * `time` is the start, in seconds since the epoch.
 * @typedef {{time: number, open: string, high: string, low: string, close: string, count: number}} Bar
 * @typedef {"1min" | "5min" | "hour" | "day"} Interval
 */

export const BAR_SECONDS = 300; // length of the API's bars

/** @type {Record<Interval, {seconds: number, text: string}>} */
export const INTERVALS = {
  "1min": { seconds: 60, text: "1 min" },
  "5min": { seconds: BAR_SECONDS, text: "5 min" },
  hour: { seconds: 3_600, text: "1 h" },
  day: { seconds: 86_400, text: "1 day" },
};

/**
 * Return the start of the interval that contains an instant; hours and days are in the viewer's time zone.
 * @param {number} seconds
 * @param {Interval} interval
 */
export function intervalStart(seconds, interval) {
  if (interval === "1min" || interval === "5min") return seconds - (seconds % INTERVALS[interval].seconds);
  const time = new Date(seconds * 1_000);
  if (interval === "hour") time.setMinutes(0, 0, 0);
  else time.setHours(0, 0, 0, 0);
  return time.getTime() / 1_000;
}

/**
 * Return the start of the interval after the one that starts at `start`: a day may have 23 or 25 hours.
 * @param {number} start
 * @param {Interval} interval
 */
export function nextStart(start, interval) {
  if (interval !== "day") return start + INTERVALS[interval].seconds;
  const time = new Date(start * 1_000);
  time.setDate(time.getDate() + 1);
  return time.getTime() / 1_000;
}

/**
 * Return a ticker's bars of an interval from a time on. One-minute bars cover only the ticks since the page was opened.
 * @param {import("./market.js").Stock} stock
 * @param {Interval} interval
 * @param {number} [from]
 */
export function barsOf(stock, interval, from = -Infinity) {
  const bars = interval === "1min" ? stock.minutes : stock.bars;
  return aggregate([...bars.values()].filter(({ time }) => time >= from), interval);
}

/**
 * Merge bars, in order, into bars of a longer interval.
 * @param {Iterable<Bar>} bars
 * @param {Interval} interval
 * @returns {Bar[]}
 */
export function aggregate(bars, interval) {
  /** @type {Bar[]} */
  const merged = [];
  for (const bar of bars) {
    const time = intervalStart(bar.time, interval);
    const last = merged.at(-1);
    if (last?.time === time) merge(last, bar);
    else merged.push({ ...bar, time });
  }
  return merged;
}

/**
 * Extend a bar with a later one.
 * @param {Bar} bar
 * @param {Bar} later
 */
export function merge(bar, later) {
  bar.high = highest(bar.high, later.high);
  bar.low = lowest(bar.low, later.low);
  bar.close = later.close;
  bar.count += later.count;
}

/**
 * @param {string} one
 * @param {string} other
 */
export const highest = (one, other) => (compare(other, one) > 0 ? other : one);

/**
 * @param {string} one
 * @param {string} other
 */
export const lowest = (one, other) => (compare(other, one) < 0 ? other : one);
