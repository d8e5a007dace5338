// The page: which view is shown, the state of the feed, and who is signed in.

import { Alerts } from "./alerts.js";
import { byId, setText } from "./dom.js";
import { Feed } from "./feed.js";
import { isNeeded, prepare, signIn, signOut } from "./sign_in.js";

/** @typedef {{show: (parameters: URLSearchParams) => unknown, hide: () => void}} View */

const feed = new Feed();
const alerts = new Alerts();
/** Views are loaded when they are first looked at. @type {Record<string, () => Promise<View>>} */
const LOADERS = {
  prices: async () => new (await import("./prices.js")).PricesView(feed, alerts),
  trades: async () => new (await import("./trades.js")).TradesView(),
  analysis: async () => new (await import("./analysis.js")).AnalysisView(),
  simulation: async () => new (await import("./simulation.js")).SimulationView(),
};
const FIRST = "prices";
/** @type {Record<string, Promise<View>>} */
const views = {};
/** @type {Set<string>} */
const isReady = new Set();
let shown = "";

/** Show the view that the URL names. */
async function route() {
  const [path = "", query = ""] = location.hash.replace(/^#\//, "").split("?");
  const name = path in LOADERS ? path : FIRST;
  const isAnother = name !== shown;
  if (isAnother) {
    if (shown) (await views[shown])?.hide();
    shown = name;
    for (const section of document.querySelectorAll("main > .view")) /** @type {HTMLElement} */ (section).hidden = section.id !== name;
    for (const link of document.querySelectorAll("nav a")) {
      if (link.getAttribute("href") === `#/${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = `${name.charAt(0).toUpperCase()}${name.slice(1)} · Trading`;
  }
  const section = byId(name);
  section.inert = !isReady.has(name); // until its script listens, a form would send itself
  const view = await (views[name] ??= /** @type {() => Promise<View>} */ (LOADERS[name])());
  isReady.add(name);
  section.inert = false;
  if (shown === name) view.show(new URLSearchParams(query));
}

function showFeed() {
  const state = feed.state;
  byId("feed").dataset["state"] = state;
  const wait = Math.max(0, Math.ceil((feed.retryAt - Date.now()) / 1_000));
  const age = Math.round((Date.now() - feed.heardAt) / 1_000);
  const texts = {
    connecting: "Connecting…",
    quiet: "Connected",
    live: "Live",
    stalled: "Stalled: no new prices",
    waiting: "Disconnected, trying again",
    offline: "Offline: check your network",
  };
  setText(byId("feed-state"), texts[state]);
  setText(byId("feed-age"), state === "waiting" ? `in ${wait} s` : feed.heardAt ? (age < 2 ? "now" : age < 100 ? `${age} s ago` : `${Math.round(age / 60)} min ago`) : "");
  byId("feed-retry").hidden = state !== "waiting";
}

function askToSignIn() {
  for (const section of document.querySelectorAll("main > .view")) /** @type {HTMLElement} */ (section).hidden = section.id !== "signing-in";
  shown = "";
  byId("sign-out").hidden = true;
}

async function start() {
  addEventListener("hashchange", route);
  feed.addEventListener("state", showFeed);
  feed.addEventListener("missed", () => alerts.load());
  feed.addEventListener("alert", (event) => alerts.tell(/** @type {CustomEvent} */ (event).detail));
  byId("feed-retry").addEventListener("click", () => feed.connect());
  byId("sign-in").addEventListener("click", signIn);
  byId("sign-out").addEventListener("click", signOut);
  document.querySelector(".skip")?.addEventListener("click", (event) => {
    event.preventDefault(); // the hash names the view
    byId("content").focus();
  });
  setText(byId("zone"), Intl.DateTimeFormat().resolvedOptions().timeZone);
  if (!(await prepare(askToSignIn))) return askToSignIn();
  byId("sign-out").hidden = !isNeeded();
  feed.start();
  setInterval(showFeed, 1_000);
  alerts.load();
  await route();
}

start();
