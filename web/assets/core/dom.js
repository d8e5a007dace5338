// DOM helpers.

/**
 * Create an element. An attribute that is false, null or undefined is omitted; a function is added as a listener
 * for the event it is named after: `onclick` for a click.
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
 * Create an SVG element.
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
 * Set the text of a node if it differs, so that screen readers do not repeat unchanged text.
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Return the element in index.html with the given id.
 * @param {string} id
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/**
 * Save text as a file.
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
 * Ask a question in a modal window and return the answer.
 * @param {string} question
 * @param {string} confirm label of the button that means yes
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
 * Create a group of buttons, one of which is pressed.
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
