/** The indicators that a chart can show: their names in the API, their colours, and how a permalink names them. Pure. */

export type Group = "sma" | "bollinger" | "rsi" | "macd";
export const GROUPS: readonly Group[] = ["sma", "bollinger", "rsi", "macd"];
export const LABELS: Readonly<Record<Group, string>> = {
  sma: "SMA",
  bollinger: "Bollinger",
  rsi: "RSI",
  macd: "MACD",
};
export const DESCRIPTIONS: Readonly<Record<Group, string>> = {
  sma: "Simple moving average: the mean of the last closes",
  bollinger: "Bollinger bands: two deviations above and below the mean of the last 20 closes",
  rsi: "Relative strength index over 14 bars, in a pane below the chart",
  macd: "Moving average convergence divergence (12, 26, 9), in a pane below the chart",
};
export const SMA_SIZES = [5, 20, 50] as const;
export const DEFAULT_SMA_SIZE = 20;

/** What is shown: sizes of simple averages, and the other groups. */
export interface Shown {
  readonly smaSizes: readonly number[];
  readonly bollinger: boolean;
  readonly rsi: boolean;
  readonly macd: boolean;
}

/** The choice that a permalink's parameters name. What they name and this page does not know is ignored. */
export function shownBy(parameters: URLSearchParams): Shown {
  const wanted = new Set((parameters.get("sma") ?? "").split(",").map(Number));
  return {
    smaSizes: SMA_SIZES.filter((size) => wanted.has(size)),
    bollinger: parameters.get("bollinger") === "1",
    rsi: parameters.get("rsi") === "1",
    macd: parameters.get("macd") === "1",
  };
}

/** The parameters of a permalink for a choice. A value of null removes its parameter. */
export function parametersOf(shown: Shown): Record<Group, string | null> {
  return {
    sma: shown.smaSizes.length > 0 ? shown.smaSizes.join(",") : null,
    bollinger: shown.bollinger ? "1" : null,
    rsi: shown.rsi ? "1" : null,
    macd: shown.macd ? "1" : null,
  };
}

export function isShown(shown: Shown, group: Group): boolean {
  return group === "sma" ? shown.smaSizes.length > 0 : shown[group];
}

export function toggled(shown: Shown, group: Group): Shown {
  if (group === "sma") return { ...shown, smaSizes: shown.smaSizes.length > 0 ? [] : [DEFAULT_SMA_SIZE] };
  return { ...shown, [group]: !shown[group] };
}

export function sizeToggled(shown: Shown, size: number): Shown {
  return {
    ...shown,
    smaSizes: SMA_SIZES.filter((known) => shown.smaSizes.includes(known) !== (known === size)),
  };
}

/** An indicator: its name in the API, and its heading in a table. */
export interface Column {
  readonly name: string;
  readonly heading: string;
}

/** The indicators that are shown, in the order of the API. */
export function columns(shown: Shown): Column[] {
  const found = shown.smaSizes.map((size) => ({ name: `sma_${size}`, heading: `SMA ${size}` }));
  if (shown.bollinger) {
    found.push({ name: "bollinger_upper", heading: "Upper band" }, { name: "bollinger_lower", heading: "Lower band" });
  }
  if (shown.rsi) found.push({ name: "rsi_14", heading: "RSI 14" });
  if (shown.macd) {
    found.push(
      { name: "macd", heading: "MACD" },
      { name: "macd_signal", heading: "MACD signal" },
      { name: "macd_histogram", heading: "MACD histogram" },
    );
  }
  return found;
}

/** The value of the API's parameter `indicators`, which names what the chart shows, and no more. */
export function requested(shown: Shown): string {
  return columns(shown).map((column) => column.name).join(",") || "none";
}

/** How many digits to show of an indicator, if prices have `digits`: one more if it has the unit of a price. */
export function indicatorDigits(name: string, digits: number): number {
  return name.startsWith("rsi") ? 1 : digits + 1;
}
