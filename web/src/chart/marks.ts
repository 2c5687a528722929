/** Marks of alerts on a chart: one for each bar that has alerts. Pure. */

import type { Severity } from "../answers.ts";
import { type Bar, indexAt } from "./bars.ts";

export interface ChartAlert {
  readonly id: string;
  readonly rule: string;
  readonly severity: Severity;
  readonly subject: string;
  /** Unix seconds. */
  readonly time: number;
}

export interface Mark {
  /** The time of the bar that bears the mark. */
  readonly time: number;
  /** The highest severity of its alerts. */
  readonly severity: Severity;
  /** Its alerts, oldest first. */
  readonly alerts: readonly ChartAlert[];
}

const NAMED = 4;
const RANKS: readonly Severity[] = ["critical", "warning", "info"];

/**
 * The marks of `alerts` on `bars`, oldest first. An alert belongs to the last bar that starts at or before it; alerts
 * before the first bar have no mark. `axisTime` turns an alert's time into a place on the time axis.
 */
export function marks(
  alerts: readonly ChartAlert[],
  bars: readonly Bar[],
  axisTime: (time: number) => number = (time) => time,
): Mark[] {
  const byBar = new Map<number, ChartAlert[]>();
  for (const alert of [...alerts].sort((one, other) => one.time - other.time)) {
    const bar = bars[indexAt(bars, axisTime(alert.time))];
    if (!bar) continue;
    byBar.set(bar.time, [...(byBar.get(bar.time) ?? []), alert]);
  }
  return [...byBar]
    .sort(([one], [other]) => one - other)
    .map(([time, its]) => ({ time, severity: highest(its), alerts: its }));
}

/** What a mark says in words, such as "2 alerts: AAPL rose by 3 %; AAPL is stale". It names the newest few. */
export function markText({ alerts }: Mark): string {
  const subjects = alerts.slice(-NAMED).map((alert) => alert.subject);
  if (alerts.length > NAMED) subjects.unshift("…");
  return alerts.length === 1 ? `Alert: ${subjects[0]}` : `${alerts.length} alerts: ${subjects.join("; ")}`;
}

function highest(alerts: readonly ChartAlert[]): Severity {
  return RANKS.find((severity) => alerts.some((alert) => alert.severity === severity)) ?? "info";
}
