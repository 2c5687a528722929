import { describe, expect, it } from "vitest";

import { localClock } from "../../src/chart/clock.ts";
import { axisTime, chartBar, seconds, timeText } from "../../src/chart/wire.ts";
import { parseJson } from "../../src/numbers.ts";
import type { Bar } from "../../src/answers.ts";

const at = (text: string): number => Date.parse(text) / 1_000;
const answer = (more: object = {}): Bar =>
  parseJson(
    JSON.stringify({ start: "2026-11-27T15:10:00.000Z", open: 1, high: 2.5, low: 0.5, close: 2, ...more }),
  ) as Bar;

describe("a bar of the API", () => {
  const place = axisTime("1m", localClock("America/New_York"));

  it("stands at its start", () => {
    const bar = chartBar(answer({ volume: 7, indicators: { rsi_14: 55.5 } }), place);
    expect([bar.time, bar.start]).toEqual([at("2026-11-27T15:10:00Z"), at("2026-11-27T15:10:00Z")]);
    expect([bar.high.text, bar.volume, bar.isOpen, bar.indicators]).toEqual(["2.5", 7, false, { rsi_14: 55.5 }]);
  });

  it("may lack its volume, and may be open", () => {
    const bar = chartBar(answer({ is_open: true }), place);
    expect([bar.volume, bar.isOpen]).toEqual([null, true]);
  });

  it("of a day stands on the exchange's day, whatever the hour of its midnight", () => {
    const tokyo = axisTime("1d", localClock("Asia/Tokyo"));
    const day = { start: "2026-11-26T15:00:00.000Z" };
    expect(chartBar(answer({ ...day, day: "2026-11-27" }), tokyo).time).toBe(at("2026-11-27T00:00:00Z"));
    expect(chartBar(answer(day), tokyo).time).toBe(at("2026-11-27T00:00:00Z"));
  });
});

it("turns times into seconds and back", () => {
  expect(timeText(seconds("2026-11-27T15:10:00.000Z"))).toBe("2026-11-27T15:10:00.000Z");
});
