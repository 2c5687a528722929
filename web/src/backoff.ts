/** How long to wait before the next attempt. Pure. */

const FIRST_SECONDS = 1;
const LONGEST_SECONDS = 30;

/**
 * The seconds to wait after so many failures in a row (1 or more): 1, 2, 4, … 30, each shortened by up to a half.
 *
 * `random` is from 0 to 1. It spreads the attempts of many viewers. A server that names a time is asked no earlier.
 */
export function waitSeconds(failures: number, random: number, retryAfter = 0): number {
  const longest = Math.min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** (failures - 1));
  return Math.max(retryAfter, longest * (1 - random / 2));
}
