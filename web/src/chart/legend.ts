/** The values that stand in the corner of a chart: of the bar at the pointer, or of the newest. */

import { h } from "../components/dom.ts";
import type { Bar } from "./bars.ts";
import type { Look } from "./canvas.ts";
import { indicatorDigits } from "./indicators.ts";
import { padded } from "../precision.ts";

export interface Legend {
  /** The rows of the main pane. */
  readonly rows: readonly HTMLElement[];
  /** The texts of the panes below, by the name of their first indicator. */
  readonly panes: Readonly<Record<string, string>>;
}

/** `values` is the bar whose indicators are shown: an open bar has none, so those of the last closed bar stand for it. */
export function legend(
  bar: Bar | null,
  values: Bar | null,
  look: Look,
  digits: number,
  count: (value: number) => string,
): Legend {
  const { shown, palette } = look;
  const value = (name: string): string => values?.indicators[name]?.toFixed(indicatorDigits(name, digits)) ?? "–";
  const item = (label: string, text: string, color?: string): HTMLElement => {
    const element = h("span", { class: "legend-item" }, h("b", {}, label), ` ${text}`);
    if (color) element.style.color = color;
    return element;
  };
  const rows: HTMLElement[] = [];
  if (bar) {
    const trend = bar.close.value >= bar.open.value ? "up" : "down";
    const prices = h(
      "span",
      { class: `legend-row ${trend}` },
      item("O", padded(bar.open, digits)),
      item("H", padded(bar.high, digits)),
      item("L", padded(bar.low, digits)),
      item("C", padded(bar.close, digits)),
      item("V", bar.volume === null ? "–" : count(bar.volume)),
    );
    rows.push(prices);
  }
  const lines = shown.smaSizes.map((size) => item(`SMA ${size}`, value(`sma_${size}`), palette.sma[size]));
  if (shown.bollinger) {
    lines.push(item("Bollinger", `${value("bollinger_lower")} to ${value("bollinger_upper")}`, palette.bollinger));
  }
  if (lines.length > 0) rows.push(h("span", { class: "legend-row" }, ...lines));
  return {
    rows,
    panes: {
      rsi_14: `RSI 14   ${value("rsi_14")}`,
      macd: `MACD 12 26 9   ${value("macd")}   signal ${value("macd_signal")}`,
    },
  };
}
