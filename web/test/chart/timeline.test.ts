import { describe, expect, it } from "vitest";

import { MOST_MISSING, SESSION_SPACE, type Session, timeline } from "../../src/chart/timeline.ts";

const at = (text: string): number => Date.parse(text) / 1000;
const bars = (...texts: string[]): { time: number }[] => texts.map((text) => ({ time: at(text) }));
const session = (day: string, opens: string, closes: string): Session => ({
  day: at(`${day}T00:00:00Z`),
  opens: at(`${day}T${opens}:00Z`),
  closes: at(`${day}T${closes}:00Z`),
});
const iso = (times: readonly number[]): string[] => times.map((time) => new Date(time * 1000).toISOString().slice(0, 16));

const FRIDAY = session("2026-11-27", "14:30", "18:00");
const MONDAY = session("2026-11-30", "14:30", "21:00");

describe("the places of a time axis", () => {
  it("are those of the bars if none is missing", () => {
    const { empty, gaps } = timeline(bars("2026-11-27T15:00Z", "2026-11-27T15:01Z"), "1m", [FRIDAY]);
    expect(empty).toEqual([]);
    expect(gaps).toEqual([]);
  });

  it("hold an empty one for each missing minute of a session", () => {
    const { empty, gaps } = timeline(bars("2026-11-27T15:00Z", "2026-11-27T15:04Z"), "1m", [FRIDAY]);
    expect(iso(empty)).toEqual(["2026-11-27T15:01", "2026-11-27T15:02", "2026-11-27T15:03"]);
    expect(gaps).toEqual([{ from: at("2026-11-27T15:01Z"), to: at("2026-11-27T15:04Z"), missing: 3 }]);
  });

  it("set sessions apart without counting the night as a gap", () => {
    const { empty, gaps } = timeline(bars("2026-11-27T17:59Z", "2026-11-30T14:30Z"), "1m", [FRIDAY, MONDAY]);
    expect(gaps).toEqual([]);
    expect(empty).toHaveLength(SESSION_SPACE);
    expect(iso(empty).at(-1)).toBe("2026-11-30T14:29");
  });

  it("hold what is missing at the end of one session and at the start of the next, with a space between", () => {
    const { empty, gaps } = timeline(bars("2026-11-27T17:57Z", "2026-11-30T14:32Z"), "1m", [FRIDAY, MONDAY]);
    expect(gaps[0]?.missing).toBe(4);
    expect(iso(empty)).toEqual([
      "2026-11-27T17:58",
      "2026-11-27T17:59",
      "2026-11-30T14:27",
      "2026-11-30T14:28",
      "2026-11-30T14:29",
      "2026-11-30T14:30",
      "2026-11-30T14:31",
    ]);
  });

  it("respect a break within the day", () => {
    const halves = [session("2026-11-27", "00:00", "02:30"), session("2026-11-27", "03:30", "06:00")];
    const { empty, gaps } = timeline(bars("2026-11-27T02:29Z", "2026-11-27T03:31Z"), "1m", halves);
    expect(gaps[0]?.missing).toBe(1);
    expect(empty).toHaveLength(1 + SESSION_SPACE);
  });

  it("count a coarser bar that only begins before the open", () => {
    // The bar of 14:00 to 15:00 holds the first half hour after the open at 14:30.
    const { gaps } = timeline(bars("2026-11-27T17:00Z", "2026-11-30T15:00Z"), "1h", [FRIDAY, MONDAY]);
    expect(iso([gaps[0]!.from])).toEqual(["2026-11-30T14:00"]);
    expect(gaps[0]?.missing).toBe(1);
  });

  it("of days hold the exchange's days without a bar, and no weekend", () => {
    const thursday = session("2026-11-26", "14:30", "21:00");
    const days = bars("2026-11-26T00:00Z", "2026-11-30T00:00Z");
    const { empty, gaps } = timeline(days, "1d", [thursday, FRIDAY, MONDAY]);
    expect(iso(empty)).toEqual(["2026-11-27T00:00"]);
    expect(gaps[0]?.missing).toBe(1);
    expect(timeline(days, "1d", [thursday, MONDAY]).empty).toEqual([]);
  });

  it("grow without a break where the market never closes", () => {
    const saturday = { day: at("2026-11-28T00:00Z"), opens: at("2026-11-28T00:00Z"), closes: at("2026-11-29T00:00Z") };
    const sunday = { day: at("2026-11-29T00:00Z"), opens: at("2026-11-29T00:00Z"), closes: at("2026-11-30T00:00Z") };
    const { empty, gaps } = timeline(bars("2026-11-28T23:58Z", "2026-11-29T00:02Z"), "1m", [saturday, sunday]);
    expect(gaps[0]?.missing).toBe(3);
    expect(empty).toHaveLength(3);
  });

  it("take a long pause for a closed market if no sessions are known", () => {
    expect(timeline(bars("2026-11-27T15:00Z", "2026-11-27T15:03Z"), "1m", null).empty).toHaveLength(2);
    const night = timeline(bars("2026-11-27T17:59Z", "2026-11-30T14:30Z"), "1m", null);
    expect(night.gaps).toEqual([]);
    expect(night.empty).toHaveLength(SESSION_SPACE);
  });

  it("stay few if almost everything is missing", () => {
    const long = [{ day: 0, opens: 0, closes: 10 * MOST_MISSING * 60 }];
    const { empty, gaps } = timeline([{ time: 0 }, { time: 9 * MOST_MISSING * 60 }], "1m", long);
    expect(empty).toHaveLength(SESSION_SPACE);
    expect(gaps).toEqual([]);
  });

  it("are in order, and never that of a bar", () => {
    const some = bars("2026-11-27T15:00Z", "2026-11-27T15:02Z", "2026-11-27T17:50Z", "2026-11-30T15:00Z");
    const { empty } = timeline(some, "5m", [FRIDAY, MONDAY]);
    expect([...empty].sort((one, other) => one - other)).toEqual(empty);
    expect(new Set([...empty, ...some.map((bar) => bar.time)]).size).toBe(empty.length + some.length);
  });
});
