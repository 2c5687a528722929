/** Times in the exchange's zone or in the viewer's. */

import { Signal, remember, remembered } from "./state.ts";

export type Zone = "exchange" | "viewer";
export type TimeStyle = "time" | "minute" | "moment" | "day" | "full";

const KEY = "stockstream.zone";
const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
const DAY = { day: "numeric", month: "short" } as const;
const STYLES: Readonly<Record<TimeStyle, Intl.DateTimeFormatOptions>> = {
  time: { ...CLOCK, second: "2-digit" },
  minute: { ...DAY, ...CLOCK },
  moment: { ...DAY, ...CLOCK, second: "2-digit", timeZoneName: "short" },
  day: { ...DAY, weekday: "short", year: "numeric" },
  full: { ...DAY, ...CLOCK, year: "numeric", second: "2-digit", timeZoneName: "short" },
};

export class Times {
  readonly #zone: Signal<Zone>;
  readonly #formats = new Map<string, Intl.DateTimeFormat>();

  constructor(
    zone: string | null = remembered(KEY),
    private readonly viewerZone: string = Intl.DateTimeFormat().resolvedOptions().timeZone,
  ) {
    this.#zone = new Signal<Zone>(zone === "viewer" ? "viewer" : "exchange");
  }

  get zone(): Zone {
    return this.#zone.value;
  }

  /** Shows times in another zone. A choice of the viewer is remembered; one of a permalink is not. */
  setZone(zone: Zone, { keep = false }: { keep?: boolean } = {}): void {
    if (keep) remember(KEY, zone);
    this.#zone.set(zone);
  }

  onZoneChange(listener: (zone: Zone) => void): () => void {
    return this.#zone.onChange(listener);
  }

  /** The IANA name of the zone in which times of this exchange are shown. */
  zoneName(exchangeZone?: string): string {
    return this.zone === "viewer" ? this.viewerZone : (exchangeZone ?? "UTC");
  }

  /** A time as text. Without the zone of an exchange, it is in UTC or in the viewer's zone. */
  format(time: string | number | Date | null | undefined, style: TimeStyle, exchangeZone?: string): string {
    const date = new Date(time ?? Number.NaN);
    return Number.isNaN(date.getTime()) ? "–" : this.#format(style, this.zoneName(exchangeZone)).format(date);
  }

  #format(style: TimeStyle, zone: string): Intl.DateTimeFormat {
    const key = `${style} ${zone}`;
    let format = this.#formats.get(key);
    if (format === undefined) {
      format = new Intl.DateTimeFormat("en-GB", { ...STYLES[style], timeZone: known(zone) });
      this.#formats.set(key, format);
    }
    return format;
  }
}

function known(zone: string): string {
  try {
    new Intl.DateTimeFormat("en-GB", { timeZone: zone });
    return zone;
  } catch {
    return "UTC"; // an exchange whose zone this browser does not know
  }
}
