// Briefly highlights a number that has just changed.

const FLASH_MS = 500;

/**
 * @param {HTMLElement} element
 * @param {number} direction
 */
export function flash(element, direction) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const color = getComputedStyle(element).getPropertyValue(direction < 0 ? "--sell-ground" : "--buy-ground");
  for (const running of element.getAnimations()) running.cancel();
  element.animate([{ backgroundColor: color }, { backgroundColor: "transparent" }], FLASH_MS);
}
