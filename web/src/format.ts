/** Numbers and durations as people read them. Pure. */

import type { Num } from "./numbers.ts";

const MINUS = "\u2212";

/** The digits as they came, with a true minus sign. */
export function price(number: Num | undefined): string {
  return number === undefined ? "–" : withMinus(number.text);
}

/** A difference with its sign: `+1.25`, `−0.40`. */
export function signed(number: Num | undefined): string {
  if (number === undefined) return "–";
  return number.value > 0 ? `+${number.text}` : withMinus(number.text);
}

/** A percentage with its sign and two digits: `+0.45 %`. */
export function percent(number: Num | undefined): string {
  if (number === undefined) return "–";
  const rounded = number.value.toFixed(2).replace(/^-(?=0\.00$)/, "");
  const sign = Number(rounded) > 0 ? "+" : "";
  return `${sign}${withMinus(rounded)}\u202f%`;
}

/** A whole number with thin spaces between thousands: `1 234 567`. */
export function count(number: Num | number | undefined): string {
  if (number === undefined) return "–";
  const value = typeof number === "number" ? number : number.value;
  return Math.trunc(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** How long something takes or is ago, in its largest unit: `8 s`, `12 min`, `5 h`, `3 d`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole}\u00a0s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)}\u00a0min`;
  if (whole < 172_800) return `${Math.floor(whole / 3_600)}\u00a0h`;
  return `${Math.floor(whole / 86_400)}\u00a0d`;
}

/** The name of a rule, a value or a state as words: `change_percent` becomes `change percent`. */
export function words(name: string): string {
  return name.replaceAll("_", " ");
}

function withMinus(text: string): string {
  return text.replace(/^-/, MINUS);
}
