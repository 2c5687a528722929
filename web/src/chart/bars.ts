/** The bars of a chart: sorted by time, each time once. Pages of history and live updates are merged into them. Pure. */

import type { Num } from "../numbers.ts";

/** One bar. Times are Unix seconds. */
export interface Bar {
  /** The place on the time axis: the start of the bar, or for a bar of a day, midnight UTC of the exchange's day. */
  readonly time: number;
  /** When the bar starts. */
  readonly start: number;
  readonly open: Num;
  readonly high: Num;
  readonly low: Num;
  readonly close: Num;
  readonly volume: number | null;
  /** Whether later quotes may still change the bar. */
  readonly isOpen: boolean;
  readonly indicators: Readonly<Record<string, number>>;
}

/** What a merge changed: nothing, only the newest bar, or more. A chart redraws as little as this allows. */
export type Change = "none" | "newest" | "many";

export interface Merged {
  readonly bars: readonly Bar[];
  readonly change: Change;
}

/** `known` with the bars of a page. Of two bars with the same time, the page's replaces the known one. */
export function merged(known: readonly Bar[], page: readonly Bar[]): Merged {
  const byTime = new Map(known.map((bar) => [bar.time, bar]));
  const newest = known.at(-1)?.time;
  let touched = false;
  let onlyNewest = true;
  for (const bar of page) {
    const before = byTime.get(bar.time);
    if (before && equal(before, bar)) continue;
    byTime.set(bar.time, bar);
    touched = true;
    onlyNewest &&= before !== undefined && bar.time === newest;
  }
  if (!touched) return { bars: known, change: "none" };
  const bars = [...byTime.values()].sort((one, other) => one.time - other.time);
  return { bars, change: onlyNewest ? "newest" : "many" };
}

/** The index of the last bar that starts at or before `time`, or -1. */
export function indexAt(bars: readonly { readonly time: number }[], time: number): number {
  let low = 0;
  let high = bars.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bars[middle]!.time <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function equal(one: Bar, other: Bar): boolean {
  return (
    one.open.text === other.open.text &&
    one.high.text === other.high.text &&
    one.low.text === other.low.text &&
    one.close.text === other.close.text &&
    one.volume === other.volume &&
    one.isOpen === other.isOpen &&
    sameIndicators(one.indicators, other.indicators)
  );
}

function sameIndicators(one: Bar["indicators"], other: Bar["indicators"]): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}
