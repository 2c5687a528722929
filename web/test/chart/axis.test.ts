import { describe, expect, it } from "vitest";

import { weightOf } from "../../src/chart/axis.ts";
import { localClock } from "../../src/chart/clock.ts";

const at = (text: string): number => Date.parse(text) / 1000;

describe("the clock of a zone", () => {
  it("is summer time in summer only", () => {
    const clock = localClock("America/New_York");
    expect(clock(at("2026-07-01T13:30:00Z"))).toBe(at("2026-07-01T09:30:00Z"));
    expect(clock(at("2026-11-27T14:30:59Z"))).toBe(at("2026-11-27T09:30:59Z"));
  });

  it("jumps at the change itself", () => {
    const clock = localClock("America/New_York");
    expect(clock(at("2026-11-01T05:59:59Z"))).toBe(at("2026-11-01T01:59:59Z"));
    expect(clock(at("2026-11-01T06:00:00Z"))).toBe(at("2026-11-01T01:00:00Z"));
  });

  it("is UTC where the browser does not know the zone", () => {
    expect(localClock("Nowhere/Atlantis")(5)).toBe(5);
  });

  it("knows zones of half hours", () => {
    expect(localClock("Asia/Kolkata")(at("2026-11-27T18:30:00Z"))).toBe(at("2026-11-28T00:00:00Z"));
  });
});

describe("the weight of a mark", () => {
  const weight = (previous: string, current: string): number => weightOf(at(current), at(previous));

  it("grows with the step that ends there", () => {
    const weights = [
      weight("2026-11-27T09:31:00Z", "2026-11-27T09:32:00Z"),
      weight("2026-11-27T09:34:00Z", "2026-11-27T09:35:00Z"),
      weight("2026-11-27T09:29:00Z", "2026-11-27T09:30:00Z"),
      weight("2026-11-27T09:59:00Z", "2026-11-27T10:00:00Z"),
      weight("2026-11-27T11:59:00Z", "2026-11-27T12:00:00Z"),
      weight("2026-11-25T15:59:00Z", "2026-11-27T09:30:00Z"),
      weight("2026-11-30T15:59:00Z", "2026-12-01T09:30:00Z"),
      weight("2026-12-31T15:59:00Z", "2027-01-04T09:30:00Z"),
    ];
    expect(weights).toEqual([20, 21, 22, 30, 33, 50, 60, 70]);
  });

  it("is the weight of a day at the first bar of a session, whatever its hour", () => {
    expect(weight("2026-11-25T15:59:00Z", "2026-11-26T11:17:00Z")).toBe(50);
  });
});
