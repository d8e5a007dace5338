// Decimal numbers as text, as the API sends them: displayed values are never binary floats.

const SCALE = 20; // maximum digits after the decimal point in a sum or product

/** @param {string} text */
function toUnits(text) {
  const [whole = "", fraction = ""] = text.replace("-", "").split(".");
  const value = BigInt(whole + fraction.slice(0, SCALE).padEnd(SCALE, "0"));
  return text.startsWith("-") ? -value : value;
}

/** @param {bigint} units */
function toText(units) {
  const digits = (units < 0n ? -units : units).toString().padStart(SCALE + 1, "0");
  const text = `${digits.slice(0, -SCALE)}.${digits.slice(-SCALE)}`.replace(/\.?0*$/, "");
  return units < 0n ? `-${text}` : text;
}

/**
 * @param {string} one
 * @param {string} other
 */
export function multiply(one, other) {
  return toText((toUnits(one) * toUnits(other)) / 10n ** BigInt(SCALE));
}

/**
 * Divide by a positive number and round to the given number of decimals, half to even.
 * @param {string} one at least zero
 * @param {string} other
 * @param {number} decimals
 */
export function divide(one, other, decimals) {
  const [dividend, divisor] = [toUnits(one) * 10n ** BigInt(decimals), toUnits(other)];
  const [quotient, twice] = [dividend / divisor, (dividend % divisor) * 2n];
  const isUp = twice > divisor || (twice === divisor && quotient % 2n === 1n);
  return toText((quotient + (isUp ? 1n : 0n)) * 10n ** BigInt(SCALE - decimals));
}

/**
 * @param {string} one
 * @param {string} other
 */
export function add(one, other) {
  return toText(toUnits(one) + toUnits(other));
}

/**
 * @param {string} one
 * @param {string} other
 */
export function subtract(one, other) {
  return toText(toUnits(one) - toUnits(other));
}

/**
 * Return a negative number, 0 or a positive number if `one` is less than, equal to or greater than `other`.
 * @param {string} one
 * @param {string} other
 */
export function compare(one, other) {
  const difference = Number(one) - Number(other);
  if (difference) return difference; // if the floats differ, their order is right
  return one === other ? 0 : Number(toUnits(one) - toUnits(other));
}

/**
 * Round to a number of decimals, half away from zero.
 * @param {string} text
 * @param {number} decimals
 */
export function round(text, decimals) {
  const units = toUnits(text);
  const unit = 10n ** BigInt(SCALE - decimals);
  const half = units < 0n ? -unit / 2n : unit / 2n;
  return toText(((units + half) / unit) * unit);
}

/** Whether typed text is a decimal number: 1310.5 and .5 are, 1e3 and 1,000 are not. @param {string} text */
export function isDecimal(text) {
  return /^-?(\d+\.?\d*|\.\d+)$/.test(text);
}
