/** What a chart shows, in words, for those who do not see it. Pure. */

import type { Bar } from "./bars.ts";
import type { Mark } from "./marks.ts";
import { markText } from "./marks.ts";
import type { Gap, Resolution } from "./timeline.ts";

export const RESOLUTION_WORDS: Readonly<Record<Resolution, string>> = {
  "1m": "one-minute",
  "5m": "five-minute",
  "15m": "15-minute",
  "1h": "one-hour",
  "1d": "daily",
};

export interface Words {
  /** A time with its date, in the zone that the page shows. */
  readonly at: (bar: Bar) => string;
  /** A number of units, such as "1,204". */
  readonly count: (value: number) => string;
}

export interface Summary {
  readonly symbol: string;
  readonly resolution: Resolution;
  readonly currency: string;
  readonly bars: readonly Bar[];
  readonly gaps: readonly Gap[];
  readonly marks: readonly Mark[];
}

/** Which bars are shown, their range and their end, what is missing among them, and how many alerts they bear. */
export function summaryText({ symbol, resolution, currency, bars, gaps, marks }: Summary, words: Words): string {
  const first = bars[0];
  const last = bars.at(-1);
  if (!first || !last) return `${symbol}: there are no ${RESOLUTION_WORDS[resolution]} bars.`;
  const highest = bars.reduce((best, bar) => (bar.high.value > best.high.value ? bar : best));
  const lowest = bars.reduce((best, bar) => (bar.low.value < best.low.value ? bar : best));
  const unit = currency ? ` ${currency}` : "";
  const sentences = [
    `${symbol}: ${counted(bars.length, `${RESOLUTION_WORDS[resolution]} bar`, words)} ` +
      `from ${words.at(first)} to ${words.at(last)}.`,
    `The last price is ${last.close.text}${unit}, ${changeText(first.open.value, last.close.value)} over these bars.`,
    `The highest is ${highest.high.text} at ${words.at(highest)}, the lowest ${lowest.low.text} at ${words.at(lowest)}.`,
  ];
  const missing = gaps.reduce((sum, gap) => sum + gap.missing, 0);
  sentences.push(
    missing > 0
      ? `${counted(missing, "bar", words)} ${missing === 1 ? "is" : "are"} missing, in ${counted(gaps.length, "gap", words)}.`
      : "No bar is missing.",
  );
  const alerts = marks.reduce((sum, mark) => sum + mark.alerts.length, 0);
  if (alerts > 0) sentences.push(`${counted(alerts, "alert", words)} belong${alerts === 1 ? "s" : ""} to these bars.`);
  return sentences.join(" ");
}

/** One bar in words, as the cursor reaches it. */
export function barText(bar: Bar, mark: Mark | undefined, words: Words): string {
  const parts = [
    words.at(bar),
    `open ${bar.open.text}`,
    `high ${bar.high.text}`,
    `low ${bar.low.text}`,
    `close ${bar.close.text}`,
  ];
  if (bar.volume !== null) parts.push(`volume ${words.count(bar.volume)}`);
  if (bar.isOpen) parts.push("still open");
  if (mark) parts.push(markText(mark));
  return parts.join(", ");
}

function changeText(from: number, to: number): string {
  if (to === from || from === 0) return "unchanged";
  const percent = Math.abs((to / from - 1) * 100).toFixed(2);
  return `${to > from ? "up" : "down"} ${percent} percent`;
}

function counted(count: number, noun: string, words: Words): string {
  return `${words.count(count)} ${noun}${count === 1 ? "" : "s"}`;
}
