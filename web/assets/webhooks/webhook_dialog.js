// The webhooks window: the list of webhooks and a form that adds one.

import { ApiError, get, post } from "../core/api.js";
import { openDialog } from "../core/dialog.js";
import { h } from "../core/dom.js";
import { entryForm } from "../core/entry_form.js";
import { failureNotice } from "../core/failure.js";
import { field, tickerInput } from "../core/fields.js";
import { ALERT_RULES, WEBHOOKS } from "../core/paths.js";
import { describeRule } from "../prices/rules.js";
import { WebhookItem } from "./webhook_item.js";
import { describeEvent, KINDS } from "./words.js";

const EVENTS = ["trade.recorded.v1", "trade.voided.v1", "trade.corrected.v1", "import.completed.v1", "import.voided.v1", "price.alerted.v1"];

/** Open the webhooks window. */
export function openWebhooks() {
  new WebhookDialog();
}

class WebhookDialog {
  #none = h("li", { class: "muted" }, "Loading…");
  #list = h("ul", { class: "webhooks", "aria-label": "Webhooks" }, this.#none);
  #secret = h("div", {});
  #kind = h("select", { name: "kind", onchange: () => this.#showFields() }, ...Object.entries(KINDS).map(([value, text]) => h("option", { value }, text)));
  #rule = h("select", { name: "rule_id" }, h("option", { value: "" }, "Any"));
  #fields = {
    url: field("URL", h("input", { name: "url", inputmode: "url", autocomplete: "off", placeholder: "https://example.com/hooks" })),
    kind: field("Format", this.#kind),
    chat_id: field("Chat", h("input", { name: "chat_id", autocomplete: "off", placeholder: "-1001234567890" }), "or @channel"),
    ticker: field("Ticker", tickerInput({ placeholder: "Any" })),
    account: field("Account", h("input", { name: "account", autocomplete: "off", placeholder: "Any" })),
    rule_id: field("Alert rule", this.#rule),
  };
  #form = entryForm("Add the webhook", this.#fields, [
    h("div", { class: "fields" }, ...Object.values(this.#fields).map(({ element }) => element)),
    h("fieldset", { class: "chips" }, h("legend", {}, "Events ", h("small", {}, "or none for every one")),
      ...EVENTS.map((value) => h("label", { class: "check" }, h("input", { type: "checkbox", name: "events", value }), describeEvent(value)))),
  ], () => this.#add());

  constructor() {
    this.#showFields();
    openDialog("Webhooks", [this.#list, this.#secret, this.#form.element]);
    this.#load();
  }

  async #load() {
    try {
      const [webhooks, rules] = await Promise.all([get(WEBHOOKS), get(ALERT_RULES)]);
      this.#rule.append(...rules.map((/** @type {import("../prices/rule_book.js").RecordedRule} */ rule) => h("option", { value: rule.id }, `${rule.ticker} ${describeRule(rule)}`)));
      this.#none.replaceChildren("There are no webhooks. One sends events to a program, Slack or Telegram.");
      webhooks.forEach((/** @type {import("./words.js").Webhook} */ each) => this.#show(each));
    } catch (error) {
      const isForbidden = error instanceof ApiError && error.status === 403;
      this.#form.element.hidden = isForbidden;
      this.#none.replaceChildren(isForbidden ? "Signing in here does not give access to webhooks. The scope webhooks:write does: use ./trading webhooks." : failureNotice(error, () => this.#load()));
    }
  }

  /** @param {import("./words.js").Webhook} webhook */
  #show(webhook) {
    const item = new WebhookItem(webhook, () => {
      item.element.remove();
      this.#none.hidden = this.#list.children.length > 1;
      this.#form.say("The webhook is deleted.");
      this.#fields.url.input.focus(); // the clicked button has been removed
    });
    this.#none.hidden = true;
    this.#list.append(item.element);
  }

  async #add() {
    const { rule_id: rule, ticker = "", events: _, ...others } = this.#values();
    const events = new FormData(this.#form.element).getAll("events");
    const { secret, ...webhook } = await post(WEBHOOKS, {
      ...others,
      ...(ticker && { ticker: ticker.toUpperCase() }),
      ...(rule && { rule_id: Number(rule) }),
      ...(events.length && { events }),
    });
    this.#form.element.reset();
    this.#showFields();
    this.#show(webhook);
    this.#showSecret(secret);
    return "The webhook is sent events from now on.";
  }

  /** The form's values. @returns {Record<string, string>} */
  #values() {
    return Object.fromEntries([...new FormData(this.#form.element)].map(([name, value]) => [name, String(value).trim()]).filter(([, text]) => text));
  }

  /** @param {string | null} secret */
  #showSecret(secret) {
    this.#secret.replaceChildren();
    if (!secret) return;
    const shown = h("input", { readonly: true, value: secret, "aria-label": "Secret" });
    const copy = () => {
      shown.select(); // lets the user copy if the browser blocks the page from doing so
      return navigator.clipboard.writeText(secret).then(() => this.#form.say("The secret is copied."), () => this.#form.say("Copy what is selected."));
    };
    this.#secret.append(h("div", { class: "change-form" },
      h("p", {}, "The secret of the new webhook, which is not shown again: store it where your receiver can read it."),
      h("div", { class: "row secret" }, shown, h("button", { type: "button", onclick: copy }, "Copy"))));
    shown.focus();
  }

  #showFields() {
    const { element, input } = this.#fields.chat_id;
    element.hidden = input.disabled = this.#kind.value !== "telegram"; // disabled fields are not sent
  }
}
