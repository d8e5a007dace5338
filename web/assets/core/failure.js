// A failed request on the page: what happened, and how to continue.

import { ApiError } from "./api.js";
import { h, setText } from "./dom.js";

/**
 * Create a notice of a failure with a retry button. A temporary failure is retried automatically for as long as the
 * notice is on the page.
 * @param {unknown} error
 * @param {() => unknown} retry
 * @throws an error other than a failed request, which is a bug in this page
 */
export function failureNotice(error, retry) {
  if (!(error instanceof ApiError)) throw error;
  const wait = h("span", { class: "muted" });
  const again = () => {
    clearInterval(timer);
    retry();
  };
  const notice = h(
    "div",
    { class: "notice failure", role: "alert" },
    h("p", {}, `${error.message} `, wait),
    h("button", { type: "button", onclick: again }, "Try again"),
  );
  let seconds = error.retryAfter;
  const count = () => {
    setText(wait, `Trying again in ${seconds} s.`);
    if (seconds <= 0) again();
    seconds -= 1;
  };
  const timer = error.isTemporary ? setInterval(() => (notice.isConnected ? count() : clearInterval(timer)), 1_000) : undefined;
  if (error.isTemporary) count();
  return notice;
}
