// The views of the page, in navigation order; the first one is shown if the URL selects none.

/**
 * Parameter and result of `create`, which each view's module exports.
 * @typedef {{
 *   feed: import("./core/feed.js").Feed,
 *   market: import("./prices/market.js").Market,
 *   alerts: import("./prices/alerts.js").Alerts,
 *   book: import("./prices/rule_book.js").RuleBook,
 * }} Context
 * @typedef {{
 *   element: HTMLElement,
 *   show: (parameters: URLSearchParams) => unknown,
 *   hide?: () => void,
 *   search?: () => void,
 * }} View `search` focuses the view's search field
 */

/**
 * A module is loaded when its view is first shown. `again` changes its URL because browsers cache a failed load.
 * @type {{name: string, title: string, load: (again: string) => Promise<{create: (context: Context) => View}>}[]}
 */
export const VIEWS = [
  { name: "overview", title: "Overview", load: (again) => import(`./overview/view.js${again}`) },
  { name: "prices", title: "Prices", load: (again) => import(`./prices/view.js${again}`) },
  { name: "trades", title: "Trades", load: (again) => import(`./trades/view.js${again}`) },
  { name: "import", title: "Import", load: (again) => import(`./imports/view.js${again}`) },
  { name: "analysis", title: "Analysis", load: (again) => import(`./analysis/view.js${again}`) },
  { name: "simulation", title: "Simulation", load: (again) => import(`./simulation/view.js${again}`) },
];
