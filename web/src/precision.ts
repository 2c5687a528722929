/** How many digits a price scale shows. Pure. */

import { decimals, type Num } from "./numbers.ts";

const MOST_DIGITS = 8;

/**
 * The digits of a price scale: as many as any of the prices has, so no price is shown rounded. DynamoDB drops trailing
 * zeros, so the text of 231.10 is 231.1, and one text alone does not tell. No price has tenths only.
 */
export function scaleDigits(texts: Iterable<string>): number {
  let digits = 0;
  for (const text of texts) digits = Math.max(digits, decimals(text));
  return digits === 1 ? 2 : Math.min(digits, MOST_DIGITS);
}

/** A price with all digits of its scale, such as 231.10. */
export function padded({ text }: Num, digits: number): string {
  return text + missingZeros(text, digits);
}

/** The zeros that a price lacks beside others with `digits`: "0" for 231.1 and 2. */
export function missingZeros(text: string, digits: number): string {
  const missing = digits - decimals(text);
  if (missing <= 0 || /[eE]/.test(text)) return "";
  return (text.includes(".") ? "" : ".") + "0".repeat(missing);
}
