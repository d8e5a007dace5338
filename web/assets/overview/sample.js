// Sample data for new users: trades in a separate account, a price history, and a day's analysis.

import { ApiError, pages, post, request } from "../core/api.js";
import { EXPORTS, history, TRADES, voidTrade } from "../core/paths.js";
import { DAY_MS, utcDay } from "../core/time.js";

export const SAMPLE_ACCOUNT = "sample";
const HISTORY_TICKER = "SAMPL";
const HISTORY_DAYS = 500;
const PAGE = 1_000;
const VOIDED_AT_ONCE = 8;

/** The sample trades: ticker, currency, approximate price, and [days ago, quantity] pairs; a sale is negative. */
const PLAN = /** @type {[string, string, number, [number, number][]][]} */ ([
  ["AAPL", "USD", 187.4, [[58, 60], [44, 40], [31, -50], [12, 30], [1, -20]]],
  ["MSFT", "USD", 428.1, [[55, 25], [37, 15], [20, -18], [1, 10]]],
  ["NVDA", "USD", 119.2, [[52, 120], [40, -60], [26, 80], [9, -70]]],
  ["AMZN", "USD", 179.6, [[49, 50], [29, -50], [15, 45]]],
  ["JPM", "USD", 198.3, [[46, 30], [24, -30]]],
  ["TSLA", "USD", 178.5, [[35, 40], [18, 25], [6, -45], [1, 15]]],
  ["SAP", "EUR", 171.9, [[42, 20], [22, 15], [5, -12]]],
]);

/** The trades share an attempt id, so that a trade that is sent again is recorded once. */
let attempt = crypto.randomUUID().slice(0, 8);

/**
 * Record the sample: its trades, a history, and the analysis of yesterday.
 * @throws {import("../core/api.js").ApiError}
 */
export async function recordSample() {
  await post(`${TRADES}/batch`, { trades: sampleTrades() });
  attempt = crypto.randomUUID().slice(0, 8);
  await request("PUT", history(HISTORY_TICKER), { body: sampleHistory(), type: "text/csv" });
  await post(EXPORTS, { date: utcDay(Date.now() - DAY_MS) });
}

/**
 * Void the sample trades and delete the history. Trades recorded manually in the same account are kept.
 * @throws {import("../core/api.js").ApiError}
 */
export async function takeSampleBack() {
  const ids = [];
  for await (const page of pages(`${TRADES}?account=${SAMPLE_ACCOUNT}&limit=${PAGE}`)) {
    for (const { id, client_trade_id: own } of page) if (own?.startsWith("sample-")) ids.push(id);
  }
  for (let start = 0; start < ids.length; start += VOIDED_AT_ONCE) {
    await Promise.all(ids.slice(start, start + VOIDED_AT_ONCE).map((id) => post(voidTrade(id), { reason: "Sample data, taken back" })));
  }
  try {
    await request("DELETE", history(HISTORY_TICKER));
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
  }
}

function sampleTrades() {
  return PLAN.flatMap(([ticker, currency, price, trades]) =>
    trades.map(([age, shares], index) => ({
      ticker,
      currency,
      account: SAMPLE_ACCOUNT,
      side: shares > 0 ? "BUY" : "SELL",
      quantity: Math.abs(shares),
      price: (price * (1 - age / 900 + Math.sin(age * 1.7) / 25)).toFixed(2),
      fee: "1.00",
      timestamp: new Date(startOfUtcDay() - age * DAY_MS + (14 + index) * 3_600_000 + age * 60_000).toISOString(),
      tags: [shares > 0 ? "entry" : "exit"],
      note: index === 0 ? "A sample: take it back in the overview" : null,
      client_trade_id: `sample-${attempt}-${ticker}-${index}`,
    })));
}

function startOfUtcDay() {
  return Math.floor(Date.now() / DAY_MS) * DAY_MS;
}

/** Return daily prices that rise and fall so that moving averages cross. */
function sampleHistory() {
  const lines = Array.from({ length: HISTORY_DAYS }, (_, day) => {
    const price = 100 + day / 12 + 14 * Math.sin(day / 23) + 5 * Math.sin(day / 5.3);
    return `${utcDay(startOfUtcDay() - (HISTORY_DAYS - day) * DAY_MS)},${price.toFixed(2)},${(price + Math.sin(day)).toFixed(2)}`;
  });
  return ["date,open,close", ...lines, ""].join("\n");
}
