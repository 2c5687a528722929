import { expect, test } from "vitest";

import { merged, newAlerts, parseFilter, symbolsOf } from "../src/alert_list.ts";
import type { Alert, Bar, Freshness, LatestQuote } from "../src/answers.ts";
import { DEFAULT, arrange, counted, parametersOf, parseArrangement, sortedBy } from "../src/arrangement.ts";
import { waitSeconds } from "../src/backoff.ts";
import { lastSession, pathOf } from "../src/sparkline.ts";
import { Times } from "../src/times.ts";

const num = (value: number): { text: string; value: number } => ({ text: String(value), value });

function quote(symbol: string, price: number, change?: number, freshness: Freshness = "fresh"): LatestQuote {
  return {
    symbol,
    price: num(price),
    exchange: symbol === "B" ? "LSE" : "NMS",
    event_time: new Date(price * 1_000).toISOString(),
    freshness,
    ...(change === undefined ? {} : { change: num(change) }),
  };
}
const QUOTES = [quote("C", 10, -1, "closed"), quote("A", 30, 2), quote("B", 20, undefined, "stale"), quote("D", 10, 0)];
const order = (parameters: string): string =>
  arrange(QUOTES, parseArrangement(new URLSearchParams(parameters)))
    .map(({ symbol }) => symbol)
    .join("");

test.each([
  ["", "ABCD"],
  ["sort=-symbol", "DCBA"],
  ["sort=price", "CDBA"],
  ["sort=-price", "ABCD"],
  ["sort=change", "CDAB"],
  ["sort=-change", "ADCB"],
  ["sort=age", "ABCD"],
  ["sort=-age", "CDBA"],
  ["sort=state", "BADC"],
  ["sort=nonsense", "ABCD"],
  ["show=stale", "B"],
  ["show=closed", "C"],
  ["filter=nms&sort=-price", "ACD"],
  ["filter=%20b%20", "B"],
  ["filter=zz", ""],
])("the address ?%s shows the symbols %s", (parameters, expected) => {
  expect(order(parameters)).toBe(expected);
});

test("an arrangement survives in the address, and the default one leaves none", () => {
  const parameters = new URLSearchParams("sort=-percent&filter=A&show=stale");
  expect(parametersOf(parseArrangement(parameters))).toEqual(Object.fromEntries(parameters));
  expect(Object.values(parametersOf(DEFAULT)).join("")).toBe("");
});

test("a heading sorts the usual way first, and then the other way", () => {
  const first = sortedBy(DEFAULT, "percent");
  expect([first.column, first.descending]).toEqual(["percent", true]);
  expect(sortedBy(first, "percent").descending).toBe(false);
  expect(sortedBy(first, "age").descending).toBe(false);
});

test("quotes are counted by freshness", () => {
  expect(counted(QUOTES)).toEqual({ all: 4, fresh: 2, stale: 1, closed: 1 });
});

const bar = (start: string, close: number): Bar => ({ start, open: num(1), high: num(1), low: num(1), close: num(close) });

test("a sparkline begins after the last night, and a break at noon does not end it", () => {
  const bars = [
    bar("2026-11-26T20:45:00.000Z", 1),
    bar("2026-11-27T00:00:00.000Z", 2),
    bar("2026-11-27T01:45:00.000Z", 3),
    bar("2026-11-27T03:30:00.000Z", 4),
  ];
  expect(lastSession(bars)).toEqual([2, 3, 4]);
  expect(lastSession([...bars].reverse())).toEqual([2, 3, 4]);
  expect(lastSession([])).toEqual([]);
});

test("a path fills its box, and needs two values", () => {
  expect(pathOf([1, 3, 2], 100, 20, 0)).toBe("M0.0 20.0L50.0 0.0L100.0 10.0");
  expect(pathOf([5, 5], 100, 20)).toBe("M0.0 10.0L100.0 10.0");
  expect(pathOf([5], 100, 20)).toBe("");
});

const alert = (id: string, timestamp: string, symbols?: string[]): Alert => ({
  id,
  rule: "rsi",
  severity: "info",
  symbol: "AAPL",
  timestamp,
  subject: "",
  values: {},
  ...(symbols ? { symbols } : {}),
});

test("alerts of several pages are shown once, newest first", () => {
  const older = [alert("b", "2026-11-27T15:01:00.000Z"), alert("a", "2026-11-27T15:00:00.000Z")];
  const newer = [alert("c", "2026-11-27T15:02:00.000Z"), alert("b", "2026-11-27T15:01:00.000Z")];
  expect(merged(older, newer).map(({ id }) => id)).toEqual(["c", "b", "a"]);
  expect(newAlerts(older, newer).map(({ id }) => id)).toEqual(["c"]);
});

test("an alert about a lane names the symbols", () => {
  expect(symbolsOf(alert("a", "2026-11-27T15:00:00.000Z", ["A", "B"]))).toEqual(["A", "B"]);
  expect(symbolsOf(alert("a", "2026-11-27T15:00:00.000Z", []))).toEqual(["AAPL"]);
});

test("a filter comes from the address, and an unknown severity filters nothing", () => {
  expect(parseFilter(new URLSearchParams("rule=rsi&severity=critical&symbol=A"))).toEqual({ rule: "rsi", severity: "critical", symbol: "A" });
  expect(parseFilter(new URLSearchParams("severity=fatal"))).toEqual({ rule: "", severity: "", symbol: "" });
});

test("attempts become rarer, up to half a minute, and never earlier than the server asks", () => {
  expect([1, 2, 3, 4, 5, 6, 20].map((failures) => waitSeconds(failures, 0))).toEqual([1, 2, 4, 8, 16, 30, 30]);
  expect(waitSeconds(4, 1)).toBe(4);
  expect(waitSeconds(1, 0, 12)).toBe(12);
});

test("times are in the exchange's zone or in the viewer's", () => {
  const times = new Times(null, "Europe/Berlin");
  const close = "2026-11-27T18:00:00.000Z";
  expect(times.format(close, "time", "America/New_York")).toBe("13:00:00");
  expect(times.format(close, "time")).toBe("18:00:00");
  let changes = 0;
  times.onZoneChange(() => (changes += 1));
  times.setZone("viewer");
  expect(times.format(close, "time", "America/New_York")).toBe("19:00:00");
  expect(times.format("2026-07-01T00:30:00.000Z", "minute", "America/New_York")).toBe("1 Jul, 02:30");
  expect(changes).toBe(1);
});

test("a zone that the browser does not know is shown as UTC, and no time as a dash", () => {
  const times = new Times("exchange", "UTC");
  expect(times.format("2026-11-27T18:00:00.000Z", "time", "Mars/Olympus")).toBe("18:00:00");
  expect([times.format("soon", "full"), times.format(null, "full")]).toEqual(["–", "–"]);
});
