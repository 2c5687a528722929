/** The clock of a time zone. Pure. */

const QUARTER = 900;

/** Turns Unix seconds into the seconds that a clock in a zone would show, as if that clock showed UTC. */
export type LocalClock = (time: number) => number;

const clocks = new Map<string, LocalClock>();

/** The clock of a zone. That of a zone which this browser does not know is UTC. */
export function localClock(zone: string): LocalClock {
  let clock = clocks.get(zone);
  if (clock === undefined) {
    clock = clockOf(zone);
    clocks.set(zone, clock);
  }
  return clock;
}

/** Zones change their offset at full quarters of an hour, so each quarter is looked up once. */
function clockOf(zone: string): LocalClock {
  const format = formatOf(zone);
  if (format === null) return (time) => time;
  const offsets = new Map<number, number>();
  return (time) => {
    const quarter = Math.floor(time / QUARTER) * QUARTER;
    let offset = offsets.get(quarter);
    if (offset === undefined) {
      offset = localSeconds(format, quarter) - quarter;
      offsets.set(quarter, offset);
    }
    return time + offset;
  };
}

function formatOf(zone: string): Intl.DateTimeFormat | null {
  const parts = { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" } as const;
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone: zone, hourCycle: "h23", ...parts });
  } catch {
    return null;
  }
}

function localSeconds(format: Intl.DateTimeFormat, time: number): number {
  const parts = Object.fromEntries(format.formatToParts(time * 1000).map((part) => [part.type, Number(part.value)]));
  const { year, month, day, hour, minute, second } = parts as Record<string, number>;
  return Date.UTC(year!, month! - 1, day!, hour!, minute!, second!) / 1000;
}
