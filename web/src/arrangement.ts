/** Which rows the overview shows, and in which order. Pure. */

import type { Freshness, LatestQuote } from "./answers.ts";

export type Column = "symbol" | "exchange" | "price" | "change" | "percent" | "age" | "state";
export type Shown = "all" | Freshness;

export interface Arrangement {
  readonly column: Column;
  readonly descending: boolean;
  /** What the symbol or the exchange contains, without regard to case. */
  readonly filter: string;
  readonly shown: Shown;
}

export const DEFAULT: Arrangement = { column: "symbol", descending: false, filter: "", shown: "all" };

const COLUMNS: readonly Column[] = ["symbol", "exchange", "price", "change", "percent", "age", "state"];
const SHOWN: readonly Shown[] = ["all", "fresh", "stale", "closed"];
/** What needs attention comes first. */
const STATE_ORDER: Readonly<Record<Freshness, number>> = { stale: 0, fresh: 1, closed: 2 };

/** The arrangement of an address. What it does not name, or names wrongly, is as by default. */
export function parseArrangement(parameters: URLSearchParams): Arrangement {
  const sort = parameters.get("sort") ?? "";
  const column = COLUMNS.find((name) => name === sort.replace(/^-/, "")) ?? DEFAULT.column;
  return {
    column,
    descending: sort === `-${column}`,
    filter: parameters.get("filter") ?? "",
    shown: SHOWN.find((name) => name === parameters.get("show")) ?? DEFAULT.shown,
  };
}

/** The parameters of an arrangement. Those that are as by default are empty. */
export function parametersOf({ column, descending, filter, shown }: Arrangement): Record<string, string> {
  const sort = `${descending ? "-" : ""}${column}`;
  return { sort: sort === DEFAULT.column ? "" : sort, filter, show: shown === DEFAULT.shown ? "" : shown };
}

/** The arrangement after a click on the heading of a column: the other direction, or the column's usual one. */
export function sortedBy(arrangement: Arrangement, column: Column): Arrangement {
  const again = arrangement.column === column;
  const usual = column === "price" || column === "change" || column === "percent";
  return { ...arrangement, column, descending: again ? !arrangement.descending : usual };
}

/** The rows that are shown, in order. Rows without a value are last in both directions; equal rows are by symbol. */
export function arrange(quotes: readonly LatestQuote[], arrangement: Arrangement): LatestQuote[] {
  const { column, descending, shown } = arrangement;
  const filter = arrangement.filter.trim().toLowerCase();
  const keyOf = KEYS[column];
  return quotes
    .filter((quote) => shown === "all" || quote.freshness === shown)
    .filter((quote) => filter === "" || matches(quote, filter))
    .map((quote) => [keyOf(quote), quote] as const)
    .sort(([a, one], [b, other]) => {
      if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined) || bySymbol(one, other);
      const order = a < b ? -1 : a > b ? 1 : 0;
      return (descending ? -order : order) || bySymbol(one, other);
    })
    .map(([, quote]) => quote);
}

/** How many quotes there are of each freshness. */
export function counted(quotes: readonly LatestQuote[]): Record<Shown, number> {
  const counts: Record<Shown, number> = { all: quotes.length, fresh: 0, stale: 0, closed: 0 };
  for (const quote of quotes) counts[quote.freshness] += 1;
  return counts;
}

const KEYS: Readonly<Record<Column, (quote: LatestQuote) => string | number | undefined>> = {
  symbol: (quote) => quote.symbol,
  exchange: (quote) => quote.exchange,
  price: (quote) => quote.price.value,
  change: (quote) => quote.change?.value,
  percent: (quote) => quote.change_percent?.value,
  // Youngest first, since an age grows while a time does not.
  age: (quote) => -Date.parse(quote.event_time),
  state: (quote) => STATE_ORDER[quote.freshness],
};

function matches(quote: LatestQuote, filter: string): boolean {
  return quote.symbol.toLowerCase().includes(filter) || (quote.exchange?.toLowerCase().includes(filter) ?? false);
}

function bySymbol(one: LatestQuote, other: LatestQuote): number {
  return one.symbol < other.symbol ? -1 : one.symbol > other.symbol ? 1 : 0;
}
