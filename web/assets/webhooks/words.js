// Text descriptions of webhooks and their deliveries.

/**
 * @typedef {{id: string, kind: string, url: string, events: string[] | null, ticker: string | null, account: string | null, rule_id: number | null, paused: boolean, paused_because: keyof typeof PAUSED | null, failing_since: string | null}} Webhook
 * @typedef {{attempted_at: string, status: number | null, milliseconds: number, error: string | null}} Attempt
 * @typedef {{id: string, event: string, status: keyof typeof STATUSES, created_at: string, next_attempt_at: string | null, attempts: Attempt[]}} Delivery
 */

/** @type {Record<string, string>} */
export const KINDS = { standard: "Signed JSON", slack: "Slack", telegram: "Telegram" };
export const STATUSES = { pending: "Waiting", delivered: "Delivered", failed: "Not delivered" };
const PAUSED = { requested: "Paused", gone: "Paused: its receiver is gone", failing: "Paused: it failed for five days" };

/** Format an event type: "Trade recorded". @param {string} type such as trade.recorded.v1 */
export function describeEvent(type) {
  const [what = "", happened] = type.split(".");
  return `${what.charAt(0).toUpperCase()}${what.slice(1)} ${happened}`;
}

/** Describe the events a webhook receives and their format. @param {Webhook} webhook */
export function describeSelection({ kind, events, ticker, account, rule_id: rule }) {
  return [KINDS[kind], events?.map(describeEvent).join(", ") ?? "Every event", ticker, account && `account ${account}`, rule && `rule ${rule}`].filter(Boolean).join(" · ");
}

/** @param {Webhook} webhook */
export function describeState({ paused_because: reason, failing_since: failing }) {
  return reason ? PAUSED[reason] : failing ? "Failing" : "Active";
}

/** Describe a receiver's response: "HTTP 200 after 12 ms". @param {Attempt} attempt */
export function describeAttempt({ status, error, milliseconds }) {
  return `${status ? `HTTP ${status}` : error} after ${milliseconds} ms`;
}
