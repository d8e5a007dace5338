// A webhook in the list: its status, actions and deliveries.

import { get, nextPage, patch, post, request } from "../core/api.js";
import { ask, h, setText } from "../core/dom.js";
import { act } from "../core/entry_form.js";
import { failureNotice } from "../core/failure.js";
import { webhook as path } from "../core/paths.js";
import { compareInstants, shortTimeElement } from "../core/time.js";
import { describeAttempt, describeEvent, describeSelection, describeState, STATUSES } from "./words.js";

/**
 * @typedef {import("./words.js").Webhook} Webhook
 * @typedef {import("./words.js").Delivery} Delivery
 */

export class WebhookItem {
  /** Newest first. @type {Delivery[]} */
  #deliveries = [];
  #next = "";
  #badge = h("span", {});
  #success = h("span", {});
  #pause = this.#button("", () => this.#act(() => this.#togglePause()));
  #list = h("ul", {});
  #older = this.#button("Show older ones", () => this.load(this.#next));
  #failure = h("div", {});
  #outcome = h("p", { class: "small", role: "status" });

  /**
   * @param {Webhook} webhook
   * @param {() => void} onDelete
   */
  constructor(webhook, onDelete) {
    this.webhook = webhook;
    this.path = path(webhook.id);
    this.onDelete = onDelete;
    const { url } = webhook;
    const shown = h("details", { ontoggle: () => shown.open && this.load() },
      h("summary", { "aria-label": `Deliveries: ${url}` }, "Deliveries"), this.#failure, this.#list, this.#older);
    this.element = h("li", {},
      h("p", {}, h("strong", {}, url), " ", this.#badge),
      h("p", { class: "muted small" }, describeSelection(webhook), " · ", this.#success),
      h("div", { class: "row" }, this.#button("Test", () => this.#act(() => this.#send("/test")), url), this.#pause, this.#button("Delete", () => this.#act(() => this.#delete()), url)),
      this.#outcome,
      shown);
    this.#paint();
    this.load();
  }

  /** Load the latest deliveries, or append a page of older ones. */
  async load(from = `${this.path}/deliveries?limit=20`) {
    try {
      const response = await request("GET", from);
      const found = await response.json();
      this.#deliveries = from === this.#next ? [...this.#deliveries, ...found] : found;
      this.#next = nextPage(response) ?? "";
      this.#failure.replaceChildren();
      this.#paint();
    } catch (error) {
      this.#failure.replaceChildren(failureNotice(error, () => this.load(from)));
    }
  }

  #paint() {
    const { url, paused, failing_since: failing } = this.webhook;
    setText(this.#badge, describeState(this.webhook));
    this.#badge.className = `badge ${paused ? "" : failing ? "voided" : "delivered"}`;
    const action = paused ? "Resume" : "Pause";
    setText(this.#pause, action);
    this.#pause.ariaLabel = `${action}: ${url}`;
    const successes = this.#deliveries.flatMap(({ attempts }) => attempts).filter(({ status }) => status && status >= 200 && status < 300);
    const latest = successes.map(({ attempted_at: at }) => at).sort(compareInstants).at(-1);
    this.#success.replaceChildren(...(latest ? ["last success ", shortTimeElement(latest)] : ["no success yet"]));
    this.#list.replaceChildren(...this.#deliveries.map((each) => this.#row(each)));
    if (!this.#deliveries.length) setText(this.#list.appendChild(h("li", {})), "Nothing was sent yet.");
    this.#older.hidden = !this.#next;
  }

  /** @param {Delivery} delivery */
  #row({ id, event, status, created_at: at, next_attempt_at: next, attempts }) {
    return h("li", {},
      h("div", { class: "row" }, h("span", {}, describeEvent(event), " ", shortTimeElement(at)), h("span", { class: `badge ${status}` }, STATUSES[status]),
        this.#button("Send again", () => this.#act(() => this.#send(`/deliveries/${id}/resend`)))),
      h("ol", { class: "muted small", "aria-label": "Attempts" },
        ...attempts.map((each) => h("li", {}, shortTimeElement(each.attempted_at), ` ${describeAttempt(each)}`)),
        next && h("li", {}, "Next attempt at ", shortTimeElement(next))));
  }

  async #togglePause() {
    this.webhook = await patch(this.path, { paused: !this.webhook.paused });
    this.#paint();
  }

  /** Send a request and show the resulting delivery and webhook state. @param {string} what */
  async #send(what) {
    /** @type {Delivery} */
    const delivery = await post(`${this.path}${what}`);
    this.webhook = await get(this.path);
    const place = this.#deliveries.findIndex(({ id }) => id === delivery.id);
    this.#deliveries.splice(Math.max(place, 0), place < 0 ? 0 : 1, delivery);
    this.#paint();
    this.#list.children[place]?.querySelector("button")?.focus(); // the clicked button has been removed
    this.#say(`${STATUSES[delivery.status]}: ${delivery.attempts.slice(-1).map(describeAttempt)}.`, delivery.status !== "delivered");
  }

  async #delete() {
    if (!(await ask(`Delete the webhook to ${this.webhook.url}? What was not delivered yet is not sent any more.`, "Delete"))) return;
    await request("DELETE", this.path);
    this.onDelete();
  }

  /** @param {() => Promise<void>} action */
  #act(action) {
    return act(action, (text, isBad) => this.#say(text, isBad));
  }

  #say(text = "", isBad = false) {
    this.#outcome.classList.toggle("bad", isBad);
    setText(this.#outcome, text);
  }

  /**
   * @param {string} text
   * @param {() => void} onclick
   * @param {string} [of] what the button applies to, if there are several
   */
  #button(text, onclick, of) {
    return h("button", { type: "button", class: "quiet", "aria-label": of && `${text}: ${of}`, onclick }, text);
  }
}
