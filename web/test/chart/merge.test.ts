import { describe, expect, it } from "vitest";

import { indexAt, merged } from "../../src/chart/bars.ts";
import { barAt } from "./bars.ts";

const times = (bars: readonly { time: number }[]): number[] => bars.map((bar) => bar.time);

describe("merging bars", () => {
  it("puts an older page before what is known, each time once", () => {
    const { bars, change } = merged([barAt(180), barAt(240)], [barAt(60), barAt(120), barAt(180)]);
    expect(times(bars)).toEqual([60, 120, 180, 240]);
    expect(change).toBe("many");
  });

  it("takes a page that is newest first", () => {
    expect(times(merged([], [barAt(240), barAt(180), barAt(60)]).bars)).toEqual([60, 180, 240]);
  });

  it("changes nothing if the page says nothing new", () => {
    const known = [barAt(60), barAt(120)];
    const again = merged(known, [barAt(120), barAt(60)]);
    expect(again.change).toBe("none");
    expect(again.bars).toBe(known);
  });

  it("replaces the newest bar while it is open", () => {
    const { bars, change } = merged(
      [barAt(60), barAt(120, "10.5", { isOpen: true })],
      [barAt(60), barAt(120, "10.75", { isOpen: true })],
    );
    expect(change).toBe("newest");
    expect(bars.at(-1)?.close.text).toBe("10.75");
  });

  it("sees that a bar has closed although its prices are the same", () => {
    expect(merged([barAt(60, "10.5", { isOpen: true })], [barAt(60)]).change).toBe("newest");
  });

  it("sees more digits of the same value", () => {
    expect(merged([barAt(60, "10.5")], [barAt(60, "10.50")]).change).toBe("newest");
  });

  it("says that more changed if an earlier bar was rebuilt, whatever the order of the page", () => {
    const known = [barAt(60), barAt(120)];
    expect(merged(known, [barAt(60, "11"), barAt(120, "12")]).change).toBe("many");
    expect(merged(known, [barAt(120, "12"), barAt(60, "11")]).change).toBe("many");
  });

  it("sees a new bar after the newest", () => {
    expect(merged([barAt(60)], [barAt(120), barAt(60)]).change).toBe("many");
  });

  it("sees that an indicator was added", () => {
    expect(merged([barAt(60)], [barAt(60, "10.5", { indicators: { sma_20: 10 } })]).change).toBe("newest");
  });
});

describe("finding the bar of a time", () => {
  it("is the last that starts at or before it", () => {
    const bars = [barAt(60), barAt(120), barAt(300)];
    expect([59, 60, 119, 120, 299, 300, 999].map((time) => indexAt(bars, time))).toEqual([-1, 0, 0, 1, 1, 2, 2]);
    expect(indexAt([], 5)).toBe(-1);
  });
});
