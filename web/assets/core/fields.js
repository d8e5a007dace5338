// Form fields: a label, an input, and space reserved for an error, so that an error shifts no layout.

import { h, setText } from "./dom.js";
import { inPlainWords } from "./words.js";

/** @typedef {import("./api.js").FieldError} FieldError */
/** @typedef {HTMLInputElement | HTMLSelectElement} Input */
/** @typedef {{element: HTMLElement, input: Input, setError: (text: string) => void}} Field */

let count = 0;

/**
 * @param {string} label
 * @param {Input} input
 * @param {string | Node} [hint]
 * @returns {Field}
 */
export function field(label, input, hint = "") {
  count += 1;
  input.id = `field-${count}`;
  const error = h("span", { class: "error", id: `error-${count}` });
  input.setAttribute("aria-describedby", error.id);
  const element = h("div", { class: "field" }, h("label", { for: input.id }, label, " ", h("small", {}, hint)), input, error);
  const setError = (/** @type {string} */ text) => {
    setText(error, text);
    error.title = text;
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  return { element, input, setError };
}

/** @param {Record<string, string | boolean>} [attributes] */
export function tickerInput(attributes = {}) {
  return h("input", { name: "ticker", class: "upper", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", maxlength: 10, ...attributes });
}

/**
 * Show each error under its field and return those that belong to no field.
 * @param {Record<string, Field>} fields by their API names
 * @param {FieldError[]} errors
 * @returns {string[]}
 */
export function showErrors(fields, errors) {
  for (const [name, each] of Object.entries(fields)) {
    const error = errors.find((candidate) => candidate.field === name);
    each.setError(error ? inPlainWords(name, error.message) : "");
  }
  return errors.filter(({ field: name }) => !(name in fields)).map(({ field: name, message }) => (name === "body" ? "" : `${name}: `) + inPlainWords(name, message));
}

/** Focus the first field with an error. @param {Record<string, Field>} fields */
export function focusFirstError(fields) {
  Object.values(fields).find(({ input }) => input.hasAttribute("aria-invalid"))?.input.focus();
}

/**
 * Return what is wrong with a typed date. To a script, an incomplete or impossible date looks like an empty one.
 * @param {Input} input
 */
export function dateError(input) {
  return input.validity.badInput ? "Incomplete, or no such date." : "";
}
