import type { Bar } from "../../src/chart/bars.ts";

/** A bar for tests, with every price the same. */
export function barAt(time: number, close = "10.5", more: Partial<Bar> = {}): Bar {
  const price = { text: close, value: Number(close) };
  return {
    time,
    start: time,
    open: price,
    high: price,
    low: price,
    close: price,
    volume: 100,
    isOpen: false,
    indicators: {},
    ...more,
  };
}
