// The entry point of the page.

import { byId, h, setText } from "./core/dom.js";
import { Feed } from "./core/feed.js";
import { showFeedState } from "./core/feed_state.js";
import { listen } from "./core/shortcuts.js";
import { foreignIssuer, isNeeded, prepare, signIn, signOut } from "./core/sign_in.js";
import { ZONE } from "./core/time.js";
import { showTitlesOnTouch } from "./core/tips.js";
import { Alerts } from "./prices/alerts.js";
import { Market } from "./prices/market.js";
import { RuleBook } from "./prices/rule_book.js";
import { Router } from "./router.js";
import { VIEWS } from "./views.js";

const feed = new Feed();
const market = new Market(feed);
const alerts = new Alerts(feed);
const router = new Router({ feed, market, alerts, book: new RuleBook() });

function askToSignIn() {
  byId("sign-out").hidden = true;
  router.replace(
    h(
      "section",
      { class: "panel centered" },
      h("h1", {}, "Sign in"),
      h("p", {}, "Only people with an account see the trades of this system."),
      h("button", { type: "button", class: "primary", onclick: signIn }, "Sign in"),
    ),
  );
}

/** @param {string} issuer */
function sayThatItCannotSignIn(issuer) {
  router.replace(
    h(
      "section",
      { class: "panel centered", role: "alert" },
      h("h1", {}, "This page cannot sign in here"),
      h("p", {}, "The system takes the tokens of ", h("strong", {}, issuer), ", and this page knows no way to get one. Programs that have such a token can use the API."),
    ),
  );
}

function sayThatItCannotStart() {
  router.replace(
    h(
      "section",
      { class: "panel centered", role: "alert" },
      h("h1", {}, "The page cannot start"),
      h("p", {}, navigator.onLine ? "The system does not answer." : "You are offline."),
      h("button", { type: "button", class: "primary", onclick: () => location.reload() }, "Try again"),
    ),
  );
}

async function start() {
  const showShortcuts = listen([
    ...VIEWS.map(({ name, title }, index) => ({ key: String(index + 1), text: title, run: () => (location.hash = `#/${name}`) })),
    { key: "/", text: "Search or filter", run: () => router.search() },
    { key: "n", text: "Record a trade", run: () => (location.hash = "#/trades?new") },
  ]);
  byId("show-shortcuts").addEventListener("click", showShortcuts);
  byId("sign-out").addEventListener("click", signOut);
  document.querySelector(".skip")?.addEventListener("click", (event) => {
    event.preventDefault(); // the hash is used to select the view
    byId("content").focus();
  });
  setText(byId("zone"), ZONE);
  showTitlesOnTouch();
  showFeedState(feed);
  try {
    if (!(await prepare(askToSignIn))) return askToSignIn();
  } catch (error) {
    sayThatItCannotStart();
    throw error;
  }
  const issuer = foreignIssuer();
  if (issuer) return sayThatItCannotSignIn(issuer);
  byId("sign-out").hidden = !isNeeded();
  feed.start();
  alerts.load();
  router.start();
}

start();
