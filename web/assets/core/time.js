// Instants and their formatting in the viewer's time zone.

import { h } from "./dom.js";

export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
export const DAY_MS = 86_400_000;

/** @param {number} value */
const two = (value) => String(value).padStart(2, "0");

/** @param {Date} time */
export const formatClock = (time) => `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;

/** @param {Date} time */
export const formatDay = (time) => `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;

/** Return the UTC day of a time, such as 2025-06-03. @param {Date | number} time in milliseconds, if a number */
export const utcDay = (time) => new Date(time).toISOString().slice(0, 10);

/** @param {Date} time */
export const formatUtc = (time) => `${time.toISOString().slice(0, 19).replace("T", " ")} UTC`;

/**
 * Return an ISO 8601 instant as seconds since the epoch.
 * @param {string} instant
 */
export const toSeconds = (instant) => Date.parse(instant) / 1_000;

/**
 * Return a negative number, 0 or a positive number if one instant is before, at or after another. They do not sort as
 * text: 12:00:07Z is before 12:00:07.500Z. Date.parse has only milliseconds, but the API has microseconds.
 * @param {string} one
 * @param {string} other
 */
export function compareInstants(one, other) {
  return Date.parse(one) - Date.parse(other) || fraction(one) - fraction(other);
}

/** @param {string} instant */
function fraction(instant) {
  return Number(`0${instant.match(/\.\d+/)?.[0] ?? ""}`);
}

/** @param {Date} time */
export function startOfDay(time) {
  return new Date(time.getFullYear(), time.getMonth(), time.getDate());
}

/** Whether an instant is today. @param {Date} time */
export const isToday = (time) => formatDay(time) === formatDay(new Date());

/**
 * Format a duration in its largest whole units: 4 min, 1 h, 3 h 20 min, 2 days.
 * @param {number} seconds
 */
export function formatSpan(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
  return `${Math.round(minutes / 1_440)} days`;
}

/**
 * Create an element for an instant in the viewer's time zone; its title shows the time in UTC.
 * @param {string} instant ISO 8601
 * @param {boolean} [withDay]
 */
export function timeElement(instant, withDay = true) {
  const time = new Date(instant);
  const text = withDay ? `${formatDay(time)} ${formatClock(time)}` : formatClock(time);
  return h("time", { datetime: instant, title: formatUtc(time) }, text);
}

/** Create an element for an instant, without the day if it is today. @param {string} instant */
export function shortTimeElement(instant) {
  return timeElement(instant, !isToday(new Date(instant)));
}
