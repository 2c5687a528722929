import { describe, expect, it } from "vitest";

import type { Bar } from "../../src/chart/bars.ts";
import { isShown, parametersOf, requested, shownBy, sizeToggled, toggled } from "../../src/chart/indicators.ts";
import { type ChartAlert, markText, marks } from "../../src/chart/marks.ts";
import { missingZeros, scaleDigits } from "../../src/precision.ts";
import { barText, summaryText } from "../../src/chart/summary.ts";
import { barAt } from "./bars.ts";

const words = { at: (bar: Bar) => `minute ${bar.start / 60}`, count: (value: number) => value.toLocaleString("en") };

describe("the digits of a price scale", () => {
  it("are the most that any price has", () => {
    expect(scaleDigits(["231.1", "231.15", "231"])).toBe(2);
    expect(scaleDigits(["619.1", "619"])).toBe(2);
    expect(scaleDigits(["1.08345"])).toBe(5);
    expect(scaleDigits(["39123", "39124"])).toBe(0);
    expect(scaleDigits([])).toBe(0);
  });

  it("stay bounded", () => {
    expect(scaleDigits(["0.123456789012"])).toBe(8);
  });

  it("tell which zeros a price lacks", () => {
    expect(missingZeros("231.1", 2)).toBe("0");
    expect(missingZeros("231", 2)).toBe(".00");
    expect(missingZeros("231.15", 2)).toBe("");
    expect(missingZeros("1e-7", 2)).toBe("");
  });
});

describe("the choice of indicators", () => {
  it("survives a permalink", () => {
    const shown = shownBy(new URLSearchParams("sma=20,5&rsi=1"));
    expect(shown).toEqual({ smaSizes: [5, 20], bollinger: false, rsi: true, macd: false });
    expect(parametersOf(shown)).toEqual({ sma: "5,20", bollinger: null, rsi: "1", macd: null });
  });

  it("ignores what it does not know", () => {
    expect(shownBy(new URLSearchParams("sma=7,x&macd=yes"))).toEqual(shownBy(new URLSearchParams()));
  });

  it("asks the API for what is shown, and no more", () => {
    expect(requested(shownBy(new URLSearchParams()))).toBe("none");
    expect(requested(shownBy(new URLSearchParams("sma=50&bollinger=1&macd=1")))).toBe(
      "sma_50,bollinger_upper,bollinger_lower,macd,macd_signal,macd_histogram",
    );
  });

  it("switches a group on and off", () => {
    const none = shownBy(new URLSearchParams());
    expect(toggled(none, "sma").smaSizes).toEqual([20]);
    expect(isShown(toggled(none, "rsi"), "rsi")).toBe(true);
    expect(toggled(toggled(none, "sma"), "sma")).toEqual(none);
    expect(sizeToggled(toggled(none, "sma"), 5).smaSizes).toEqual([5, 20]);
    expect(isShown(sizeToggled(toggled(none, "sma"), 20), "sma")).toBe(false);
  });
});

describe("the marks of alerts", () => {
  const alert = (time: number, severity: ChartAlert["severity"] = "info", subject = `at ${time}`): ChartAlert => ({
    id: `${time}${severity}`,
    rule: "rise",
    severity,
    subject,
    time,
  });

  it("belong to the last bar that starts before the alert", () => {
    const found = marks([alert(119), alert(60), alert(300)], [barAt(60), barAt(180)]);
    expect(found.map((mark) => [mark.time, mark.alerts.map((its) => its.time)])).toEqual([
      [60, [60, 119]],
      [180, [300]],
    ]);
  });

  it("leave out alerts before the first bar", () => {
    expect(marks([alert(59)], [barAt(60)])).toEqual([]);
    expect(marks([alert(59)], [])).toEqual([]);
  });

  it("have the highest severity of their alerts", () => {
    const [mark] = marks([alert(60), alert(61, "critical"), alert(62, "warning")], [barAt(60)]);
    expect(mark?.severity).toBe("critical");
    expect(markText(mark!)).toBe("3 alerts: at 60; at 61; at 62");
  });

  it("stand on the day of the exchange where a bar is a day", () => {
    const day = (time: number): number => Math.floor((time - 5 * 3600) / 86400) * 86400;
    const [mark] = marks([alert(86400 + 3600)], [barAt(0), barAt(86400)], day);
    expect(mark?.time).toBe(0);
  });
});

describe("a chart in words", () => {
  const bars = [
    barAt(60, "100", { low: { text: "99.50", value: 99.5 } }),
    barAt(120, "101.25", { high: { text: "102.00", value: 102 } }),
  ];

  it("says what is shown, from when to when, and how it moved", () => {
    const text = summaryText({ symbol: "AAPL", resolution: "1m", currency: "USD", bars, gaps: [], marks: [] }, words);
    expect(text).toBe(
      "AAPL: 2 one-minute bars from minute 1 to minute 2. The last price is 101.25 USD, up 1.25 percent over these bars. " +
        "The highest is 102.00 at minute 2, the lowest 99.50 at minute 1. No bar is missing.",
    );
  });

  it("counts what is missing and the alerts", () => {
    const gaps = [
      { from: 1, to: 2, missing: 1 },
      { from: 3, to: 9, missing: 1200 },
    ];
    const found = marks([{ id: "a", rule: "rise", severity: "info", subject: "A rise", time: 70 }], bars);
    const text = summaryText({ symbol: "AAPL", resolution: "1m", currency: "", bars, gaps, marks: found }, words);
    expect(text).toContain("1,201 bars are missing, in 2 gaps. 1 alert belongs to these bars.");
  });

  it("says that there is nothing", () => {
    const none = { symbol: "AAPL", resolution: "1d" as const, currency: "USD", bars: [], gaps: [], marks: [] };
    expect(summaryText(none, words)).toBe("AAPL: there are no daily bars.");
  });

  it("reads a single bar with its alerts", () => {
    const bar = barAt(120, "10.50", { isOpen: true, volume: 1200 });
    const [mark] = marks([{ id: "a", rule: "rise", severity: "info", subject: "A rise", time: 120 }], [bar]);
    expect(barText(bar, mark, words)).toBe(
      "minute 2, open 10.50, high 10.50, low 10.50, close 10.50, volume 1,200, still open, Alert: A rise",
    );
  });
});
