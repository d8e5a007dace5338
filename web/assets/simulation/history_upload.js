// An area to drop or choose a price history file.

import { ApiError, request } from "../core/api.js";
import { fileDrop } from "../core/file_drop.js";
import { formatCount } from "../core/format.js";
import { history } from "../core/paths.js";
import { isTicker } from "../core/words.js";

/** @typedef {import("./history_list.js").StoredHistory} StoredHistory */

const WANTED = "Drop a CSV of prices here, such as AAPL.csv: an export of Yahoo, TradingView or others, or the columns date and close, and open to fill at.";

/**
 * @param {() => string} chosenTicker the ticker to use if the file name is not one
 * @param {(stored: StoredHistory) => void} onStored
 */
export function historyUpload(chosenTicker, onStored) {
  const { element, show } = fileDrop("File of prices", WANTED, async (file) => {
    const name = file.name.replace(/\.[^.]*$/, "").toUpperCase();
    const ticker = isTicker(name) ? name : chosenTicker().toUpperCase();
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
  });
  return element;
}
