// A form that is submitted once at a time and shows the result.

import { ApiError } from "./api.js";
import { h, setText } from "./dom.js";
import { focusFirstError, showErrors } from "./fields.js";

/**
 * @param {string} action label of its button
 * @param {Record<string, import("./fields.js").Field>} fields by their API names
 * @param {Node[]} content
 * @param {() => Promise<string | void> | null} send returns the message to show, or null if a field is invalid
 * @param {string} [retryHint] shown after a temporary failure
 */
export function entryForm(action, fields, content, send, retryHint = "") {
  const outcome = h("p", { class: "outcome", role: "status" });
  const submit = h("button", { type: "submit", class: "primary" }, action);
  const say = (/** @type {string} */ text, isBad = false) => {
    outcome.classList.toggle("bad", isBad);
    setText(outcome, text);
  };
  const onsubmit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (submit.disabled) return;
    submit.disabled = true;
    try {
      const sent = send();
      if (!sent) return say("Fix the highlighted fields.", true);
      const text = await sent;
      showErrors(fields, []);
      say(text ?? "");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const errors = error.errors.map(({ field: name, message }) => ({ field: name.replace(/\[\d+\]$/, ""), message }));
      const elsewhere = showErrors(fields, errors);
      if (elsewhere.length < errors.length) elsewhere.unshift("Fix the highlighted fields.");
      say(errors.length ? elsewhere.join(" ") : `${error.message}${error.isTemporary ? retryHint : ""}`, true);
      focusFirstError(fields);
    } finally {
      submit.disabled = false;
    }
  };
  const element = h("form", { class: "change-form", novalidate: true, "aria-label": action, onsubmit }, ...content, h("div", { class: "row" }, submit), outcome);
  return { element, say };
}

/**
 * Run a button's action and show the reason if it fails.
 * @param {() => Promise<unknown>} action
 * @param {(text: string, isBad?: boolean) => void} say
 */
export async function act(action, say) {
  say("");
  try {
    await action();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    say(error.message, true);
  }
}
