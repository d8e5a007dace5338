// The alert rules, shared by the components that show them.

import { get } from "../core/api.js";
import { ALERT_RULES } from "../core/paths.js";

/** @typedef {import("../core/feed.js").Rule & {id: number, paused: boolean, ended_at: string | null}} RecordedRule */

/** Emits `change` after every load. */
export class RuleBook extends EventTarget {
  /** @type {RecordedRule[]} */
  rules = [];

  /** @throws {import("../core/api.js").ApiError} */
  async load() {
    this.rules = await get(ALERT_RULES);
    this.dispatchEvent(new Event("change"));
  }

  /** The rules of one ticker. @param {string} ticker */
  of(ticker) {
    return this.rules.filter((rule) => rule.ticker === ticker);
  }
}
