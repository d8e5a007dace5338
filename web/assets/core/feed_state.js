// The state of the price feed, in the header.

import { byId, setText } from "./dom.js";
import { formatSpan } from "./time.js";

const TEXTS = {
  idle: "",
  connecting: "Connecting…",
  quiet: "Connected",
  live: "Live",
  stalled: "Stalled: no new prices",
  waiting: "Disconnected",
  offline: "Offline: check your network",
  refused: "No access to prices",
};

/** @param {import("./feed.js").Feed} feed */
export function showFeedState(feed) {
  const show = () => {
    byId("feed").dataset["state"] = feed.state;
    setText(byId("feed-state"), TEXTS[feed.state]);
    setText(byId("feed-age"), detail(feed));
    byId("feed-retry").hidden = feed.state !== "waiting" && feed.state !== "refused";
  };
  feed.addEventListener("state", show);
  byId("feed-retry").addEventListener("click", () => feed.connect());
  setInterval(show, 1_000);
}

/** @param {import("./feed.js").Feed} feed */
function detail(feed) {
  const age = Math.round((Date.now() - feed.heardAt) / 1_000);
  if (feed.state === "waiting") return `trying again in ${Math.max(0, Math.ceil((feed.retryAt - Date.now()) / 1_000))} s`;
  if (feed.state === "stalled") return `for ${formatSpan(age)}`;
  return "";
}
