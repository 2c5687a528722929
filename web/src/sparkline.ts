/** The small line of a session's prices. Pure. */

import type { Bar } from "./answers.ts";

/** A longer pause than any break at noon, and a shorter one than any night: it is between two sessions. */
const PAUSE_MS = 2 * 3_600_000;

/** The closes of the newest session, oldest first, of bars in any order. */
export function lastSession(bars: readonly Bar[]): number[] {
  const sorted = bars.map((bar) => [Date.parse(bar.start), bar.close.value] as const).sort((a, b) => a[0] - b[0]);
  const first = sorted.findLastIndex(([start], index) => start - (sorted[index - 1]?.[0] ?? start) > PAUSE_MS);
  return sorted.slice(Math.max(first, 0)).map(([, close]) => close);
}

/** The `d` of an SVG path through the values, from edge to edge. Empty if there are fewer than two. */
export function pathOf(values: readonly number[], width: number, height: number, margin = 1.5): string {
  if (values.length < 2) return "";
  const low = Math.min(...values);
  const range = Math.max(...values) - low;
  const inner = height - 2 * margin;
  return values
    .map((value, index) => {
      const x = (index / (values.length - 1)) * width;
      const y = range === 0 ? height / 2 : margin + inner * (1 - (value - low) / range);
      return `${index === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join("");
}
