// Realized profit as a calendar: one month at a time, with daily and weekly totals.

import { add } from "../core/decimals.js";
import { h } from "../core/dom.js";
import { formatCount, formatFloat, formatGain, formatPlural, trendOfAmount } from "../core/format.js";
import { DAY_MS, utcDay } from "../core/time.js";

const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/** @typedef {import("./profit_panel.js").Day} Day */

export class ProfitCalendar {
  /** The first day of the displayed month; initially the current one. */
  #month = startOfMonth(new Date());
  /** Days of one currency, oldest first. @type {Day[]} */
  #days = [];
  #title = h("h3", { "aria-live": "polite" });
  #before = h("button", { type: "button", class: "icon", "aria-label": "The month before", onclick: () => this.#step(-1) }, "‹");
  #after = h("button", { type: "button", class: "icon", "aria-label": "The month after", onclick: () => this.#step(1) }, "›");
  #sum = h("span", { class: "number" });
  #body = h("tbody");
  element = h(
    "div",
    { class: "calendar" },
    h("div", { class: "row" }, this.#before, this.#title, this.#after, this.#sum),
    h("table", { "aria-label": "Profit of each day of the month" },
      h("thead", {}, h("tr", {}, ...WEEKDAYS.map((text) => h("th", { scope: "col" }, text)), h("th", { scope: "col", class: "number" }, "Week"))), this.#body),
  );

  /** @param {Day[]} days */
  show(days) {
    this.#days = days;
    const byDay = new Map(days.map((day) => [day.group, day]));
    const isoMonth = utcDay(this.#month).slice(0, 7);
    const own = days.filter(({ group }) => group.startsWith(isoMonth));
    this.#title.textContent = this.#month.toLocaleDateString("en", { month: "long", year: "numeric", timeZone: "UTC" });
    const sum = total(own);
    this.#sum.textContent = own.length ? `${formatGain(sum)} ${own[0]?.currency}` : "";
    this.#sum.dataset["trend"] = trendOfAmount(sum);
    this.#before.disabled = isoMonth <= (days[0]?.group.slice(0, 7) ?? isoMonth);
    this.#after.disabled = isoMonth >= utcDay(Date.now()).slice(0, 7);
    this.#body.replaceChildren(...weeksOf(this.#month).map((week) => {
      const cells = week.map((day) => (day.startsWith(isoMonth) ? toCell(day, byDay.get(day)) : h("td", { class: "outside" })));
      const inMonth = week.flatMap((day) => (day.startsWith(isoMonth) ? (byDay.get(day) ?? []) : []));
      return h("tr", {}, ...cells, amountCell("week", total(inMonth), inMonth.length > 0));
    }));
  }

  /** @param {number} months */
  #step(months) {
    this.#month = new Date(Date.UTC(this.#month.getUTCFullYear(), this.#month.getUTCMonth() + months, 1));
    this.show(this.#days);
  }
}

/**
 * @param {string} day
 * @param {Day | undefined} earned
 */
function toCell(day, earned) {
  const cell = amountCell("day", earned?.profit ?? "0", earned !== undefined);
  cell.prepend(h("span", { class: "date" }, String(Number(day.slice(8)))));
  if (earned) cell.title = `${day}: ${describeDay(earned)}`;
  return cell;
}

/** Format a day's profit and its number of matches. @param {Day} day */
export function describeDay({ profit, currency, wins, losses }) {
  return `${formatGain(profit)} ${currency}, ${formatPlural(wins, "gain")}, ${formatCount(losses)} ${losses === 1 ? "loss" : "losses"}`;
}

/**
 * @param {string} name
 * @param {string} profit
 * @param {boolean} isKnown
 */
function amountCell(name, profit, isKnown) {
  const amounts = isKnown ? [h("span", { class: "number full" }, formatGain(profit, 0)), h("span", { class: "number terse", "aria-hidden": "true" }, terse(profit))] : [];
  return h("td", { class: name, "data-trend": isKnown ? trendOfAmount(profit) : null }, ...amounts);
}

/** Format a gain in at most five characters: +189, −1.2k, +17k. @param {string} profit */
function terse(profit) {
  const size = Math.abs(Number(profit));
  const [unit, letter] = size >= 999_500 ? [1_000_000, "m"] : size >= 999.5 ? [1_000, "k"] : [1, ""];
  const text = formatFloat(size / unit, unit > 1 && size < 9.95 * unit ? 1 : 0);
  const sign = text === "0" ? "" : Number(profit) < 0 ? "−" : "+";
  return `${sign}${text}${letter}`;
}

/**
 * Return the days of all weeks that overlap a month; weeks start on Monday.
 * @param {Date} month
 * @returns {string[][]}
 */
function weeksOf(month) {
  const weeks = [];
  const first = month.getTime() - ((month.getUTCDay() + 6) % 7) * DAY_MS;
  const next = Date.UTC(month.getUTCFullYear(), month.getUTCMonth() + 1, 1);
  for (let monday = first; monday < next; monday += 7 * DAY_MS) weeks.push(WEEKDAYS.map((_, index) => utcDay(monday + index * DAY_MS)));
  return weeks;
}

/** @param {Day[]} days */
const total = (days) => days.reduce((sum, { profit }) => add(sum, profit), "0");

/** @param {Date} time */
const startOfMonth = (time) => new Date(Date.UTC(time.getUTCFullYear(), time.getUTCMonth(), 1));
