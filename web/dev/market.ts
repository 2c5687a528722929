/** A market for development: each price is a function of symbol and minute, so any range can be asked for. */

export const MINUTE = 60_000;
const DAY = 86_400_000;
const NAMES = ["AAPL", "MSFT", "NVDA", "GOOGL", "AMZN", "BRK-B", "BTC-USD", "EURUSD=X", "^GSPC", "7203.T", "VOD.L", "QUIET"];

export interface Listed {
  readonly symbol: string;
  readonly exchange: string;
  readonly currency: string;
  readonly calendar: string;
  readonly timezone: string;
  readonly base: number;
  readonly digits: number;
  readonly seed: number;
}
export interface MockBar {
  start: string;
  open: string;
  high: string;
  low: string;
  close: string;
  volume: number;
  quotes: number;
  day?: string;
}

// The session of each day began three hours before the mock did, so that it is always open.
const OPENS = (Math.floor(Date.now() / (60 * MINUTE)) * 60 - 180) * MINUTE;
const SESSION = 6.5 * 60 * MINUTE;

export function list(count: number): Listed[] {
  return Array.from({ length: count }, (_, index) => {
    const symbol = NAMES[index] ?? `S${String(index).padStart(4, "0")}`;
    const seed = [...symbol].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 99_991, 7);
    const always = symbol === "BTC-USD" || symbol === "EURUSD=X";
    const zones = symbol.endsWith(".T") ? "Asia/Tokyo" : symbol.endsWith(".L") ? "Europe/London" : "America/New_York";
    return {
      symbol,
      seed,
      exchange: always ? "CCC" : symbol.endsWith(".T") ? "JPX" : symbol.endsWith(".L") ? "LSE" : "NMS",
      currency: symbol.endsWith(".T") ? "JPY" : symbol.endsWith(".L") ? "GBp" : "USD",
      calendar: always ? "24/7" : symbol.endsWith(".T") ? "XTKS" : "XNYS",
      timezone: always ? "UTC" : zones,
      base: symbol === "BTC-USD" ? 93_000 : symbol === "EURUSD=X" ? 1.0873 : 20 + (seed % 600),
      digits: symbol === "EURUSD=X" ? 6 : symbol.endsWith(".T") ? 1 : 2,
    };
  }).sort((a, b) => (a.symbol < b.symbol ? -1 : 1));
}

export function noise(a: number, b: number): number {
  let x = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b | 0, 0xc2b2ae35);
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
  return ((x ^ (x >>> 13)) >>> 0) / 4_294_967_296;
}

export function priceAt(of: Listed, time: number): string {
  const t = time / MINUTE;
  const slow = Math.sin(t / 1_700 + of.seed) * 0.03 + Math.sin(t / 310 + of.seed * 2) * 0.008;
  const fast = Math.sin(t / 41 + of.seed * 3) * 0.003 + (noise(of.seed, Math.floor(time / 1_000)) - 0.5) * 0.0012;
  return (of.base * (1 + slow + fast)).toFixed(of.digits);
}

export function session(of: Listed, time: number): { opens: number; closes: number } | null {
  const opens = OPENS + Math.floor((time - OPENS) / DAY) * DAY;
  if (of.calendar === "24/7") return { opens: Math.floor(time / DAY) * DAY, closes: (Math.floor(time / DAY) + 1) * DAY };
  return { opens, closes: opens + SESSION };
}

/** Whether the feed has this minute: within the session, and outside its gaps. */
export function hasMinute(of: Listed, minute: number): boolean {
  const within = session(of, minute);
  if (!within || minute < within.opens || minute >= within.closes) return false;
  if (of.symbol === "QUIET" && minute > Date.now() - 20 * MINUTE) return false;
  const sinceOpen = (minute - within.opens) / MINUTE;
  return !(sinceOpen >= 65 && sinceOpen < 77) && noise(of.seed, minute / MINUTE) > 0.01;
}

export function minuteBar(of: Listed, minute: number, now: number): MockBar {
  const steps = 12;
  const prices = Array.from({ length: steps }, (_, step) => minute + (step * MINUTE) / steps)
    .filter((time) => time <= now)
    .map((time) => priceAt(of, time));
  const sorted = [...prices].sort((a, b) => Number(a) - Number(b));
  return {
    start: new Date(minute).toISOString(),
    open: prices[0] ?? "0",
    high: sorted.at(-1) ?? "0",
    low: sorted[0] ?? "0",
    close: prices.at(-1) ?? "0",
    volume: Math.floor(noise(of.seed, minute / MINUTE + 7) ** 3 * 90_000) * 10,
    quotes: prices.length,
  };
}

export function offsetOf(zone: string, time: number): number {
  const parts = new Intl.DateTimeFormat("en-GB", { timeZone: zone, timeZoneName: "longOffset" }).formatToParts(time);
  const match = /([+-])(\d\d):(\d\d)/.exec(parts.find((part) => part.type === "timeZoneName")?.value ?? "");
  return match ? (match[1] === "-" ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3])) * MINUTE : 0;
}

export const SIZES: Readonly<Record<string, number>> = {
  "1m": MINUTE,
  "5m": 5 * MINUTE,
  "15m": 15 * MINUTE,
  "1h": 60 * MINUTE,
  "1d": DAY,
};

/** The newest `limit` bars before `end` and not before `start`, newest first. */
export function bars(of: Listed, resolution: string, start: number, end: number, limit: number, now: number): MockBar[] {
  const size = SIZES[resolution] ?? MINUTE;
  const offset = offsetOf(of.timezone, now);
  const found: MockBar[] = [];
  let bucket = Math.floor((Math.min(end - 1, now) + offset) / size) * size - offset;
  for (let tries = 0; tries < limit * 40 && found.length < limit && bucket >= start; tries++, bucket -= size) {
    // A day is sampled each 15 minutes, which is enough for a picture.
    const step = resolution === "1d" ? 15 * MINUTE : resolution === "1h" ? 5 * MINUTE : MINUTE;
    let whole: MockBar | null = null;
    for (let minute = bucket; minute < bucket + size && minute <= now; minute += step) {
      if (!hasMinute(of, minute)) continue;
      const bar = minuteBar(of, minute, now);
      if (whole === null) whole = { ...bar, start: new Date(bucket).toISOString() };
      else {
        if (Number(bar.high) > Number(whole.high)) whole.high = bar.high;
        if (Number(bar.low) < Number(whole.low)) whole.low = bar.low;
        whole.close = bar.close;
        whole.volume += bar.volume;
        whole.quotes += bar.quotes;
      }
    }
    if (whole !== null) {
      if (resolution === "1d") whole.day = new Date(bucket + offset).toISOString().slice(0, 10);
      found.push(whole);
    }
  }
  return found;
}
