// An area to drop or choose a file, with a status message.

import { h, setText } from "./dom.js";

/**
 * @param {string} label names the expected files
 * @param {string} text shown until there is a file
 * @param {(file: File) => void} onFile
 */
export function fileDrop(label, text, onFile) {
  const state = h("p", { role: "status" }, text);
  const input = h("input", { type: "file", accept: ".csv,.txt,text/csv", class: "hidden", "aria-label": label, tabindex: "-1", onchange: () => take(input.files?.[0]) });
  const button = h("button", { type: "button", onclick: () => input.click() }, "Choose a file");
  const element = h("div", { class: "drop" }, state, button, input);
  const take = (/** @type {File | undefined} */ file) => {
    input.value = ""; // allows choosing the same file again
    if (file) onFile(file);
  };
  const over = (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    element.classList.toggle("over", event.type === "dragover");
  };
  element.addEventListener("dragover", over);
  element.addEventListener("dragleave", over);
  element.addEventListener("drop", (event) => {
    over(event);
    take(event.dataTransfer?.files[0]);
  });
  const show = (/** @type {string} */ said, isBad = false) => {
    state.classList.toggle("bad", isBad);
    setText(state, said);
  };
  return { element, show, focus: () => button.focus() };
}
