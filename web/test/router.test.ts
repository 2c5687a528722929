import { expect, test } from "vitest";

import { changed, formatHash, hashOf, parseHash } from "../src/router.ts";

test.each([
  ["", "overview", undefined],
  ["#/", "overview", undefined],
  ["#/?sort=-percent", "overview", undefined],
  ["#/alerts?severity=critical", "alerts", undefined],
  ["#/quality", "quality", undefined],
  ["#/symbol/AAPL", "symbol", "AAPL"],
  ["#/symbol/EURUSD%3DX?zone=viewer", "symbol", "EURUSD=X"],
  ["#/symbol/%5EGSPC", "symbol", "^GSPC"],
  ["#/symbol/A%2FB", "symbol", "A/B"],
  ["#/symbol/", "unknown", undefined],
  ["#/symbol/%E0%A4%A", "unknown", undefined],
  ["#/nothing", "unknown", undefined],
])("the hash %s is the view %s of %s", (hash, view, symbol) => {
  const route = parseHash(hash);
  expect([route.view, route.symbol]).toEqual([view, symbol]);
});

test.each(["^GSPC", "EURUSD=X", "A/B", "A?B", "A#B", "A&B", "7203.T", "Ö 1", "%41"])("a permalink of %s leads back to it", (symbol) => {
  expect(parseHash(hashOf("symbol", { resolution: "5m" }, symbol))).toMatchObject({ view: "symbol", symbol });
});

test("parameters change one by one, and empty ones leave the address", () => {
  const route = parseHash("#/alerts?severity=critical&symbol=AAPL");
  expect(formatHash(changed(route, { severity: "", rule: "rsi" }))).toBe("#/alerts?symbol=AAPL&rule=rsi");
  expect(formatHash(changed(route, { severity: null, symbol: null }))).toBe("#/alerts");
  expect(formatHash(route)).toBe("#/alerts?severity=critical&symbol=AAPL");
});
