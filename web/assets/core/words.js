// Field errors in a trader's terms, short enough for one line.

const TICKER = /^[A-Z]{1,5}([.-][A-Z]{1,4})?$/;
export const TICKER_ERROR = "Such as AAPL or BRK.B.";

/** @type {[RegExp, string][]} */
const WORDS = [
  [/^is required|must not be empty/, "This is needed."],
  [/^is not a field of this request/, "Reload the page."],
  [/must be a (whole )?number/, "Must be a number."],
  [/must be more than zero/, "Must be more than 0."],
  [/at most (\d+) characters/, "At most $1 characters."],
  [/at least one field/, "Nothing is different yet."],
  [/three capital letters/, "Three letters, such as USD."],
  [/letters, digits, spaces and/, "Letters, digits, spaces, . _ -"],
  [/lower-case letters/, "Small letters, digits, - and _."],
  [/must be an https URL/, "Such as https://example.com/hooks."],
  [/the quantity is 0/, "No fee without shares."],
];

/** Whether text is a ticker, ignoring case. @param {string} text */
export function isTicker(text) {
  return TICKER.test(text.toUpperCase());
}

/** Whether text is the beginning of a ticker, ignoring case. @param {string} text */
export function isTickerPrefix(text) {
  return /^[A-Z]{1,5}([.-][A-Z]{0,4})?$/.test(text.toUpperCase());
}

/**
 * @param {string} field
 * @param {string} message
 */
export function inPlainWords(field, message) {
  if (field === "ticker" && /must be a ticker/.test(message)) return TICKER_ERROR;
  for (const [pattern, words] of WORDS) {
    const match = message.match(pattern);
    if (match) return words.replace("$1", match[1] ?? "");
  }
  return sentence(message);
}

/** @param {string} text */
function sentence(text) {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}
