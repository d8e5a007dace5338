// A place to drop the history of a ticker, or to choose its file.

import { ApiError, request } from "../core/api.js";
import { h, setText } from "../core/dom.js";
import { formatCount } from "../core/format.js";
import { history } from "../core/paths.js";
import { isTicker } from "../core/words.js";

/** @typedef {import("./history_list.js").StoredHistory} StoredHistory */

/**
 * @param {() => string} chosenTicker what a file is stored as whose name is no ticker
 * @param {(stored: StoredHistory) => void} onStored
 */
export function historyUpload(chosenTicker, onStored) {
  const state = h("p", { role: "status" }, "Drop a CSV of prices here, such as AAPL.csv: an export of Yahoo, TradingView or others, or the columns date and close, and open to fill at.");
  const input = h("input", { type: "file", accept: ".csv,text/csv", class: "hidden", "aria-label": "File of prices", tabindex: "-1", onchange: () => take(input.files?.[0]) });
  const element = h("div", { class: "drop" }, state, h("button", { type: "button", onclick: () => input.click() }, "Choose a file"), input);
  const show = (/** @type {string} */ text, isBad = false) => {
    state.classList.toggle("bad", isBad);
    setText(state, text);
  };
  const take = async (/** @type {File | undefined} */ file) => {
    if (!file) return;
    const name = file.name.replace(/\.[^.]*$/, "").toUpperCase();
    const ticker = isTicker(name) ? name : chosenTicker().toUpperCase();
    input.value = "";
    if (!isTicker(ticker)) return show(`Which ticker is ${file.name} of? Type it above, and drop the file again.`, true);
    show(`Storing ${file.name} as the history of ${ticker}…`);
    try {
      const response = await request("PUT", history(ticker), { body: file, type: "application/octet-stream" });
      /** @type {StoredHistory} */
      const stored = await response.json();
      show(`${stored.ticker}: ${formatCount(stored.bars)} bars, ${stored.first} to ${stored.last}, are stored.`);
      onStored(stored);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      show(error.errors.map(({ field, message }) => `${field === "body" ? file.name : field}: ${message}`).join(". ") || error.message, true);
    }
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
  return element;
}
