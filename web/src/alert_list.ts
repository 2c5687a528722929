/** The alerts that the page has, and which the API should send. Pure. */

import type { Alert, Severity } from "./answers.ts";

export interface AlertFilter {
  readonly rule: string;
  readonly severity: Severity | "";
  readonly symbol: string;
}

export const SEVERITIES: readonly Severity[] = ["critical", "warning", "info"];

/** The filter of an address. A severity that does not exist filters nothing. */
export function parseFilter(parameters: URLSearchParams): AlertFilter {
  return {
    rule: parameters.get("rule")?.trim() ?? "",
    severity: SEVERITIES.find((name) => name === parameters.get("severity")) ?? "",
    symbol: parameters.get("symbol")?.trim() ?? "",
  };
}

/** All alerts once, newest first. Of two with the same id, the later one counts. */
export function merged(known: readonly Alert[], more: readonly Alert[]): Alert[] {
  const byId = new Map([...known, ...more].map((alert) => [alert.id, alert]));
  return [...byId.values()].sort((a, b) => Date.parse(b.timestamp) - Date.parse(a.timestamp) || (a.id < b.id ? 1 : -1));
}

/** Those of the newest alerts that are not known yet. */
export function newAlerts(known: readonly Alert[], newest: readonly Alert[]): Alert[] {
  const ids = new Set(known.map(({ id }) => id));
  return newest.filter(({ id }) => !ids.has(id));
}

/** The symbols that an alert is about: several if it is about a lane. */
export function symbolsOf(alert: Alert): readonly string[] {
  return alert.symbols && alert.symbols.length > 0 ? alert.symbols : [alert.symbol];
}
