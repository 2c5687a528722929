/** The mock's answers, as JSON text, in the shapes of the query API. Numbers are written with the digits of their text. */

import { MINUTE, type Listed, type MockBar, SIZES, bars, hasMinute, list, minuteBar, noise, priceAt, session } from "./market.ts";

export interface MockAnswer {
  readonly status: number;
  readonly body: string;
}

class Raw {
  constructor(readonly text: string) {}
}

/** JSON in which a `Raw` is a number with exactly these digits. */
function json(value: unknown): string {
  return JSON.stringify(value, (_key, item) => (item instanceof Raw ? `\u0001${item.text}\u0001` : item)).replace(
    /"\\u0001([^"\\]*)\\u0001"/g,
    "$1",
  );
}

const RULES = [
  ["price_move", "warning"],
  ["rsi", "info"],
  ["volume_spike", "warning"],
  ["stale_feed", "critical"],
  ["macd_crossover", "info"],
  ["z_score", "warning"],
] as const;

export function answer(url: URL, count: number): MockAnswer {
  const now = Date.now();
  const listed = list(count);
  const [, version, name = "", part = ""] = url.pathname.split("/");
  const symbol = decodeURIComponent(part);
  const of = listed.find((one) => one.symbol === symbol);
  const query = url.searchParams;
  if (version !== "v1") return problem(404, "not-found", "There is no such path.");
  if (["quotes", "bars", "sessions", "gaps", "coverage"].includes(name) && !of)
    return problem(404, "symbol-unknown", `Nothing is stored of the symbol ${symbol}.`);
  switch (name) {
    case "symbols":
      return ok({ as_of: iso(now), symbols: listed.map((one) => infoOf(one, now)) });
    case "latest":
      return latest(listed, query.get("symbols"), now);
    case "bars":
      return barsOf(of as Listed, query, now);
    case "quotes":
      return quotesOf(of as Listed, query, now);
    case "sessions":
      return sessionsOf(of as Listed, query, now);
    case "gaps":
      return gapsOf(of as Listed, query, now);
    case "coverage":
      return coverageOf(of as Listed, now);
    case "alerts":
      return alerts(listed, query, now);
    case "status":
      return status(listed, now);
    default:
      return problem(404, "not-found", `There is no path ${url.pathname}.`);
  }
}

function infoOf(of: Listed, now: number): object {
  const quote = quoteOf(of, now);
  return {
    symbol: of.symbol,
    exchange: of.exchange,
    currency: of.currency,
    calendar: of.calendar,
    timezone: of.timezone,
    event_time: iso(quote.time),
    delay_minutes: of.exchange === "NMS" ? 0 : 15,
    is_open: quote.freshness !== "closed",
    freshness: quote.freshness,
  };
}

function quoteOf(of: Listed, now: number): { time: number; freshness: string } {
  if (of.symbol === "QUIET") return { time: now - 20 * MINUTE, freshness: "stale" };
  const within = session(of, now);
  if (within && now >= within.closes) return { time: within.closes - 1_000, freshness: "closed" };
  if (of.symbol === "VOD.L" || of.seed % 41 === 0) return { time: now - 9 * 60 * MINUTE, freshness: "closed" };
  if (of.seed % 37 === 0) return { time: now - 7 * MINUTE, freshness: "stale" };
  const period = 1 + (of.seed % 5);
  return { time: Math.floor(now / 1_000 / period) * 1_000 * period, freshness: "fresh" };
}

function latest(listed: readonly Listed[], wanted: string | null, now: number): MockAnswer {
  const names = wanted?.split(",");
  const known = listed.filter((one) => !names || names.includes(one.symbol));
  const quotes = known.map((one) => {
    const { time, freshness } = quoteOf(one, now);
    const price = priceAt(one, time);
    const before = priceAt(one, (session(one, time)?.opens ?? time) - 60 * MINUTE);
    const change = (Number(price) - Number(before)).toFixed(one.digits);
    const minute = Math.floor(time / MINUTE) * MINUTE;
    return {
      symbol: one.symbol,
      price: new Raw(price),
      previous_close: new Raw(before),
      change: new Raw(change),
      change_percent: new Raw(((Number(change) / Number(before)) * 100).toFixed(4)),
      volume: one.seed * 1_317,
      currency: one.currency,
      exchange: one.exchange,
      event_time: iso(time),
      revision: 1,
      delay_minutes: one.exchange === "NMS" ? 0 : 15,
      is_open: freshness !== "closed",
      freshness,
      bar: freshness === "fresh" ? rawBar(minuteBar(one, minute, now)) : undefined,
    };
  });
  return ok({ as_of: iso(now), quotes, unknown: names?.filter((name) => !listed.some((one) => one.symbol === name)) ?? [] });
}

function barsOf(of: Listed, query: URLSearchParams, now: number): MockAnswer {
  const resolution = query.get("resolution") ?? "1m";
  const size = SIZES[resolution];
  if (!size) return problem(400, "parameter-invalid", "resolution must be one of 1m, 5m, 15m, 1h, 1d.", "resolution");
  const limit = Number(query.get("limit") ?? 500);
  const end = Number(query.get("cursor") ?? 0) || timeOf(query.get("end"), now + 1);
  const start = timeOf(query.get("start"), now - 400 * 86_400_000);
  const indicators = query.get("indicators") ?? "none";
  const found = bars(of, resolution, start, end, limit + (indicators === "none" ? 0 : 60), now);
  const closes = found.map((bar) => Number(bar.close)).reverse();
  const rows = found.slice(0, limit).map((bar, index) => ({
    ...rawBar(bar),
    ...(Date.parse(bar.start) + size > now && resolution !== "1d" ? { is_open: true } : {}),
    ...(indicators === "none" ? {} : { indicators: indicatorsOf(closes.slice(0, closes.length - index), indicators) }),
  }));
  const last = found[limit - 1];
  if (query.get("order") === "asc") rows.reverse();
  const body = { symbol: of.symbol, resolution, timezone: of.timezone, currency: of.currency, bars: rows };
  return ok({ ...body, next: last && found.length >= limit ? String(Date.parse(last.start)) : null });
}

function indicatorsOf(closes: readonly number[], names: string): Record<string, Raw> {
  const mean = (size: number): number => closes.slice(-size).reduce((sum, close) => sum + close, 0) / size;
  const ema = (size: number): number => closes.slice(-4 * size).reduce((value, close) => value + ((close - value) * 2) / (size + 1));
  const middle = mean(20);
  const deviation = Math.sqrt(closes.slice(-20).reduce((sum, close) => sum + (close - middle) ** 2, 0) / 20);
  const moves = closes.slice(-15).map((close, index, all) => close - (all[index - 1] ?? close));
  const gain = moves.reduce((sum, move) => sum + Math.max(move, 0), 0);
  const all = moves.reduce((sum, move) => sum + Math.abs(move), 0) || 1;
  const macd = ema(12) - ema(26);
  const known: Record<string, number> = {
    sma_5: mean(5),
    sma_20: middle,
    sma_50: mean(50),
    ema_12: ema(12),
    ema_26: ema(26),
    bollinger_upper: middle + 2 * deviation,
    bollinger_lower: middle - 2 * deviation,
    rsi_14: (100 * gain) / all,
    macd,
    macd_signal: macd * 0.8,
    macd_histogram: macd * 0.2,
  };
  const wanted = names === "all" ? null : names.split(",");
  return Object.fromEntries(
    Object.entries(known)
      .filter(([name]) => closes.length >= 50 && (!wanted || wanted.includes(name)))
      .map(([name, value]) => [name, new Raw(value.toPrecision(8))]),
  );
}

function quotesOf(of: Listed, query: URLSearchParams, now: number): MockAnswer {
  const newest = Number(query.get("cursor") ?? 0) || quoteOf(of, now).time;
  const limit = Number(query.get("limit") ?? 500);
  const quotes = Array.from({ length: limit }, (_, index) => newest - index * 5_000).map((time) => ({
    event_time: iso(time),
    revision: 1,
    price: new Raw(priceAt(of, time)),
    ingest_time: iso(time + 300),
  }));
  return ok({ symbol: of.symbol, quotes, next: String(newest - limit * 5_000) });
}

function sessionsOf(of: Listed, query: URLSearchParams, now: number): MockAnswer {
  const start = timeOf(query.get("start"), now - 7 * 86_400_000);
  const end = timeOf(query.get("end"), now + 7 * 86_400_000);
  const sessions = [];
  for (let day = start; day < end; day += 86_400_000) {
    const found = session(of, day);
    if (found) sessions.push({ day: iso(found.opens).slice(0, 10), opens: iso(found.opens), closes: iso(found.closes) });
  }
  const year = new Date(now).getUTCFullYear();
  const body = { symbol: of.symbol, calendar: of.calendar, timezone: of.timezone, sessions };
  return ok({ ...body, known_from: `${year}-01-01`, known_to: `${year}-12-31` });
}

function gapsOf(of: Listed, query: URLSearchParams, now: number): MockAnswer {
  const current = session(of, now) ?? { opens: now, closes: now };
  const start = timeOf(query.get("start"), current.opens);
  const end = Math.min(timeOf(query.get("end"), current.closes), Math.floor(now / MINUTE) * MINUTE);
  const gaps: { start: string; end: string; minutes: number }[] = [];
  let expected = 0;
  let stored = 0;
  let from: number | null = null;
  for (let minute = start; minute <= end; minute += MINUTE) {
    const within = session(of, minute);
    const open = minute < end && within !== null && minute >= within.opens && minute < within.closes;
    const there = open && hasMinute(of, minute);
    if (open) expected += 1;
    if (there) stored += 1;
    if (open && !there) from ??= minute;
    else if (from !== null) {
      gaps.push({ start: iso(from), end: iso(minute), minutes: (minute - from) / MINUTE });
      from = null;
    }
  }
  return ok({ symbol: of.symbol, start: iso(start), end: iso(end), expected_minutes: expected, stored_minutes: stored, gaps });
}

/** The last 30 days. Bars of days that are long over are made up by the index of the day. */
function coverageOf(of: Listed, now: number): MockAnswer {
  const days: object[] = [];
  for (let back = 29; back >= 0; back--) {
    const within = session(of, now - back * 24 * 60 * MINUTE);
    const weekday = new Date(within?.opens ?? now).getUTCDay();
    if (within === null || (of.calendar !== "24/7" && (weekday === 0 || weekday === 6)) || within.opens > now) continue;
    const expected = Math.floor((Math.min(within.closes, now) - within.opens) / MINUTE);
    const missing = back > 20 || noise(of.seed, back) > 0.7 ? Math.floor(expected * noise(of.seed, back + 50) * 0.2) : 0;
    const backfill = back > 10 ? Math.floor((expected - missing) * noise(of.seed, back + 100)) : 0;
    const rebuild = back === 4 ? Math.floor(expected / 6) : 0;
    const without_trades = Math.min(3, expected - missing - backfill - rebuild);
    const stored = expected - missing - without_trades;
    const counts = { expected, stored, stream: stored - backfill - rebuild, backfill, rebuild, without_trades, missing };
    days.push({ day: iso(within.opens).slice(0, 10), opens: iso(within.opens), closes: iso(within.closes), ...counts });
  }
  const known = { known_from: iso(now - 400 * 24 * 60 * MINUTE), known_to: iso(now + 100 * 24 * 60 * MINUTE) };
  return ok({ symbol: of.symbol, calendar: of.calendar, timezone: of.timezone, days, ...known });
}

function alerts(listed: readonly Listed[], query: URLSearchParams, now: number): MockAnswer {
  const limit = Number(query.get("limit") ?? 100);
  const newest = Number(query.get("cursor") ?? 0) || Math.floor(now / 20_000);
  const found = [];
  let index = newest;
  for (; index > newest - 4_000 && found.length < limit; index--) {
    if (noise(index, 3) < 0.6) continue;
    const [rule, severity] = RULES[Math.floor(noise(index, 1) * RULES.length)] ?? RULES[0];
    const of = listed[Math.floor(noise(index, 2) * Math.min(listed.length, 12))] as Listed;
    const time = index * 20_000;
    const about = rule === "stale_feed" ? "lane-2" : of.symbol;
    if (query.get("rule") && query.get("rule") !== rule) continue;
    if (query.get("severity") && query.get("severity") !== severity) continue;
    if (query.get("symbol") && query.get("symbol") !== about) continue;
    found.push({
      id: `${rule}:${about}:${iso(time)}`,
      rule,
      severity,
      symbol: about,
      ...(rule === "stale_feed" ? { symbols: ["QUIET", "VOD.L", "MSFT"] } : {}),
      timestamp: iso(time),
      ...subjectOf(rule, of, time),
    });
  }
  return ok({ alerts: found, next: index > 0 && found.length === limit ? String(index) : null });
}

function subjectOf(rule: string, of: Listed, time: number): { subject: string; values: Record<string, Raw> } {
  const close = priceAt(of, time);
  switch (rule) {
    case "price_move":
      return {
        subject: `${of.symbol} moved +3.12% to ${close}`,
        values: { price: new Raw(close), change_percent: new Raw("3.12"), threshold: new Raw("3") },
      };
    case "rsi":
      return { subject: `${of.symbol}: RSI 14 is 74.2 at ${close}`, values: { close: new Raw(close), rsi_14: new Raw("74.2118") } };
    case "stale_feed":
      return {
        subject: "3 symbols have had no new price for 15 minutes: MSFT, QUIET, VOD.L",
        values: { minutes: new Raw("15"), symbols: new Raw("3") },
      };
    default:
      return {
        subject: `${of.symbol}: ${rule.replaceAll("_", " ")} at ${close}`,
        values: { close: new Raw(close), threshold: new Raw("10"), volume_ratio: new Raw("12.41") },
      };
  }
}

function status(listed: readonly Listed[], now: number): MockAnswer {
  const lanes = [0, 1, 2, 3].map((lane) => {
    const of = listed.filter((one) => one.seed % 4 === lane);
    const stale = of.filter((one) => quoteOf(one, now).freshness === "stale").length;
    const complete = iso(Math.floor(now / 1_000) * 1_000);
    return { lane: `lane-${lane}`, symbols: of.length, stale, clock: complete, complete_to: complete, arrival: complete, newest_event_time: complete };
  });
  const counts = [6, 5, 4, 3, 2, 1, 0].map((ago) => ({
    day: iso(now - ago * 86_400_000).slice(0, 10),
    quotes: Math.floor(240_000 * (0.8 + noise(ago, 5) * 0.4)),
    late: Math.floor(noise(ago, 6) * 40),
    repeated: Math.floor(noise(ago, 7) * 900),
  }));
  const problems = ["2 symbols of lane-2 are stale: QUIET and VOD.L."];
  return ok({ as_of: iso(now), lanes, last_batch: iso(now - 800), counts, quarantine: { messages: 2, in_flight: 0 }, problems });
}

function rawBar(bar: MockBar): object {
  const { open, high, low, close } = bar;
  return { ...bar, open: new Raw(open), high: new Raw(high), low: new Raw(low), close: new Raw(close) };
}

function timeOf(text: string | null, otherwise: number): number {
  if (!text) return otherwise;
  return /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text);
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

function ok(value: unknown): MockAnswer {
  return { status: 200, body: json(value) };
}

function problem(status: number, kind: string, detail: string, parameter?: string): MockAnswer {
  return { status, body: JSON.stringify({ type: `urn:stockstream:${kind}`, title: kind, status, detail, parameter }) };
}
