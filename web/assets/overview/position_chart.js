// The chart of a position's ticker, with the trades of its account, alerts, and the price levels of alert rules.

import { get } from "../core/api.js";
import { loadLibrary } from "../charts/library.js";
import { h } from "../core/dom.js";
import { formatPlural } from "../core/format.js";
import { TRADES } from "../core/paths.js";
import { PriceChart } from "../prices/chart.js";

const TRADES_SHOWN = 1_000;

/**
 * Return a section that stays empty until there is something to show: a position that was never priced has no chart.
 * @param {import("./positions.js").Position} position
 * @param {import("../views.js").Context} context
 * @param {AbortSignal} signal removes the chart
 */
export function positionChart({ account, ticker, currency }, { market, alerts, book }, signal) {
  const canvas = h("div", { class: "chart", role: "img" });
  const element = h("section", { class: "part", hidden: true, "aria-label": "Prices and trades" }, canvas);
  const load = async () => {
    const query = new URLSearchParams({ ticker, account, limit: String(TRADES_SHOWN) });
    const [library, all] = await Promise.all([loadLibrary(), get(`${TRADES}?${query}`, signal), market.fill(ticker, 0), book.load()]);
    const stock = market.stock(ticker);
    if (signal.aborted || stock.bars.size === 0) return;
    element.hidden = false;
    const chart = new PriceChart(library, canvas, () => {}, signal);
    const trades = all.filter((/** @type {import("../trades/trade.js").Trade} */ trade) => trade.currency === currency);
    chart.draw(stock, "hour", "candles", { trades, alerts: alerts.shown.filter((alert) => alert.ticker === ticker), rules: book.of(ticker) });
    canvas.setAttribute("aria-label", `${ticker}: ${formatPlural(trades.length, "trade")}`);
    market.addEventListener("ticks", () => chart.update(), { signal });
  };
  load().catch(() => {}); // the window still shows the figures and a link to the chart
  return element;
}
