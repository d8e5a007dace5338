// Short notifications: shown one at a time in a dedicated area, dismissed automatically or by closing.

import { byId, h } from "./dom.js";

const SHOWN_MS = 8_000;

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** @param {...(Node | string)} content */
export function showToast(...content) {
  const close = h("button", { type: "button", class: "icon", "aria-label": "Close this message", onclick: hide }, "✕");
  byId("toasts").replaceChildren(h("div", { class: "toast" }, h("p", {}, ...content), close));
  clearTimeout(timer);
  timer = setTimeout(hide, SHOWN_MS);
}

function hide() {
  byId("toasts").replaceChildren();
}
