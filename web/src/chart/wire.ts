/** The API's bars, sessions and alerts as values of a chart. Pure. */

import type * as answers from "../answers.ts";
import type { LocalClock } from "./clock.ts";
import type { Bar } from "./bars.ts";
import type { ChartAlert } from "./marks.ts";
import type { Resolution, Session } from "./timeline.ts";

const DAY = 86_400;

/** Unix seconds of the API's time. */
export function seconds(time: string): number {
  return Date.parse(time) / 1_000;
}

/** The API's time of Unix seconds. */
export function timeText(time: number): string {
  return new Date(time * 1_000).toISOString();
}

/** Where a moment stands on the axis: at itself, or for bars of days, at midnight UTC of the exchange's day. */
export function axisTime(resolution: Resolution, clock: LocalClock): (time: number) => number {
  return resolution === "1d" ? (time) => Math.floor(clock(time) / DAY) * DAY : (time) => time;
}

/** A bar of the API. `place` is `axisTime`. */
export function chartBar(bar: answers.Bar, place: (time: number) => number): Bar {
  const start = seconds(bar.start);
  return {
    time: bar.day === undefined ? place(start) : seconds(bar.day),
    start,
    open: bar.open,
    high: bar.high,
    low: bar.low,
    close: bar.close,
    volume: bar.volume?.value ?? null,
    isOpen: bar.is_open ?? false,
    indicators: Object.fromEntries(Object.entries(bar.indicators ?? {}).map(([name, number]) => [name, number.value])),
  };
}

export function chartSession(session: answers.Session): Session {
  return { day: seconds(session.day), opens: seconds(session.opens), closes: seconds(session.closes) };
}

export function chartAlert(alert: answers.Alert): ChartAlert {
  return {
    id: alert.id,
    rule: alert.rule,
    severity: alert.severity,
    subject: alert.subject,
    time: seconds(alert.timestamp),
  };
}
