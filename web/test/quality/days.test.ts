import { describe, expect, it } from "vitest";

import type { CoverageDay } from "../../src/answers.ts";
import { parseJson } from "../../src/numbers.ts";
import { coverageText, partsOf } from "../../src/quality/days.ts";

type Counts = Record<"stream" | "rebuild" | "backfill" | "without_trades" | "missing", number>;

function day(counts: Partial<Counts>): CoverageDay {
  const all: Counts = { stream: 0, rebuild: 0, backfill: 0, without_trades: 0, missing: 0, ...counts };
  const stored = all.stream + all.rebuild + all.backfill;
  const times = { opens: "2026-11-27T14:30:00.000Z", closes: "2026-11-27T18:00:00.000Z" };
  const expected = stored + all.without_trades + all.missing;
  return parseJson(JSON.stringify({ day: "2026-11-27", ...times, ...all, stored, expected })) as CoverageDay;
}

describe("the coverage of a day", () => {
  it("is a part for each state that has minutes, from the one end to the other", () => {
    expect(partsOf(day({ stream: 100, backfill: 50, missing: 50 }))).toEqual([
      { state: "stream", from: 0, to: 0.5 },
      { state: "backfill", from: 0.5, to: 0.75 },
      { state: "missing", from: 0.75, to: 1 },
    ]);
  });

  it("has no part before its first minute is over", () => {
    expect(partsOf(day({}))).toEqual([]);
  });
});

describe("the coverage of several days", () => {
  it("is told in figures that add up", () => {
    const days = [day({ stream: 1_200, rebuild: 8, without_trades: 2 }), day({ backfill: 390 }), day({ missing: 400 })];
    expect(coverageText(days).replaceAll("\u202f", " ")).toBe(
      "1 598 of 2 000 minutes are stored (80 %): 1 200 as they arrived, 8 rebuilt, 390 backfilled. " +
        "2 had no trade at the source. 400 are missing, on 1 day.",
    );
  });

  it("says that nothing is missing, and that nothing is expected", () => {
    expect(coverageText([day({ stream: 5 })])).toMatch(/None is missing\.$/);
    expect(coverageText([])).toBe("No minute of a session is over in this time.");
  });
});
