// A word-sized line chart of a ticker's last hour.

import { svg } from "../core/dom.js";
import { trend } from "../core/format.js";
import { toSeconds } from "../core/time.js";
import { BAR_SECONDS } from "./bars.js";

export const LINE_SECONDS = 3_600;
export const LINE_MS = 1_000; // minimum interval between redraws
const [WIDTH, HEIGHT] = [72, 26];

/** @typedef {import("./market.js").Stock} Stock */

export class Sparkline {
  #path = svg("path", { d: "" });
  element = svg("svg", { class: "sparkline", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" }, this.#path);

  /** @param {Stock} stock */
  draw(stock) {
    const change = stock.change();
    this.element.setAttribute("data-trend", change ? trend(change.fraction) : "0");
    this.#path.setAttribute("d", pathOf(stock));
  }
}

/** Return the path of the last hour's bars; missing bars leave gaps in the line. @param {Stock} stock */
export function pathOf(stock) {
  // Without a tick yet, such as while the market is closed, the line ends with the last bar.
  const now = stock.latest ? toSeconds(stock.latest.timestamp) : ([...stock.bars.keys()].at(-1) ?? 0) + BAR_SECONDS;
  const bars = [...stock.bars.values()].filter((bar) => bar.time > now - LINE_SECONDS - BAR_SECONDS);
  const values = bars.flatMap((bar) => [Number(bar.open), Number(bar.close)]);
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const place = (/** @type {number} */ time, /** @type {string} */ price) => {
    const x = 1 + Math.min(1, Math.max(0, 1 - (now - time) / LINE_SECONDS)) * (WIDTH - 2);
    const y = HEIGHT - 3 - ((Number(price) - low) / span) * (HEIGHT - 6);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  };
  return bars
    .map((bar, index) => {
      const isJoined = index > 0 && bar.time - /** @type {import("./bars.js").Bar} */ (bars[index - 1]).time === BAR_SECONDS;
      return `${isJoined ? "L" : "M"}${place(bar.time, bar.open)}L${place(Math.min(bar.time + BAR_SECONDS, now), bar.close)}`;
    })
    .join("");
}
