/** The shapes of the API's answers. `docs/api.md` describes them. Absent values are absent. */

import type { Num } from "./numbers.ts";

/** A UTC time, such as `2026-11-27T15:10:00.000Z`. */
export type Time = string;
export type Freshness = "fresh" | "stale" | "closed";
export type Severity = "info" | "warning" | "critical";
export type Resolution = "1m" | "5m" | "15m" | "1h" | "1d";

export interface SymbolInfo {
  readonly symbol: string;
  readonly exchange?: string;
  readonly currency?: string;
  readonly calendar?: string;
  readonly timezone?: string;
  readonly event_time?: Time;
  readonly delay_minutes?: Num;
  readonly is_open?: boolean;
  readonly freshness: Freshness;
}
export interface SymbolsAnswer {
  readonly as_of?: Time;
  readonly symbols: readonly SymbolInfo[];
}

export interface Bar {
  readonly start: Time;
  readonly open: Num;
  readonly high: Num;
  readonly low: Num;
  readonly close: Num;
  readonly volume?: Num;
  readonly quotes?: Num;
  readonly indicators?: Readonly<Record<string, Num>>;
  /** Only of the newest bar, while it still changes. */
  readonly is_open?: boolean;
  /** The exchange's day of a bar of one day. */
  readonly day?: string;
}
export interface LatestQuote {
  readonly symbol: string;
  readonly price: Num;
  readonly previous_close?: Num;
  readonly change?: Num;
  readonly change_percent?: Num;
  readonly volume?: Num;
  readonly currency?: string;
  readonly exchange?: string;
  readonly event_time: Time;
  readonly revision?: Num;
  readonly delay_minutes?: Num;
  readonly is_open?: boolean;
  readonly freshness: Freshness;
  readonly bar?: Bar;
}
export interface LatestAnswer {
  readonly as_of?: Time;
  readonly quotes: readonly LatestQuote[];
  readonly unknown?: readonly string[];
}

export interface QuoteRow {
  readonly event_time: Time;
  readonly revision?: Num;
  readonly price: Num;
  readonly ingest_time?: Time;
  readonly [attribute: string]: unknown;
}
export interface QuotesAnswer {
  readonly symbol: string;
  readonly quotes: readonly QuoteRow[];
  readonly next: string | null;
}

export interface BarsAnswer {
  readonly symbol: string;
  readonly resolution: Resolution;
  readonly timezone?: string;
  readonly currency?: string;
  readonly bars: readonly Bar[];
  readonly next: string | null;
}

export interface Session {
  readonly day: string;
  readonly opens: Time;
  readonly closes: Time;
}
export interface SessionsAnswer {
  readonly symbol: string;
  readonly calendar?: string;
  readonly timezone?: string;
  readonly sessions: readonly Session[];
  readonly known_from?: string;
  readonly known_to?: string;
}

export interface Gap {
  readonly start: Time;
  readonly end: Time;
  readonly minutes: Num;
}
export interface GapsAnswer {
  readonly symbol: string;
  readonly start: Time;
  readonly end: Time;
  readonly expected_minutes: Num;
  readonly stored_minutes: Num;
  readonly gaps: readonly Gap[];
}

/** A day of the exchange. `expected` is the sum of the minutes that are stored, without trades and missing. */
export interface CoverageDay {
  readonly day: string;
  readonly opens: Time;
  readonly closes: Time;
  readonly expected: Num;
  readonly stored: Num;
  readonly stream: Num;
  readonly backfill: Num;
  readonly rebuild: Num;
  readonly without_trades: Num;
  readonly missing: Num;
}
export interface CoverageAnswer {
  readonly symbol: string;
  readonly calendar: string;
  readonly timezone: string;
  readonly days: readonly CoverageDay[];
  readonly known_from: Time;
  readonly known_to: Time;
}

export interface Alert {
  readonly id: string;
  readonly rule: string;
  readonly severity: Severity;
  /** A symbol, or a lane if the alert is about several `symbols`. */
  readonly symbol: string;
  readonly symbols?: readonly string[];
  readonly timestamp: Time;
  readonly subject: string;
  readonly values: Readonly<Record<string, Num | string>>;
}
export interface AlertsAnswer {
  readonly alerts: readonly Alert[];
  readonly next: string | null;
}

export interface LaneStatus {
  readonly lane: string | Num;
  readonly symbols: Num;
  readonly stale: Num;
  /** Null until the lane's first heartbeat, a minute after its first quote. */
  readonly clock?: Time | null;
  readonly complete_to?: Time | null;
  readonly arrival?: Time | null;
  readonly newest_event_time?: Time | null;
}
export interface DayCounts {
  readonly day: string;
  readonly quotes: Num;
  readonly late: Num;
  readonly repeated: Num;
}
export interface StatusAnswer {
  readonly as_of?: Time | null;
  readonly lanes: readonly LaneStatus[];
  readonly last_batch?: Time | null;
  readonly counts: readonly DayCounts[];
  readonly quarantine?: { readonly messages: Num; readonly in_flight: Num };
  readonly problems: readonly string[];
}

/** An error of the API (RFC 9457). */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  readonly parameter?: string;
}
