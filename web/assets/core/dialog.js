// A modal window with a heading and a close button.

import { h } from "./dom.js";

let count = 0;

/**
 * Open a window. It is removed from the page when closed by its button, Escape, a click outside it, or `close()`.
 * @param {Node | string} title
 * @param {Node[]} content
 * @param {() => void} [onClose]
 */
export function openDialog(title, content, onClose) {
  count += 1;
  const heading = h("h2", { id: `dialog-${count}`, tabindex: "-1", autofocus: true }, title);
  const close = h("button", { type: "button", class: "icon", "aria-label": "Close", onclick: () => dialog.close() }, "✕");
  const dialog = h("dialog", { class: "dialog large", "aria-labelledby": heading.id },
    h("div", { class: "dialog-body" }, h("div", { class: "panel-head" }, heading, close), ...content));
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    onClose?.();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
