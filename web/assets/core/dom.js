// Helpers for the document.

/**
 * Create an element. An attribute that is false, null or undefined is left out, and one that is a function listens for
 * the event of its name: `onclick` for a click.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} [attributes]
 * @param {...(Node | string | null)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * Create an element of an SVG image.
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
 * Set the text of a node if it differs, so that screen readers do not repeat what has not changed.
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Return the element of index.html with this id.
 * @param {string} id
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/**
 * Save a text as a file.
 * @param {string} name
 * @param {string} text
 * @param {string} [type]
 */
export function download(name, text, type = "text/csv") {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/**
 * Show a question above the page and return the answer.
 * @param {string} question
 * @param {string} confirm what the button says that means yes
 * @returns {Promise<boolean>}
 */
export function ask(question, confirm) {
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-label": "Question" },
    h("p", {}, question),
    h(
      "div",
      { class: "row end" },
      h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
      h("button", { type: "button", class: "primary", onclick: () => dialog.close("yes") }, confirm),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

/**
 * Create a group of buttons of which one is pressed.
 * @template {string} Value
 * @param {string} label
 * @param {[Value, string][]} choices value and text
 * @param {(value: Value) => void} onChoose
 */
export function segments(label, choices, onChoose) {
  const buttons = choices.map(([value, text]) =>
    h("button", { type: "button", value, "aria-pressed": "false", onclick: () => onChoose(value) }, text),
  );
  const element = h("div", { class: "segments", role: "group", "aria-label": label }, ...buttons);
  /** @param {Value} value */
  const select = (value) => buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.value === value)));
  return { element, select };
}
