// Sign-in through Cognito's hosted pages or the laptop's: authorization code with PKCE. If config.json names no sign-in
// pages, there is no sign-in: access is open, or tokens come from an issuer whose pages this page cannot use.

const TOKENS = "trading.tokens";
const ATTEMPT = "trading.attempt";
const RETRY_SECONDS = 30;
const REVOKE_MS = 3_000;

/**
 * @typedef {{url: string, clientId: string, scope: string}} Provider
 * @typedef {{access: string, refresh: string | null, expiresAt: number}} Tokens
 */

/** @type {Provider | null} */
let provider = null;
/** The issuer of the tokens that the API requires, if this page cannot get one. @type {string | null} */
let issuer = null;
/** @type {() => void} */
let onSignedOut = () => {};

/**
 * Read config.json, redeem the code from the sign-in pages, and return whether the page may be shown.
 * @param {() => void} signedOut called when a token is rejected
 * @throws {TypeError} if config.json cannot be loaded
 */
export async function prepare(signedOut) {
  onSignedOut = signedOut;
  const answer = await fetch("config.json", { cache: "no-cache" });
  const config = answer.ok ? await answer.json() : {};
  provider = config.signIn ?? null;
  issuer = config.issuer ?? null;
  if (!provider) return true;
  const parameters = new URLSearchParams(location.search);
  if (parameters.has("code") || parameters.has("error")) await finish(provider, parameters);
  const kept = tokens();
  if (kept && kept.expiresAt < Date.now() + 60_000) await refresh(provider, kept);
  return tokens() !== null;
}

/** Whether this page requires sign-in. */
export const isNeeded = () => provider !== null;

/** The issuer of the tokens that the API requires, if this page cannot get one; otherwise null. */
export const foreignIssuer = () => issuer;

/** @returns {Record<string, string>} */
export function authorization() {
  const kept = provider && tokens();
  return kept ? { Authorization: `Bearer ${kept.access}` } : {};
}

/** Discard the token after the API has rejected it. */
export function signInAgain() {
  if (!provider) return;
  sessionStorage.removeItem(TOKENS);
  onSignedOut();
}

/** Go to the sign-in pages and return to the current view afterwards. */
export async function signIn() {
  if (!provider) return;
  const verifier = random();
  const state = random();
  sessionStorage.setItem(ATTEMPT, JSON.stringify({ verifier, state, hash: location.hash }));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  location.assign(
    `${provider.url}/oauth2/authorize?${new URLSearchParams({
      response_type: "code",
      client_id: provider.clientId,
      redirect_uri: `${location.origin}/`,
      scope: provider.scope,
      state,
      code_challenge: base64url(new Uint8Array(digest)),
      code_challenge_method: "S256",
    })}`,
  );
}

/** Discard the tokens, revoke the refresh token, and end the session of the sign-in pages. */
export async function signOut() {
  if (!provider) return;
  const kept = tokens();
  clearTimeout(renewal);
  sessionStorage.removeItem(TOKENS);
  if (kept?.refresh) await revoke(provider, kept.refresh);
  const parameters = new URLSearchParams({ client_id: provider.clientId, logout_uri: `${location.origin}/` });
  location.assign(`${provider.url}/logout?${parameters}`);
}

/**
 * @param {Provider} from
 * @param {string} token
 */
async function revoke(from, token) {
  try {
    await fetch(`${from.url}/oauth2/revoke`, {
      method: "POST",
      body: new URLSearchParams({ token, client_id: from.clientId }),
      keepalive: true,
      signal: AbortSignal.timeout(REVOKE_MS),
    });
  } catch {
    // Continue signing out: an unrevoked token expires after twelve hours.
  }
}

/**
 * @param {Provider} from
 * @param {URLSearchParams} parameters
 */
async function finish(from, parameters) {
  const attempt = JSON.parse(sessionStorage.getItem(ATTEMPT) ?? "null");
  sessionStorage.removeItem(ATTEMPT);
  const isOurs = attempt && parameters.get("state") === attempt.state;
  history.replaceState(null, "", `/${isOurs ? attempt.hash : ""}`);
  const code = parameters.get("code");
  if (!isOurs || !code) return;
  await exchange(from, {
    grant_type: "authorization_code",
    code,
    redirect_uri: `${location.origin}/`,
    code_verifier: attempt.verifier,
  });
}

/**
 * @param {Provider} from
 * @param {Tokens} kept
 */
async function refresh(from, kept) {
  if (kept.refresh) await exchange(from, { grant_type: "refresh_token", refresh_token: kept.refresh });
  else sessionStorage.removeItem(TOKENS);
}

/**
 * @param {Provider} from
 * @param {Record<string, string>} grant
 */
async function exchange(from, grant) {
  let answer;
  try {
    answer = await fetch(`${from.url}/oauth2/token`, {
      method: "POST",
      body: new URLSearchParams({ client_id: from.clientId, ...grant }),
    });
  } catch {
    schedule(RETRY_SECONDS); // no response does not mean rejected
    return;
  }
  if (!answer.ok) return sessionStorage.removeItem(TOKENS);
  const given = await answer.json();
  const expiresAt = Date.now() + given.expires_in * 1_000;
  const refreshToken = given.refresh_token ?? grant["refresh_token"] ?? null;
  sessionStorage.setItem(TOKENS, JSON.stringify({ access: given.access_token, refresh: refreshToken, expiresAt }));
  schedule(Math.max(given.expires_in - 60, RETRY_SECONDS));
}

/** @param {number} seconds */
function schedule(seconds) {
  clearTimeout(renewal);
  renewal = setTimeout(renew, seconds * 1_000);
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let renewal;

async function renew() {
  const kept = tokens();
  if (provider && kept) await refresh(provider, kept);
  if (!tokens()) onSignedOut();
}

/** @returns {Tokens | null} */
function tokens() {
  return JSON.parse(sessionStorage.getItem(TOKENS) ?? "null");
}

function random() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

/** @param {Uint8Array} bytes */
function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
