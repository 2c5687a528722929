/** The places of a time axis: one for each bar, one for each bar that is missing, and a space between sessions. Pure. */

import type { Resolution } from "../answers.ts";
import type { Bar } from "./bars.ts";

export type { Resolution };
export const RESOLUTIONS: readonly Resolution[] = ["1m", "5m", "15m", "1h", "1d"];
export const SECONDS: Readonly<Record<Resolution, number>> = { "1m": 60, "5m": 300, "15m": 900, "1h": 3600, "1d": 86400 };

/** A session of an exchange. Times are Unix seconds; `day` is midnight UTC of the exchange's day. */
export interface Session {
  readonly day: number;
  readonly opens: number;
  readonly closes: number;
}

/** How many empty places separate two sessions. */
export const SESSION_SPACE = 3;
/** A gap with more places than this is shown as a space between sessions: a chart of only holes shows nothing. */
export const MOST_MISSING = 2000;
/** Without known sessions, a pause of more seconds than this is taken for a closed market. */
const LONGEST_PAUSE = 4 * 3600;

export interface Timeline {
  /** Places without a bar, in order: those of missing bars, and those between sessions. */
  readonly empty: readonly number[];
  /** The places of missing bars. */
  readonly missing: readonly number[];
  /** Times of bars before which bars are missing within a session. */
  readonly gaps: readonly Gap[];
}

export interface Gap {
  /** The first missing place, and the bar after the last one. */
  readonly from: number;
  readonly to: number;
  readonly missing: number;
}

/** The empty places between `bars`. `sessions` are in order; null if they are not known. */
export function timeline(
  bars: readonly Pick<Bar, "time">[],
  resolution: Resolution,
  sessions: readonly Session[] | null,
): Timeline {
  const empty: number[] = [];
  const missing: number[] = [];
  const gaps: Gap[] = [];
  for (let index = 1; index < bars.length; index += 1) {
    const from = bars[index - 1]!.time;
    const to = bars[index]!.time;
    const step = SECONDS[resolution];
    if (to - from <= step) continue;
    const all = resolution === "1d" ? missingDays(from, to, sessions) : missingBars(from, to, step, sessions);
    const shown = all.length > MOST_MISSING ? [] : all;
    if (shown.length > 0) gaps.push({ from: shown[0]!, to, missing: shown.length });
    missing.push(...shown);
    empty.push(...(resolution === "1d" ? shown : spaced(from, to, step, shown)));
  }
  return { empty, missing, gaps };
}

/** The missing places, and a space wherever time jumps, which is where a session ends. */
function spaced(from: number, to: number, step: number, missing: readonly number[]): number[] {
  const places: number[] = [];
  let last = from;
  for (const time of [...missing, to]) {
    const room = Math.min(SESSION_SPACE, Math.floor((time - last) / step) - 1);
    for (let place = room; place >= 1; place -= 1) places.push(time - place * step);
    if (time !== to) places.push(time);
    last = time;
  }
  return places;
}

function missingBars(from: number, to: number, step: number, sessions: readonly Session[] | null): number[] {
  const missing: number[] = [];
  if (sessions === null) {
    if (to - from <= LONGEST_PAUSE + step) for (let time = from + step; time < to; time += step) missing.push(time);
    return missing;
  }
  for (let index = firstAfter(sessions, from); index < sessions.length; index += 1) {
    const { opens, closes } = sessions[index]!;
    if (opens >= to) break;
    const skipped = Math.max(1, Math.floor((opens - from) / step));
    for (let time = from + skipped * step; time < Math.min(to, closes); time += step) {
      if (time + step > opens && time > (missing.at(-1) ?? from)) missing.push(time);
      if (missing.length > MOST_MISSING) return missing;
    }
  }
  return missing;
}

function missingDays(from: number, to: number, sessions: readonly Session[] | null): number[] {
  if (sessions === null) return [];
  return [...new Set(sessions.map((session) => session.day))].filter((day) => from < day && day < to);
}

/** The index of the first session that closes after `time`. */
function firstAfter(sessions: readonly Session[], time: number): number {
  let low = 0;
  let high = sessions.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sessions[middle]!.closes <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}
