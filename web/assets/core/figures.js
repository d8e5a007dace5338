// A list of figures: a name, a value, and which way it points.

import { h } from "./dom.js";

/** @param {[string, string, string?][]} parts name, value and trend */
export function figures(parts) {
  return h("dl", { class: "figures" }, ...parts.map(([name, text, trend]) => h("div", {}, h("dt", {}, name), h("dd", { class: "number", "data-trend": trend }, text))));
}
