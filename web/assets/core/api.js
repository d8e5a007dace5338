// Requests to the HTTP API, and their error messages.

import { authorization, isNeeded, signInAgain } from "./sign_in.js";

/** @typedef {{field: string, message: string}} FieldError */

/** A failed request: the reason and whether a retry may help. */
export class ApiError extends Error {
  /**
   * @param {number} status 0 if there was no response
   * @param {string} message
   * @param {FieldError[]} [errors]
   * @param {number} [retryAfter] seconds
   */
  constructor(status, message, errors = [], retryAfter = 5) {
    super(message);
    this.status = status;
    this.errors = errors;
    this.retryAfter = retryAfter;
  }

  /** Whether retrying the same request is likely to succeed. */
  get isTemporary() {
    return [0, 429, 502, 503, 504].includes(this.status);
  }
}

/**
 * Send a request and return its response.
 * @param {string} method
 * @param {string} path
 * @param {{body?: unknown, accept?: string, signal?: AbortSignal, type?: string}} [options] the body is sent as JSON,
 *   or unchanged if its type is given
 * @returns {Promise<Response>}
 * @throws {ApiError}
 */
export async function request(method, path, { body, accept = "application/json", signal, type } = {}) {
  const headers = new Headers({ Accept: accept, ...authorization() });
  if (body !== undefined) headers.set("Content-Type", type ?? "application/json");
  const content = body === undefined ? null : type ? /** @type {BodyInit} */ (body) : JSON.stringify(body);
  let response;
  try {
    response = await fetch(path, { method, headers, signal: signal ?? null, body: content });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, navigator.onLine ? "The system does not answer." : "You are offline.");
  }
  if (response.status === 401) signInAgain();
  if (!response.ok) throw await failure(response);
  return response;
}

/**
 * @param {string} path
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function get(path, signal) {
  return (await request("GET", path, signal ? { signal } : {})).json();
}

/**
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
export async function post(path, body) {
  return (await request("POST", path, { body })).json();
}

/**
 * @param {string} path
 * @param {unknown} body
 * @returns {Promise<any>}
 */
export async function patch(path, body) {
  return (await request("PATCH", path, { body })).json();
}

/**
 * Return the path of the next page, or null on the last one.
 * @param {Response} response
 */
export function nextPage(response) {
  return response.headers.get("Link")?.match(/<([^>]*)>;\s*rel="next"/)?.[1] ?? null;
}

/**
 * Follow the pages of a response and yield the body of each.
 * @param {string | null} path
 * @param {AbortSignal} [signal]
 * @returns {AsyncGenerator<any>}
 * @throws {ApiError}
 */
export async function* pages(path, signal) {
  for (let next = path; next; ) {
    const response = await request("GET", next, signal ? { signal } : {});
    yield await response.json();
    next = nextPage(response);
  }
}

/** @param {Response} response */
async function failure(response) {
  const { status } = response;
  let problem;
  try {
    problem = await response.json();
  } catch {
    problem = {};
  }
  const retryAfter = Number(response.headers.get("Retry-After")) || 5;
  return new ApiError(status, describe(status, problem), problem.errors ?? [], retryAfter);
}

/**
 * @param {number} status
 * @param {{detail?: string, message?: string}} problem
 */
function describe(status, problem) {
  switch (status) {
    case 401:
      return isNeeded() ? "Your session has ended. Sign in again." : "This system wants a token, and this page has no sign-in for it.";
    case 403:
      return "Your account is not allowed to do this.";
    case 429:
      return "There are too many requests at the moment.";
    case 500:
      return `Something went wrong in the system. ${problem.detail ?? ""}`.trim();
    case 502:
    case 503:
    case 504:
      return "The system cannot answer at the moment.";
    default:
      return problem.detail ?? problem.message ?? `The system answered with status ${status}.`;
  }
}
