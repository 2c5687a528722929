/** The coverage of days as parts of a bar and in a sentence. Pure. */

import type { CoverageDay } from "../answers.ts";
import { count } from "../format.ts";
import { shareText } from "./words.ts";

/** What a minute of a session can be, in the order in which a bar shows it. */
export const STATES = ["stream", "rebuild", "backfill", "without_trades", "missing"] as const;
export type State = (typeof STATES)[number];

export interface Part {
  readonly state: State;
  /** Where the part begins and ends, as shares of the whole. */
  readonly from: number;
  readonly to: number;
}

/** The parts of a day that are not empty, one after the other. */
export function partsOf(day: CoverageDay): Part[] {
  const whole = day.expected.value;
  let passed = 0;
  const parts: Part[] = [];
  for (const state of STATES) {
    const minutes = day[state].value;
    if (minutes > 0 && whole > 0) parts.push({ state, from: passed / whole, to: (passed + minutes) / whole });
    passed += minutes;
  }
  return parts;
}

/** All days in one sentence. */
export function coverageText(days: readonly CoverageDay[]): string {
  const sum = (name: State | "expected" | "stored"): number => days.reduce((total, day) => total + day[name].value, 0);
  const [expected, stored, missing] = [sum("expected"), sum("stored"), sum("missing")];
  if (expected === 0) return "No minute of a session is over in this time.";
  const origins = `${count(sum("stream"))} as they arrived, ${count(sum("rebuild"))} rebuilt, ${count(sum("backfill"))} backfilled`;
  const holes = days.filter((day) => day.missing.value > 0).length;
  const rest =
    missing > 0 ? `${count(missing)} are missing, on ${count(holes)} ${holes === 1 ? "day" : "days"}.` : "None is missing.";
  return (
    `${count(stored)} of ${count(expected)} minutes are stored (${shareText(stored, expected)}): ${origins}. ` +
    `${count(sum("without_trades"))} had no trade at the source. ${rest}`
  );
}
