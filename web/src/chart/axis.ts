/** The time axis: places are Unix seconds, and days, months and years begin at midnight of the zone that is shown. */

import { defaultHorzScaleBehavior, type IHorzScaleBehavior, TickMarkType, type Time } from "lightweight-charts";

import type { LocalClock } from "./clock.ts";

type Point = Parameters<IHorzScaleBehavior<Time>["fillWeightsForPoints"]>[0][number];

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;
/** lightweight-charts' weights of time marks, the coarsest first: a mark is as heavy as the widest step that it ends. */
const STEPS: readonly (readonly [seconds: number, weight: number])[] = [
  [12 * HOUR, 33],
  [6 * HOUR, 32],
  [3 * HOUR, 31],
  [HOUR, 30],
  [30 * MINUTE, 22],
  [5 * MINUTE, 21],
  [MINUTE, 20],
];
const YEAR_WEIGHT = 70;
const MONTH_WEIGHT = 60;
const DAY_WEIGHT = 50;

/** The weight of a mark at local time `current`, after a place at local time `previous`. */
export function weightOf(current: number, previous: number): number {
  const [now, before] = [new Date(current * 1000), new Date(previous * 1000)];
  if (now.getUTCFullYear() !== before.getUTCFullYear()) return YEAR_WEIGHT;
  if (now.getUTCMonth() !== before.getUTCMonth()) return MONTH_WEIGHT;
  if (Math.floor(current / DAY) !== Math.floor(previous / DAY)) return DAY_WEIGHT;
  return STEPS.find(([step]) => Math.floor(current / step) !== Math.floor(previous / step))?.[1] ?? 0;
}

/** The behaviour of a time axis whose marks follow a zone's clock. The library's own follows UTC. */
export function zonedBehavior(clock: LocalClock): IHorzScaleBehavior<Time> {
  const behavior = new (defaultHorzScaleBehavior())();
  behavior.fillWeightsForPoints = (points: readonly Point[], startIndex: number): void => {
    for (let index = startIndex; index < points.length; index += 1) {
      const point = points[index]!;
      const time = point.originalTime as number;
      const before = points[index - 1]?.originalTime as number | undefined;
      const weight = weightOf(clock(time), clock(before ?? time - MINUTE));
      point.timeWeight = weight as Point["timeWeight"];
    }
  };
  return behavior;
}

/** The text of a mark on the axis: a year, a month, a day or a time. `local` is in the zone's clock. */
export function tickText(local: number, type: TickMarkType, locale: string): string {
  const parts: Intl.DateTimeFormatOptions =
    type === TickMarkType.Year
      ? { year: "numeric" }
      : type === TickMarkType.Month
        ? { month: "short" }
        : type === TickMarkType.DayOfMonth
          ? { day: "numeric", month: "short" }
          : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Intl.DateTimeFormat(locale, { ...parts, timeZone: "UTC" }).format(local * 1000);
}
