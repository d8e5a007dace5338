// The overview: positions, their value, realized profit, and the latest activity.

import { get, pages } from "../core/api.js";
import { isWatched } from "../core/attention.js";
import { h, segments, setText } from "../core/dom.js";
import { failureNotice } from "../core/failure.js";
import { formatCount, formatPlural } from "../core/format.js";
import { PORTFOLIO, POSITIONS, PROFIT, TRADES } from "../core/paths.js";
import { alertList } from "../prices/alert_list.js";
import { PositionDialog } from "./position_dialog.js";
import { atPrices, atTick, isOpen, keyOf } from "./positions.js";
import { PositionsTable } from "./positions_table.js";
import { ProfitPanel } from "./profit_panel.js";
import { RecentTrades } from "./recent_trades.js";
import { recordSample, SAMPLE_ACCOUNT, takeSampleBack } from "./sample.js";
import { Totals } from "./totals.js";

const PAGE = 1_000;
const RECENT = 8;
const NEW_MS = 5_000;
const ALL_MS = 30_000; // full reload interval: voided or backdated trades are not among the latest

/**
 * @typedef {import("./positions.js").Position} Position
 * @typedef {import("./positions.js").Total} Total
 * @typedef {import("../trades/trade.js").Trade} Trade
 * @typedef {"open" | "closed" | "all"} Which
 */

/** @type {Record<Which, (position: Position) => boolean>} */
const WHICH = { open: isOpen, closed: (position) => !isOpen(position), all: () => true };

/** @param {import("../views.js").Context} context */
export function create(context) {
  return new OverviewView(context);
}

class OverviewView {
  /** All accounts' positions, at the prices when they were read. @type {Position[]} */
  #positions = [];
  /** @type {Total[]} */
  #totals = [];
  #account = "";
  /** @type {Which} */
  #which = "open";
  /** The ids of the latest trades. */
  #latest = "";
  #readAt = -Infinity;
  #isVisible = false;
  #isPainting = false;
  #search = new AbortController();
  /** The key of the position whose window the URL requests. */
  #wanted = "";
  /** @type {{key: string, dialog: PositionDialog} | null} */
  #open = null;

  #totalsPanel = new Totals();
  /** @type {PositionsTable} */
  #table;
  #profit = new ProfitPanel();
  #recent = new RecentTrades();
  #accounts = h("select", { "aria-label": "Account", hidden: true, onchange: () => this.#go(null, this.#accounts.value) });
  #choice = segments("Which positions", /** @type {[Which, string][]} */ ([["open", "Open"], ["closed", "Closed"], ["all", "All"]]), (which) => {
    this.#which = which;
    this.#list();
  });
  #state = h("p", { class: "notice", role: "status", id: "overview-state" }, "Loading your positions…");
  #failure = h("div", {});
  #count = h("p", { class: "muted small", id: "positions-count" });
  #scroll = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of positions" });
  #held = h(
    "section",
    { class: "panel", hidden: true, "aria-labelledby": "positions-title" },
    h("div", { class: "panel-head" }, h("h2", { id: "positions-title" }, "Positions"), this.#choice.element),
    this.#scroll,
    this.#count,
  );
  #start = h(
    "section",
    { class: "panel start", hidden: true, "aria-labelledby": "start-title" },
    h("h2", { id: "start-title" }, "There are no trades yet"),
    h("p", { class: "muted" }, "Record the first one, and this page shows what you hold, what it is worth, and what it has earned."),
    h("div", { class: "row" }, h("a", { class: "button primary", href: "#/trades?new" }, "Record a trade"),
      h("a", { class: "button", href: "#/import" }, "Import a broker’s file"),
      h("button", { type: "button", onclick: () => this.#change(recordSample, "Recording sample data…") }, "Try it with sample data"),
      h("a", { class: "button", href: "#/prices" }, "Watch prices")),
    h("p", { class: "muted small" }, `The sample is an account of its own, ${SAMPLE_ACCOUNT}, and can be taken back.`),
  );
  #sample = h(
    "p",
    { class: "notice", hidden: true },
    `The account ${SAMPLE_ACCOUNT} has sample data. `,
    h("button", { type: "button", class: "quiet", onclick: () => this.#change(takeSampleBack, "Taking the sample back…") }, "Take it back"),
  );

  /** @param {import("../views.js").Context} context */
  constructor(context) {
    const { market, alerts, book } = context;
    this.context = context;
    this.market = market;
    this.#table = new PositionsTable(market, (position) => this.#go(position));
    this.#scroll.append(this.#table.element);
    this.#choice.select("open");
    this.element = h(
      "div",
      { class: "view overview", "aria-busy": "true" },
      h(
        "div",
        { class: "column" },
        h(
          "section",
          { class: "panel", "aria-labelledby": "overview-title" },
          h("div", { class: "panel-head" }, h("h1", { id: "overview-title" }, "Overview"), this.#accounts),
          this.#totalsPanel.element,
          this.#failure,
          this.#state,
          this.#sample,
        ),
        this.#start,
        this.#held,
        this.#profit.element,
      ),
      h("div", { class: "column" }, this.#recent.element, alertList(alerts, book)),
    );
    this.#profit.element.hidden = this.#recent.element.hidden = true;
    market.addEventListener("ticks", () => this.#paintSoon());
    setInterval(() => this.#isVisible && isWatched() && this.#loadNew(), NEW_MS);
  }

  /** @param {URLSearchParams} parameters an account and a position to open */
  show(parameters) {
    this.#isVisible = true;
    const account = parameters.get("account") ?? "";
    const isOther = account !== this.#account;
    this.#account = account;
    this.#wanted = ["of", "ticker", "currency"].map((name) => parameters.get(name)).join(" ");
    this.#showPosition();
    if (isOther || this.#readAt === -Infinity) this.#load();
    else this.#loadNew();
  }

  hide() {
    this.#isVisible = false;
    this.#wanted = "";
    this.#showPosition();
  }

  search() {
    this.#accounts.focus();
  }

  /**
   * @param {Position | null} position
   * @param {string} [account]
   */
  #go(position, account = this.#account) {
    const parts = { account, ...(position ? { of: position.account, ticker: position.ticker, currency: position.currency } : {}) };
    const query = new URLSearchParams(Object.entries(parts).filter(([, value]) => value)).toString();
    location.hash = `#/overview${query ? `?${query}` : ""}`;
  }

  /** @param {string} path */
  #ofAccount(path) {
    return this.#account ? `${path}${path.includes("?") ? "&" : "?"}account=${encodeURIComponent(this.#account)}` : path;
  }

  /** Load everything. */
  async #load() {
    this.#search.abort();
    this.#search = new AbortController();
    const { signal } = this.#search;
    this.#readAt = Date.now();
    try {
      const [positions, totals, days, trades] = await Promise.all([
        readAll(`${POSITIONS}?limit=${PAGE}`, signal),
        get(this.#ofAccount(PORTFOLIO), signal),
        get(this.#ofAccount(`${PROFIT}?by=day`), signal),
        get(this.#ofAccount(`${TRADES}?limit=${RECENT}`), signal),
      ]);
      this.#positions = positions;
      this.#totals = totals;
      this.#failure.replaceChildren();
      setText(this.#state, "");
      this.#showAccounts();
      this.#showTrades(trades);
      this.#profit.element.hidden = days.length === 0;
      if (days.length) this.#profit.fill(days);
      this.#start.hidden = positions.some(({ trade_count: count }) => count > 0);
      this.#sample.hidden = !positions.some(({ account, trade_count: count }) => account === SAMPLE_ACCOUNT && count > 0);
      this.#held.hidden = !this.#start.hidden;
      this.#list();
      this.#showPosition();
      this.#fillLines();
    } catch (error) {
      if (signal.aborted) return;
      setText(this.#state, "");
      this.#failure.replaceChildren(failureNotice(error, () => !signal.aborted && this.#load()));
    }
    this.element.removeAttribute("aria-busy");
  }

  /**
   * Run an action that changes the data, then reload the view.
   * @param {() => Promise<void>} action
   * @param {string} doing
   */
  async #change(action, doing) {
    setText(this.#state, doing);
    this.#start.inert = this.#sample.inert = true;
    try {
      await action();
      await this.#load();
    } catch (error) {
      setText(this.#state, "");
      this.#failure.replaceChildren(failureNotice(error, () => this.#change(action, doing)));
    } finally {
      this.#start.inert = this.#sample.inert = false;
    }
  }

  /** Load the latest trades, and everything else if they have changed or the last full load was long ago. */
  async #loadNew() {
    if (this.#failure.hasChildNodes()) return; // it retries automatically
    if (Date.now() - this.#readAt > ALL_MS) return this.#load();
    const { signal } = this.#search;
    try {
      /** @type {Trade[]} */
      const trades = await get(this.#ofAccount(`${TRADES}?limit=${RECENT}`), signal);
      if (!signal.aborted && trades.map(({ id }) => id).join() !== this.#latest) await this.#load();
    } catch {
      // The next poll retries.
    }
  }

  /** Load the last hour of each held ticker in turn, if not yet loaded. */
  async #fillLines() {
    const held = new Set(this.#positions.filter((each) => isOpen(each) && each.price_source === "tick").map(({ ticker }) => ticker));
    for (const ticker of held) {
      if (this.market.isFilled(ticker)) continue;
      if (!this.#isVisible || !(await this.market.fill(ticker))) return;
      this.#paintSoon();
    }
  }

  /** @param {Trade[]} trades */
  #showTrades(trades) {
    this.#latest = trades.map(({ id }) => id).join();
    this.#recent.element.hidden = trades.length === 0;
    this.#recent.show(trades);
  }

  #showAccounts() {
    const accounts = [...new Set([...this.#positions.map(({ account }) => account), ...(this.#account ? [this.#account] : [])])].sort();
    this.#accounts.hidden = accounts.length < 2;
    this.#accounts.replaceChildren(h("option", { value: "" }, "All accounts"), ...accounts.map((account) => h("option", { value: account }, account)));
    this.#accounts.value = this.#account;
  }

  /** The account's positions at the latest prices. */
  #live() {
    return this.#positions
      .filter(({ account }) => !this.#account || account === this.#account)
      .map((position) => atTick(position, this.market.stocks.get(position.ticker)?.latest));
  }

  /** List the positions. */
  #list() {
    this.#choice.select(this.#which);
    const all = this.#live();
    const shown = all.filter(WHICH[this.#which]);
    this.#scroll.hidden = shown.length === 0;
    this.#table.list(shown);
    const open = all.filter(isOpen).length;
    setText(this.#count, `${formatPlural(open, "open position")}, ${formatCount(all.length - open)} closed.`);
    this.#paint();
  }

  /** Repaint at most once per frame, however many prices arrive. */
  #paintSoon() {
    if (this.#isPainting || !this.#isVisible) return;
    this.#isPainting = true;
    requestAnimationFrame(() => {
      this.#isPainting = false;
      this.#paint();
    });
  }

  /** Update all values. */
  #paint() {
    const live = this.#live();
    this.#totalsPanel.show(atPrices(this.#totals, live));
    this.#table.update(live.filter(WHICH[this.#which]));
    const open = live.find((position) => keyOf(position) === this.#open?.key);
    if (open) this.#open?.dialog.update(open);
  }

  /** Open the window of the requested position and close any other. */
  #showPosition() {
    if (this.#open?.key === this.#wanted) return;
    const { dialog } = this.#open ?? {};
    this.#open = null;
    dialog?.close();
    const position = this.#positions.find((each) => keyOf(each) === this.#wanted);
    if (!position) return;
    this.#open = {
      key: this.#wanted,
      dialog: new PositionDialog(position, this.context, () => {
        const isClosedHere = this.#open?.key === keyOf(position);
        this.#open = null;
        if (isClosedHere) this.#go(null);
      }),
    };
    this.#paint();
  }
}

/**
 * @param {string} path
 * @param {AbortSignal} signal
 * @returns {Promise<Position[]>} from all pages
 */
async function readAll(path, signal) {
  const all = [];
  for await (const page of pages(path, signal)) all.push(...page);
  return all;
}
