// The few things that the views do with the document.

/**
 * Return the element with this id, which index.html has.
 * @template {Element} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return /** @type {T} */ (/** @type {unknown} */ (found));
}

/**
 * Make an element: its tag, attributes (a `false`, null or undefined one is left away) and children.
 * @param {string} tag
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes]
 * @param {...(Node | string | null)} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * Make an element of an SVG picture.
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...Node} children
 */
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/**
 * Write a text if it is another one: what a screen reader follows is not said twice.
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Show what is wrong with the fields of a form, each under its own, and go to the first.
 * @param {HTMLFormElement} form
 * @param {string} prefix of the ids of the places where errors stand
 * @param {{field: string, message: string}[]} errors
 * @returns {string[]} what belongs to no field of the form
 */
export function showErrors(form, prefix, errors) {
  const places = form.querySelectorAll(`[id^="${prefix}"]`);
  /** @type {string[]} */
  const elsewhere = [];
  /** @type {HTMLElement | null} */
  let first = null;
  for (const place of places) {
    const error = errors.find((each) => `${prefix}${each.field}` === place.id);
    setText(place, error ? sentence(error.message) : "");
    const input = /** @type {HTMLElement | null} */ (place.parentElement?.querySelector("input, select") ?? null);
    input?.toggleAttribute("aria-invalid", false);
    if (error && input) {
      input.setAttribute("aria-invalid", "true");
      first ??= input;
    }
  }
  for (const error of errors) {
    if (![...places].some((place) => place.id === `${prefix}${error.field}`)) {
      elsewhere.push(`${error.field}: ${error.message}`);
    }
  }
  first?.focus();
  return elsewhere;
}

/** @param {string} text */
function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * Hand a text over as a file.
 * @param {string} name
 * @param {string} text
 */
export function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const link = h("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
