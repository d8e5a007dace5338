// On touch screens, shows an element's title on tap, as a mouse does on hover.

import { h } from "./dom.js";

const SHOWN_MS = 4_000;

export function showTitlesOnTouch() {
  const tip = h("div", { class: "tip", role: "status", hidden: true });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  document.body.append(tip);
  addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target).closest?.("[title]");
    tip.hidden = true;
    if (!target || /** @type {PointerEvent} */ (event).pointerType !== "touch") return;
    tip.textContent = target.getAttribute("title");
    tip.hidden = false;
    const box = target.getBoundingClientRect();
    const left = Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8));
    const top = box.top > tip.offsetHeight + 8 ? box.top - tip.offsetHeight - 4 : box.bottom + 4;
    tip.style.setProperty("left", `${left}px`);
    tip.style.setProperty("top", `${top}px`);
    clearTimeout(timer);
    timer = setTimeout(() => (tip.hidden = true), SHOWN_MS);
  });
}
