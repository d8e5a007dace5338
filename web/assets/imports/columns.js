// Column mapping for a file in an unknown format.

import { h } from "../core/dom.js";
import { field } from "../core/fields.js";

const HEADER_LINES = 20; // lines in which the API looks for a header
const HEADER_BYTES = 16_384;
const DELIMITERS = [",", ";", "\t", "|"];

/** Each column's API name, label and hint. */
const FIELDS = /** @type {[string, string, string][]} */ ([
  ["ticker", "Ticker", ""],
  ["isin", "ISIN", "if there is no ticker"],
  ["timestamp", "Date", ""],
  ["time", "Time of day", "if it is apart"],
  ["quantity", "Quantity", ""],
  ["price", "Price", "of a share"],
  ["side", "Buy or sell", "or by the quantity’s sign"],
  ["fee", "Fee", ""],
  ["currency", "Currency", ""],
  ["account", "Account", ""],
  ["id", "Broker’s id", "of the trade"],
]);

export class ColumnsForm {
  #fields = Object.fromEntries(FIELDS.map(([name, text, hint]) => [name, field(text, h("select", { name }), hint)]));
  dateFormat = field("Date format", h("input", { name: "date_format", autocomplete: "off", placeholder: "2025-03-31", spellcheck: "false" }), "such as %d.%m.%Y");
  element;

  /** @param {() => void} onRead */
  constructor(onRead) {
    this.element = h("form", { class: "change-form columns-form", novalidate: true, hidden: true, "aria-label": "Columns of the file" },
      h("p", { class: "muted small" }, "Say which of the file’s columns has what: a ticker or an ISIN, a date, a quantity and a price at least."),
      h("div", { class: "fields" }, ...Object.values(this.#fields).map(({ element }) => element), this.dateFormat.element),
      h("button", { type: "submit", class: "primary" }, "Read the file"));
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      onRead();
    });
  }

  /** Offer the columns of a file. @param {File} file */
  async open(file) {
    const names = headerOf(await beginningOf(file));
    for (const { input } of Object.values(this.#fields)) input.replaceChildren(h("option", { value: "" }, "–"), ...names.map((name) => h("option", { value: name }, name)));
    this.element.hidden = false;
  }

  close() {
    this.element.hidden = true;
  }

  /** The chosen columns as API parameters. */
  get query() {
    if (this.element.hidden) return {};
    const chosen = Object.entries(this.#fields).filter(([, { input }]) => input.value);
    return chosen.length ? { format: "generic", columns: chosen.map(([name, { input }]) => `${name}:${input.value}`).join(","), date_format: this.dateFormat.input.value.trim() } : {};
  }
}

/** @param {File} file */
async function beginningOf(file) {
  const bytes = new Uint8Array(await file.slice(0, HEADER_BYTES).arrayBuffer());
  const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  return new TextDecoder(isUtf16 ? (bytes[0] === 0xff ? "utf-16le" : "utf-16be") : "utf-8").decode(bytes);
}

/**
 * Return the header cells of a text: of its first lines, the one with the most cells, quoted or not.
 * @param {string} text
 */
export function headerOf(text) {
  const rows = text.split("\n").slice(0, HEADER_LINES).flatMap((line) => DELIMITERS.map((delimiter) => cellsOf(line.trim(), delimiter)));
  const longest = rows.reduce((best, row) => (row.length > best.length ? row : best), []);
  return longest.length > 1 ? [...new Set(longest.filter(Boolean))] : [];
}

/**
 * @param {string} line
 * @param {string} delimiter
 */
function cellsOf(line, delimiter) {
  const cells = [""];
  let isQuoted = false;
  for (const character of line) {
    if (character === '"') isQuoted = !isQuoted;
    else if (character === delimiter && !isQuoted) cells.push("");
    else cells[cells.length - 1] += character;
  }
  return cells.map((cell) => cell.trim());
}
