// What is asked of the HTTP API, and what it answers where it cannot.

import { authorization, signInAgain } from "./sign_in.js";

/** An answer that is no success: what the API says is wrong, and what may be done. */
export class ApiError extends Error {
  /**
   * @param {number} status 0 where nothing answered at all
   * @param {string} message
   * @param {{field: string, message: string}[]} [errors]
   * @param {number} [retryAfter] seconds
   */
  constructor(status, message, errors = [], retryAfter = 5) {
    super(message);
    this.status = status;
    this.errors = errors;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may succeed in a moment. */
  get isPassing() {
    return [0, 429, 502, 503, 504].includes(this.status);
  }
}

/**
 * Send a request, and return its answer.
 * @param {string} method
 * @param {string} path
 * @param {{body?: unknown, accept?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<Response>}
 * @throws {ApiError}
 */
export async function ask(method, path, { body, accept = "application/json", signal } = {}) {
  const headers = new Headers({ Accept: accept, ...authorization() });
  if (body !== undefined) headers.set("Content-Type", "application/json");
  let response;
  try {
    response = await fetch(path, { method, headers, signal: signal ?? null, body: body === undefined ? null : JSON.stringify(body) });
  } catch (error) {
    if (signal?.aborted) throw error;
    const reason = navigator.onLine ? "The system does not answer." : "You are offline.";
    throw new ApiError(0, reason);
  }
  if (response.status === 401) signInAgain();
  if (!response.ok) throw await refusal(response);
  return response;
}

/**
 * @param {string} path
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function read(path, signal) {
  return (await ask("GET", path, signal ? { signal } : {})).json();
}

/**
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
export async function send(path, body) {
  return (await ask("POST", path, { body })).json();
}

/**
 * Return where the next page of an answer is, or null on the last one.
 * @param {Response} response
 */
export function nextPage(response) {
  return response.headers.get("Link")?.match(/<([^>]*)>;\s*rel="next"/)?.[1] ?? null;
}

/** @param {Response} response */
async function refusal(response) {
  const retryAfter = Number(response.headers.get("Retry-After")) || 5;
  let problem;
  try {
    problem = await response.json();
  } catch {
    problem = {};
  }
  const said = problem.detail ?? problem.message ?? `The system answered ${response.status}.`;
  return new ApiError(response.status, said, problem.errors ?? [], retryAfter);
}
