import { expect, test } from "vitest";

import { count, duration, percent, price, signed } from "../src/format.ts";
import { type Num, decimals, parseJson, revive } from "../src/numbers.ts";

const num = (text: string): Num => ({ text, value: Number(text) });

test("a number keeps the digits that the browser gives to the reviver", () => {
  expect(revive("price", 187.1, { source: "187.10" })).toEqual({ text: "187.10", value: 187.1 });
});

test("a number has the digits of the double in a browser that gives none", () => {
  expect(revive("price", 187.1)).toEqual({ text: "187.1", value: 187.1 });
});

test.each([
  ["1E-8", "0.00000001"],
  ["-1.25e-3", "-0.00125"],
  ["1e-7", "0.0000001"],
  ["7.4E+5", "740000"],
  ["1.23456e2", "123.456"],
  ["12e0", "12"],
  ["12.5e-1", "1.25"],
  ["0e-3", "0.000"],
  ["1e999", "1e999"],
])("%s is shown as %s", (source, text) => {
  expect(revive("price", Number(source), { source })).toEqual({ text, value: Number(source) });
});

test("numbers are found at each depth", () => {
  const document = parseJson('{"price":187.25,"list":[7,{"low":-0.5}]}');
  expect(document).toEqual({ price: num("187.25"), list: [num("7"), { low: num("-0.5") }] });
});

test("texts, booleans and null stay as they are", () => {
  expect(parseJson('{"a":"1.0","b":true,"c":null}')).toEqual({ a: "1.0", b: true, c: null });
});

test.each([
  ["187.10", 2],
  ["1.087300", 6],
  ["100", 0],
  ["1e-7", 0],
  ["1.5E3", 0],
])("%s has %d decimals", (text, expected) => {
  expect(decimals(text)).toBe(expected);
});

test("prices and changes are shown with their own digits and a true minus sign", () => {
  expect(price(num("187.10"))).toBe("187.10");
  expect(price(num("-37.63"))).toBe("−37.63");
  expect(signed(num("0.40"))).toBe("+0.40");
  expect(signed(num("-0.40"))).toBe("−0.40");
  expect(signed(num("0.00"))).toBe("0.00");
  expect([price(undefined), signed(undefined), percent(undefined)]).toEqual(["–", "–", "–"]);
});

test.each([
  ["0.4521", "+0.45\u202f%"],
  ["-12.3456", "−12.35\u202f%"],
  ["0", "0.00\u202f%"],
  ["0.001", "0.00\u202f%"],
  ["-0.001", "0.00\u202f%"],
])("the percentage %s reads %s", (text, expected) => {
  expect(percent(num(text))).toBe(expected);
});

test.each([
  [0, "0 s"],
  [-5, "0 s"],
  [59.9, "59 s"],
  [60, "1 min"],
  [3_599, "59 min"],
  [3_600, "1 h"],
  [172_799, "47 h"],
  [172_800, "2 d"],
])("%d seconds read %s", (seconds, expected) => {
  expect(duration(seconds).replace("\u00a0", " ")).toBe(expected);
});

test("counts have groups of three digits", () => {
  expect([999, 1_000, 1_234_567].map((value) => count(value).replaceAll("\u202f", " "))).toEqual(["999", "1 000", "1 234 567"]);
});
