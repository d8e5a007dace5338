// Whether the page is being watched: polling stops when it is not.

const IDLE_MS = 600_000;

let usedAt = Date.now();
for (const name of ["pointermove", "pointerdown", "keydown", "scroll"]) {
  addEventListener(name, () => (usedAt = Date.now()), { passive: true });
}

export function isWatched() {
  return !document.hidden && Date.now() - usedAt < IDLE_MS;
}
