// Navigation: the URL's hash selects a view and its parameters.

import { byId, h } from "./core/dom.js";
import { VIEWS } from "./views.js";

/** @typedef {import("./views.js").View} View */
/** @typedef {import("./views.js").Context} Context */

export class Router {
  /** @type {Map<string, View>} */
  #views = new Map();
  /** @type {View | null} */
  #shown = null;
  #name = "";
  #failures = 0;

  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    byId("views").append(...VIEWS.map(({ name, title }) => h("a", { href: `#/${name}` }, title)));
  }

  start() {
    addEventListener("hashchange", () => this.show());
    this.show();
  }

  /** Show the view that the URL selects. */
  async show() {
    const [path = "", query = ""] = location.hash.replace(/^#\//, "").split("?");
    const wanted = /** @type {typeof VIEWS[number]} */ (VIEWS.find(({ name }) => name === path) ?? VIEWS[0]);
    this.#name = wanted.name;
    this.#markLink(wanted);
    let view = this.#views.get(wanted.name);
    if (!view) {
      try {
        const module = await wanted.load(this.#failures ? `?again=${this.#failures}` : "");
        view = this.#views.get(wanted.name) ?? module.create(this.context);
        this.#views.set(wanted.name, view);
      } catch (error) {
        if (this.#name === wanted.name) this.#fail(wanted.title);
        if (!(error instanceof TypeError)) throw error; // a failed load is a TypeError; the rest is a bug
        return;
      }
      if (this.#name !== wanted.name) return; // the user has navigated away in the meantime
    }
    if (view !== this.#shown) {
      this.#shown?.hide?.();
      byId("content").replaceChildren(view.element);
      this.#shown = view;
    }
    view.show(new URLSearchParams(query));
  }

  /** Show an element instead of any view until the URL changes. @param {HTMLElement} element */
  replace(element) {
    this.#shown?.hide?.();
    this.#shown = null;
    this.#name = "";
    byId("content").replaceChildren(element);
  }

  search() {
    this.#shown?.search?.();
  }

  /** @param {typeof VIEWS[number]} wanted */
  #markLink({ name, title }) {
    for (const link of byId("views").children) {
      if (link.getAttribute("href") === `#/${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = `${title} · Trading`;
  }

  /** @param {string} title */
  #fail(title) {
    this.#failures += 1;
    this.#shown?.hide?.();
    this.#shown = null;
    byId("content").replaceChildren(
      h(
        "section",
        { class: "panel centered", role: "alert" },
        h("h1", {}, `${title} could not be loaded`),
        h("p", {}, navigator.onLine ? "The system does not answer, or there is a newer version of this page." : "You are offline. The other views go on."),
        h(
          "div",
          { class: "row" },
          h("button", { type: "button", class: "primary", onclick: () => this.show() }, "Try again"),
          h("button", { type: "button", onclick: () => location.reload() }, "Reload the page"),
        ),
      ),
    );
  }
}
