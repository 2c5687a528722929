/** The colours of a chart, read from the CSS variables of the theme. */

import type { Severity } from "../answers.ts";
import type { Theme } from "../theme.ts";

export interface Palette {
  readonly background: string;
  readonly text: string;
  readonly grid: string;
  readonly gap: string;
  readonly edge: string;
  readonly crosshair: string;
  readonly label: string;
  readonly font: string;
  readonly up: string;
  readonly down: string;
  readonly volumeUp: string;
  readonly volumeDown: string;
  /** By the size of the average. */
  readonly sma: Readonly<Record<number, string>>;
  readonly bollinger: string;
  readonly rsi: string;
  readonly macd: string;
  readonly signal: string;
  readonly severities: Readonly<Record<Severity, string>>;
}

export function palette(theme: Theme): Palette {
  return {
    background: theme.color("--surface"),
    text: theme.color("--muted"),
    grid: theme.color("--chart-grid"),
    gap: theme.color("--chart-gap"),
    edge: theme.color("--border"),
    crosshair: theme.color("--chart-crosshair"),
    label: theme.color("--chart-label"),
    font: getComputedStyle(document.body).fontFamily,
    up: theme.color("--chart-up"),
    down: theme.color("--chart-down"),
    volumeUp: theme.color("--chart-volume-up"),
    volumeDown: theme.color("--chart-volume-down"),
    sma: { 5: theme.color("--series-sma-5"), 20: theme.color("--series-sma-20"), 50: theme.color("--series-sma-50") },
    bollinger: theme.color("--series-bollinger"),
    rsi: theme.color("--series-rsi"),
    macd: theme.color("--series-macd"),
    signal: theme.color("--series-signal"),
    severities: {
      critical: theme.color("--error"),
      warning: theme.color("--chart-warning"),
      info: theme.color("--accent"),
    },
  };
}
