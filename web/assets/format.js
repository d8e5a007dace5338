// How numbers and times are written. Amounts stay the decimal text that the API gives: no binary float is shown.

const SCALE = 12; // digits after the point that a product of two amounts may have

/**
 * Group the digits of a decimal text, with so many decimals at least: 1234.5 is 1,234.50.
 * @param {string} text
 * @param {number} [decimals]
 */
export function amount(text, decimals = 2) {
  const [whole = "", fraction = ""] = text.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  const shown = fraction.padEnd(decimals, "0");
  return shown ? `${grouped}.${shown}` : grouped;
}

/**
 * Round a decimal text to so many decimals, half away from zero, without a float.
 * @param {string} text
 * @param {number} decimals
 */
export function rounded(text, decimals) {
  const scaled = units(text);
  const unit = 10n ** BigInt(SCALE - decimals);
  const half = scaled < 0n ? -unit / 2n : unit / 2n;
  return written(((scaled + half) / unit) * unit).replace(/\.?0*$/, "");
}

/**
 * Return the product of two decimal texts, exactly.
 * @param {string} one
 * @param {string} other
 */
export function product(one, other) {
  return written((units(one) * units(other)) / 10n ** BigInt(SCALE)).replace(/\.?0*$/, "");
}

/** @param {string} text */
function units(text) {
  const [whole = "", fraction = ""] = text.replace("-", "").split(".");
  const value = BigInt(whole + fraction.slice(0, SCALE).padEnd(SCALE, "0"));
  return text.startsWith("-") ? -value : value;
}

/** @param {bigint} value */
function written(value) {
  const digits = (value < 0n ? -value : value).toString().padStart(SCALE + 1, "0");
  return `${value < 0n ? "−" : ""}${digits.slice(0, -SCALE)}.${digits.slice(-SCALE)}`;
}

/**
 * Write a fraction as a percentage with its sign: 0.0215 is +2.15 %.
 * @param {number} fraction
 */
export function percent(fraction) {
  const text = Math.abs(fraction * 100).toFixed(2);
  const sign = text === "0.00" ? "" : fraction < 0 ? "−" : "+";
  return `${sign}${text} %`;
}

/** @param {number} value */
const two = (value) => String(value).padStart(2, "0");

/** @param {Date} time */
export const clock = (time) => `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;

/** @param {Date} time */
export const day = (time) => `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;

/** @param {Date} time */
export const utc = (time) => `${time.toISOString().slice(0, 19).replace("T", " ")} UTC`;

/**
 * Make a time in the viewer's zone, with UTC on hover.
 * @param {string} instant ISO 8601
 * @param {boolean} [withDay]
 */
export function timeElement(instant, withDay = true) {
  const time = new Date(instant);
  const element = document.createElement("time");
  element.dateTime = instant;
  element.title = utc(time);
  element.textContent = withDay ? `${day(time)} ${clock(time)}` : clock(time);
  return element;
}

/**
 * Return rows as CSV. A cell that a spreadsheet would take for a formula gets an apostrophe before it.
 * @param {(string | number | null)[][]} rows
 */
export function csv(rows) {
  return rows.map((row) => `${row.map(cell).join(",")}\n`).join("");
}

/** @param {string | number | null} value */
function cell(value) {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
