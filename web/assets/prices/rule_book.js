// The alert rules that there are, for whoever shows them.

import { get } from "../core/api.js";
import { ALERT_RULES } from "../core/paths.js";

/** @typedef {import("../core/feed.js").Rule & {id: number, paused: boolean, ended_at: string | null}} RecordedRule */

/** An event `change` follows whenever they were read. */
export class RuleBook extends EventTarget {
  /** @type {RecordedRule[]} */
  rules = [];

  /** @throws {import("../core/api.js").ApiError} */
  async load() {
    this.rules = await get(ALERT_RULES);
    this.dispatchEvent(new Event("change"));
  }

  /** The rules of a ticker alone. @param {string} ticker */
  of(ticker) {
    return this.rules.filter((rule) => rule.ticker === ticker);
  }
}
