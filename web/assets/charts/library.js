// The chart library with the page's colors and the viewer's time zone. It is loaded with the first chart.

import { formatClock, formatDay, formatUtc } from "../core/time.js";

/**
 * @typedef {typeof import("../vendor/lightweight-charts.js")} Library
 * @typedef {import("../vendor/lightweight-charts.js").UTCTimestamp} UTCTimestamp
 */

/** @param {string} name */
export function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

let failures = 0;

/**
 * Load the library; after a failure, use a different URL because browsers cache a failed load.
 * @returns {Promise<Library>}
 */
export async function loadLibrary() {
  try {
    return await (failures ? import(`../vendor/lightweight-charts.js?again=${failures}`) : import("../vendor/lightweight-charts.js"));
  } catch (error) {
    failures += 1;
    throw error;
  }
}

/**
 * Create an empty chart that follows its element's size and the viewer's color scheme.
 * @param {Library} library
 * @param {HTMLElement} element
 * @param {() => void} onRecolor
 * @param {AbortSignal} [signal] removes the chart
 */
export function makeChart(library, element, onRecolor, signal) {
  const chart = library.createChart(element, {
    autoSize: true,
    layout: { attributionLogo: false, fontSize: 12, fontFamily: getComputedStyle(element).fontFamily }, // in the footer
    rightPriceScale: { borderVisible: false, minimumWidth: 72, scaleMargins: { top: 0.1, bottom: 0.08 } },
    timeScale: { borderVisible: false, timeVisible: true, rightOffset: 2, tickMarkFormatter: tickMark, minBarSpacing: 0.001 },
    crosshair: { mode: library.CrosshairMode.Magnet },
    localization: { timeFormatter: (/** @type {any} */ time) => hovered(time) },
    // Scrolling the page must not zoom its charts: the wheel and vertical swipes are left to the page.
    handleScroll: { mouseWheel: false, vertTouchDrag: false, horzTouchDrag: true, pressedMouseMove: true },
    handleScale: { mouseWheel: false, pinch: true, axisPressedMouseMove: true, axisDoubleClickReset: true },
  });
  const recolor = () => {
    chart.applyOptions({
      layout: { background: { color: "transparent" }, textColor: color("--muted"), panes: { separatorColor: color("--line") } },
      grid: { vertLines: { color: color("--grid") }, horzLines: { color: color("--grid") } },
      crosshair: {
        vertLine: { color: color("--muted"), labelBackgroundColor: color("--label") },
        horzLine: { color: color("--muted"), labelBackgroundColor: color("--label") },
      },
    });
    onRecolor();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolor, signal ? { signal } : {});
  signal?.addEventListener("abort", () => chart.remove());
  recolor();
  return chart;
}

/** @param {any} time seconds, or a business day as a string */
function instant(time) {
  return new Date(typeof time === "number" ? time * 1_000 : `${time}T00:00:00Z`);
}

/** @param {any} time */
function hovered(time) {
  if (typeof time !== "number") return String(time);
  const at = instant(time);
  return `${formatDay(at)} ${formatClock(at).slice(0, 5)} · ${formatUtc(at).slice(11, 16)} UTC`;
}

/**
 * @param {any} time
 * @param {number} kind the library's tick mark type: 0 year, 1 month, 2 day, 3 time, 4 time with seconds
 */
function tickMark(time, kind) {
  const at = instant(time);
  if (typeof time !== "number") return kind === 0 ? String(time).slice(0, 4) : String(time).slice(kind === 1 ? 0 : 5, kind === 1 ? 7 : 10);
  if (kind < 3) return formatDay(at).slice(5);
  return kind === 4 ? formatClock(at) : formatClock(at).slice(0, 5);
}
