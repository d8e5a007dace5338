// The list of alerts, the rules that raise them, and notification settings.

import { h, setText } from "../core/dom.js";
import { shortTimeElement } from "../core/time.js";
import { showToast } from "../core/toasts.js";
import { openRules } from "./rule_dialog.js";
import { alertMark, alertPath } from "./rules.js";

/** @typedef {import("./alerts.js").Alert} Alert */

/**
 * @param {import("./alerts.js").Alerts} alerts
 * @param {import("./rule_book.js").RuleBook} book
 */
export function alertList(alerts, book) {
  const notify = h("button", { type: "button", class: "quiet", title: "Also while another window is in front", onclick: () => alerts.toggleNotifications() });
  const silence = h("button", { type: "button", class: "quiet", onclick: () => alerts.toggle() });
  const rules = h("button", { type: "button", class: "quiet", onclick: () => openRules(book) }, "Rules");
  const webhooks = h("button", { type: "button", class: "quiet", onclick: openWebhooks }, "Webhooks");
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Muted tickers" });
  const list = h("ol", { class: "alerts", tabindex: "0", "aria-label": "Alerts, newest first" });
  const row = (/** @type {Alert} */ alert) =>
    h(
      "li",
      {},
      h("a", { class: "ticker", href: `#/prices?ticker=${alert.ticker}` }, alert.ticker),
      h("span", { class: "move number" }, alertMark(alert)),
      h("span", { class: "muted number when" }, shortTimeElement(alert.timestamp)),
      h("span", { class: "muted number path" }, alertPath(alert)),
      h("button", {
        type: "button",
        class: "quiet mute",
        "aria-label": `Mute ${alert.ticker}`,
        onclick: () => {
          alerts.toggle(alert.ticker);
          list.focus();
        },
      }, "Mute"),
    );
  const show = () => {
    const isDenied = !("Notification" in window) || Notification.permission === "denied";
    notify.hidden = isDenied;
    notify.setAttribute("aria-pressed", String(alerts.isNotifying));
    setText(notify, alerts.isNotifying ? "Notifying" : "Notify me");
    silence.setAttribute("aria-pressed", String(alerts.isSilent));
    setText(silence, alerts.isSilent ? "Unmute all" : "Mute all");
    chips.replaceChildren(...alerts.muted.map((ticker) =>
      h("button", { type: "button", class: "chip", "aria-label": `Unmute ${ticker}`, onclick: () => alerts.toggle(ticker) }, `${ticker} muted ✕`)));
    const rows = alerts.shown.map(row);
    const empty = alerts.all.length ? "All of them are muted." : alerts.state;
    list.replaceChildren(...(rows.length ? rows : [h("li", { class: "empty" }, empty)]));
  };
  alerts.addEventListener("change", show);
  show();
  return h(
    "section",
    { class: "panel alerts-panel", "aria-labelledby": "alerts-title" },
    h("div", { class: "panel-head" }, h("h2", { id: "alerts-title" }, "Alerts"), h("div", { class: "row" }, rules, webhooks, notify, silence)),
    chips,
    list,
  );
}

let failures = 0;

async function openWebhooks() {
  try {
    (await import(`../webhooks/webhook_dialog.js${failures ? `?again=${failures}` : ""}`)).openWebhooks();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // a failed load is a TypeError
    failures += 1; // browsers cache a failed load
    showToast("Webhooks could not be loaded. Try again.");
  }
}
