// The delivery status of a trade's notification.

import { get } from "../core/api.js";
import { h, setText } from "../core/dom.js";
import { trade as tradePath } from "../core/paths.js";

const WAITS_MS = [200, 300, 500, 1_000, 1_000, 2_000, 2_000, 3_000, 5_000, 5_000, 10_000, 30_000, 60_000];

/** @typedef {import("./trade.js").Trade} Trade */
/** @typedef {import("./trade.js").TrackedTrade} TrackedTrade */

/** @param {TrackedTrade} trade */
export function deliveryBadge(trade) {
  if (!trade.notified_at) return h("span", { class: "badge" }, "Not notified yet");
  const seconds = (Date.parse(trade.notified_at) - Date.parse(trade.recorded_at)) / 1_000;
  return h("span", { class: "badge delivered", title: `At ${trade.notified_at}` }, `Notified in ${seconds.toFixed(1)} s`);
}

/**
 * Show the status of a trade's notification in an element until it is delivered.
 * @param {Trade} trade
 * @param {HTMLElement} place
 * @param {() => void} onDelivered
 */
export async function followDelivery(trade, place, onDelivered) {
  const badge = h("span", { class: "badge" }, "Notifying…");
  place.replaceChildren(badge);
  for (const wait of WAITS_MS) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    /** @type {TrackedTrade} */
    let current;
    try {
      current = await get(tradePath(trade.id));
    } catch {
      continue;
    }
    if (!current.notified_at) continue;
    place.replaceChildren(deliveryBadge(current));
    return onDelivered();
  }
  setText(badge, "Not notified yet");
}
