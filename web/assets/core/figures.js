// A list of figures, each with a name, a value and a trend.

import { h } from "./dom.js";

/** @param {[string, string, string?][]} parts name, value and trend */
export function figures(parts) {
  return h("dl", { class: "figures" }, ...parts.map(([name, text, trend]) => h("div", {}, h("dt", {}, name), h("dd", { class: "number", "data-trend": trend }, text))));
}
