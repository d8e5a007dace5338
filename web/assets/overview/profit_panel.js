// The panel of realized profit by day, with its period and currency, as a chart, a calendar or a table.

import { loadLibrary } from "../charts/library.js";
import { add } from "../core/decimals.js";
import { h, segments, setText } from "../core/dom.js";
import { formatCount, formatGain, formatMoney, formatPlural, trendOfAmount } from "../core/format.js";
import { DAY_MS, utcDay } from "../core/time.js";
import { describeDay, ProfitCalendar } from "./profit_calendar.js";
import { ProfitChart } from "./profit_chart.js";


/**
 * @typedef {{group: string, currency: string, profit: string, fees: string, wins: number, losses: number, matches: number}} Day
 * @typedef {"30" | "90" | "365" | "all"} Period
 * @typedef {"chart" | "calendar" | "table"} Style
 */

export class ProfitPanel {
  /** @type {Day[]} */
  #days = [];
  /** @type {Period} */
  #period = "90";
  #currency = "";
  /** @type {Style} */
  #style = "chart";
  /** @type {ProfitChart | null} */
  #chart = null;

  #periods = segments("Period", /** @type {[Period, string][]} */ ([["30", "30 days"], ["90", "90 days"], ["365", "Year"], ["all", "All"]]), (period) => {
    this.#period = period;
    this.#show();
  });
  #styles = segments("Kind", /** @type {[Style, string][]} */ ([["chart", "Chart"], ["calendar", "Calendar"], ["table", "Table"]]), (style) => {
    this.#style = style;
    this.#show();
  });
  #calendar = new ProfitCalendar();
  #currencies = h("div", {});
  #sum = h("p", { class: "line" });
  #canvas = h("div", { class: "chart", role: "img" });
  #table = h("div", { class: "scroll chart", tabindex: "0", role: "region", "aria-label": "Profit of each day" });
  #hovered = h("p", { class: "legend number", "aria-hidden": "true" });
  #failure = h("div", {});
  #foot = h("div", { class: "chart-foot" },
    h("p", { class: "legend" }, h("span", {}, h("i", { class: "swatch gain" }), "Gain of a day"), h("span", {}, h("i", { class: "swatch drawdown" }), "Loss"), h("span", {}, h("i", { class: "swatch" }), "Together, since the first day shown")),
    this.#hovered);

  constructor() {
    this.element = h(
      "section",
      { class: "panel profit-panel", "aria-labelledby": "profit-title" },
      h("div", { class: "panel-head" }, h("h2", { id: "profit-title" }, "Realized profit by day"), h("div", { class: "row" }, this.#currencies, this.#periods.element, this.#styles.element)),
      this.#sum,
      this.#failure,
      this.#canvas,
      this.#table,
      this.#calendar.element,
      this.#foot,
    );
  }

  /** @param {Day[]} days all days, in all currencies */
  fill(days) {
    this.#days = days;
    const currencies = [...new Set(days.map(({ currency }) => currency))];
    if (!currencies.includes(this.#currency)) this.#currency = currencies.includes("USD") ? "USD" : (currencies[0] ?? "");
    const choice = segments("Currency", currencies.map((currency) => [currency, currency]), (currency) => {
      this.#currency = currency;
      choice.select(currency);
      this.#show();
    });
    choice.select(this.#currency);
    this.#currencies.replaceChildren(...(currencies.length > 1 ? [choice.element] : []));
    this.#show();
  }

  #show() {
    this.#periods.select(this.#period);
    this.#styles.select(this.#style);
    this.#canvas.hidden = this.#foot.hidden = this.#style !== "chart";
    this.#table.hidden = this.#style !== "table";
    this.#calendar.element.hidden = this.#style !== "calendar";
    this.#sum.hidden = this.#periods.element.hidden = this.#style === "calendar"; // it has its own months and totals
    const today = utcDay(Date.now());
    const all = this.#days.filter(({ currency }) => currency === this.#currency);
    const begin = all[0]?.group ?? today;
    const wanted = this.#period === "all" ? begin : dayAfter(today, 1 - Number(this.#period));
    const first = wanted < begin ? begin : wanted;
    const days = all.filter(({ group }) => group >= first);
    const sum = days.reduce((total, { profit }) => add(total, profit), "0");
    const gained = days.filter(({ profit }) => Number(profit) > 0).length;
    const total = h("strong", { class: "number", "data-trend": trendOfAmount(sum) }, `${formatGain(sum)} ${this.#currency}`);
    this.#sum.replaceChildren(...(days.length ? [total, h("span", { class: "muted" }, ` on ${formatPlural(days.length, "day")} with sales, ${formatCount(gained)} of them with a gain`)] : [h("span", { class: "muted" }, "Nothing was closed in this time.")]));
    this.#canvas.setAttribute("aria-label", `Chart of realized profit: ${this.#sum.textContent}`);
    if (this.#style === "calendar") this.#calendar.show(all);
    else if (this.#style === "table") this.#showTable(days);
    else this.#draw(days, first, today);
  }

  /** @param {Day[]} days */
  #showTable(days) {
    const head = ["Day, UTC", "Profit", "Fees", "Gains", "Losses"].map((text, index) => h("th", { scope: "col", class: index ? "number" : "" }, text));
    const number = (/** @type {string} */ text) => h("td", { class: "number" }, text);
    const rows = days.toReversed().map(({ group, profit, fees, wins, losses }) =>
      h("tr", {}, h("th", { scope: "row" }, group), h("td", { class: "number", "data-trend": trendOfAmount(profit) }, formatGain(profit)), number(formatMoney(fees)), number(formatCount(wins)), number(formatCount(losses))));
    this.#table.replaceChildren(h("table", {}, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows)));
  }

  /**
   * @param {Day[]} days
   * @param {string} first
   * @param {string} last
   */
  async #draw(days, first, last) {
    try {
      this.#chart ??= new ProfitChart(await loadLibrary(), this.#canvas, (day) => this.#hover(day));
    } catch {
      const retry = h("button", { type: "button", onclick: () => this.#show() }, "Try again");
      return this.#failure.replaceChildren(h("div", { class: "notice failure", role: "alert" }, h("p", {}, "The chart could not be loaded."), retry));
    }
    this.#failure.replaceChildren();
    const profits = new Map(days.map(({ group, profit }) => [group, profit]));
    const points = [];
    let sum = "0";
    for (let day = first; day <= last; day = dayAfter(day, 1)) {
      const profit = profits.get(day) ?? "0";
      sum = add(sum, profit);
      points.push({ day, profit: Number(profit), sum: Number(sum) });
    }
    this.#chart.draw(points);
  }

  /** @param {string | null} day */
  #hover(day) {
    const found = this.#days.find(({ group, currency }) => group === day && currency === this.#currency);
    const earned = found ? describeDay(found) : "nothing was closed";
    setText(this.#hovered, day === null ? "" : `${day}  ${earned}`);
  }
}

/**
 * @param {string} day
 * @param {number} count
 */
function dayAfter(day, count) {
  return utcDay(Date.parse(`${day}T00:00:00Z`) + count * DAY_MS);
}
