// Single-key keyboard shortcuts, and a list of them.

import { h } from "./dom.js";

/** @typedef {{key: string, text: string, run: () => void}} Shortcut */

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName));
}

/**
 * Listen for shortcuts while the user is not typing, and return a function that shows the list.
 * @param {Shortcut[]} shortcuts
 * @returns {() => void}
 */
export function listen(shortcuts) {
  const rows = [...shortcuts, { key: "↑ ↓", text: "Another ticker, in the list of prices" }, { key: "?", text: "This list" }];
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": "shortcuts-title" },
    h("div", { class: "panel-head" }, h("h2", { id: "shortcuts-title" }, "Keyboard shortcuts"),
      h("button", { type: "button", class: "icon", "aria-label": "Close", onclick: () => dialog.close() }, "✕")),
    h("dl", { class: "shortcuts" }, ...rows.map(({ key, text }) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, text)))),
  );
  document.body.append(dialog);
  const show = () => (dialog.open ? dialog.close() : dialog.showModal());
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (event.key === "?") return show();
    const shortcut = shortcuts.find(({ key }) => key === event.key);
    if (!shortcut || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    shortcut.run();
  });
  return show;
}
