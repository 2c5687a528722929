/** Which gaps lie before a symbol's first bar: a feed that has just begun has missed nothing. Pure. */

import type { GapsAnswer } from "../answers.ts";
import { seconds } from "../chart/wire.ts";

export interface Missed {
  readonly expected: number;
  readonly stored: number;
  readonly gaps: GapsAnswer["gaps"];
}

/** Whether the gaps reach back to the start of their range, so that the first bar of all may be younger. */
export function mayHaveBegun(answer: GapsAnswer): boolean {
  return answer.gaps[0]?.start === answer.start;
}

/** The gaps since a time in Unix seconds. Those that end by then count neither as missing nor as expected. */
export function missedSince(answer: GapsAnswer, since: number): Missed {
  const gaps = answer.gaps.filter((gap) => seconds(gap.end) > since);
  const before = answer.gaps.filter((gap) => seconds(gap.end) <= since).reduce((sum, gap) => sum + gap.minutes.value, 0);
  return { expected: answer.expected_minutes.value - before, stored: answer.stored_minutes.value, gaps };
}
