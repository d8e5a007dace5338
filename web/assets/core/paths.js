// The paths of the HTTP API.

export const TRADES = "/api/trades";
export const ALERTS = "/api/alerts";
export const ALERT_RULES = "/api/alert-rules";
export const TICKET = "/api/prices/ticket";
export const ANALYSES = "/api/analyses";
export const EXPORTS = "/api/exports";
export const SIMULATIONS = "/api/simulations";
export const HISTORIES = "/api/histories";
export const POSITIONS = "/api/positions";
export const PORTFOLIO = "/api/portfolio";
export const PROFIT = "/api/profit";
export const IMPORTS = "/api/imports";
export const IMPORT_FORMATS = "/api/imports/formats";
export const WEBHOOKS = "/api/webhooks";

/** @param {number | string} id */
export const trade = (id) => `/api/trades/${id}`;

/** @param {number | string} id */
export const voidTrade = (id) => `/api/trades/${id}/void`;

/** @param {number | string} id */
export const correctTrade = (id) => `/api/trades/${id}/correct`;

/** @param {string} ticker */
export const position = (ticker) => `/api/positions/${ticker}`;

/** @param {string} ticker */
export const matches = (ticker) => `/api/positions/${ticker}/matches`;

/** @param {string} ticker */
export const averages = (ticker) => `/api/prices/${ticker}/averages`;

/** @param {number} id */
export const alertRule = (id) => `/api/alert-rules/${id}`;

/** @param {string} date */
export const analysis = (date) => `/api/analyses/${encodeURIComponent(date)}`;

/** @param {string} date */
export const rejects = (date) => `/api/analyses/${encodeURIComponent(date)}/rejects`;

/** @param {number | string} id */
export const simulation = (id) => `/api/simulations/${encodeURIComponent(id)}`;

/** @param {string} ticker */
export const history = (ticker) => `/api/histories/${ticker}`;

/** @param {number} id */
export const importRows = (id) => `/api/imports/${id}/rows`;

/** @param {number} id */
export const voidImport = (id) => `/api/imports/${id}/void`;

/** @param {string} id */
export const webhook = (id) => `/api/webhooks/${id}`;
