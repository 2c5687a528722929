/** Reads what a chart shows: bars newest first, older ones on request, their sessions and alerts, and live changes. */

import type { AlertsAnswer, BarsAnswer } from "../answers.ts";
import { type Api, ApiError, path } from "../api.ts";
import { localClock } from "./clock.ts";
import { type Bar, type Change, merged } from "./bars.ts";
import type { ChartAlert } from "./marks.ts";
import { type Resolution, type Session, SECONDS } from "./timeline.ts";
import { axisTime, chartAlert, chartBar, chartSession, seconds, timeText } from "./wire.ts";

const PAGE = 500;
const MOST_BARS = 5_000;
/** Bars of the poll: the open one, and those that closed since the poll before. */
const LIVE = 5;
const BARS_MS = 1_000;
const ALERTS_MS = 5_000;
const DAY = 86_400;
/** The API answers questions about alerts and sessions for at most 400 days. */
const MOST_DAYS = 399;
/** Alerts are polled for the days that the API answers by default. */
const POLLED_DAYS = 7;
const ALERTS = 1_000;
/** Sessions are read this far ahead, so that bars of the next days have theirs. */
const DAYS_AHEAD = 8;
const RETRY_MS = 5_000;

export type FeedStatus = "loading" | "ready" | "unknown" | "refused";

export interface Wanted {
  readonly symbol: string;
  readonly resolution: Resolution;
  /** The value of the API's parameter. */
  readonly indicators: string;
}

/** What the feed needs of the API. */
export type FeedApi = Pick<Api, "poll" | "get" | "alerts" | "sessions">;

export class Feed {
  status: FeedStatus = "loading";
  /** Why bars are missing that were asked for, as a sentence. */
  problem = "";
  bars: readonly Bar[] = [];
  /** In order; null if they are not known. */
  sessions: readonly Session[] | null = null;
  timezone: string | undefined;
  currency = "";

  readonly #alerts = new Map<string, ChartAlert>();
  readonly #end = new AbortController();
  #stopBars = (): void => {};
  #stopAlerts: (() => void) | null = null;
  #next: string | null = null;
  #busy = false;
  #retryAt = 0;

  constructor(
    private readonly api: FeedApi,
    private wanted: Wanted,
    private readonly onChange: (change: Change) => void,
  ) {}

  get alerts(): readonly ChartAlert[] {
    return [...this.#alerts.values()];
  }

  start(): void {
    this.#load(PAGE);
  }

  stop(): void {
    this.#end.abort();
    this.#stopBars();
    this.#stopAlerts?.();
  }

  /** Reads the bars again with other indicators. Until they arrive, the bars that are known stay. */
  setIndicators(indicators: string): void {
    this.wanted = { ...this.wanted, indicators };
    this.#load(Math.min(MOST_BARS, Math.max(PAGE, this.bars.length)));
  }

  /** Reads the page of bars before those that are known, if there is one and none is being read. */
  async older(): Promise<void> {
    const cursor = this.#next;
    if (cursor === null || this.#busy || Date.now() < this.#retryAt) return;
    this.#busy = true;
    try {
      const answer = await this.api.get<BarsAnswer>(this.#path({ limit: PAGE, cursor }), this.#end.signal);
      if (this.#next !== cursor) return; // another load has begun meanwhile
      this.problem = "";
      this.#busy = false;
      this.#addPage(answer);
    } catch (error) {
      if (this.#end.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.#retryAt = Date.now() + RETRY_MS;
      this.problem = `Older bars are missing: ${error.message}`;
      this.onChange("none");
    } finally {
      this.#busy = false;
    }
  }

  /** Reads the newest page until it is there, and then polls the newest bars. */
  #load(limit: number): void {
    this.#stopBars();
    this.#next = null;
    this.#stopBars = this.api.poll<BarsAnswer>(
      this.#path({ limit }),
      BARS_MS,
      (answer) => {
        this.#stopBars();
        this.status = "ready";
        this.timezone = answer.timezone;
        this.currency = answer.currency ?? "";
        this.#addPage(answer);
        this.#stopBars = this.api.poll<BarsAnswer>(this.#path({ limit: LIVE }), BARS_MS, (live) => void this.#addLive(live));
        this.#stopAlerts ??= this.#pollAlerts();
      },
      (error) => this.#failed(error),
    );
  }

  #pollAlerts(): () => void {
    const address = path(["v1", "alerts"], { symbol: this.wanted.symbol, limit: ALERTS });
    return this.api.poll<AlertsAnswer>(address, ALERTS_MS, (answer) => this.#addAlerts(answer), (error) => error.status === 400);
  }

  #failed(error: ApiError): boolean {
    this.problem = error.message;
    const final = error.kind === "symbol-unknown" || error.status === 400;
    if (final) this.status = error.kind === "symbol-unknown" ? "unknown" : "refused";
    this.onChange("none");
    return final;
  }

  #addPage(answer: BarsAnswer): void {
    this.problem = "";
    this.#next = answer.next;
    const page = this.#add(answer, "many");
    const [first, last] = [page.at(0), page.at(-1)];
    if (first && last) {
      const [from, to] = first.start < last.start ? [first.start, last.start] : [last.start, first.start];
      void this.#loadSessions(from);
      void this.#loadAlerts(from, to + SECONDS[this.wanted.resolution]);
    } else if (answer.next !== null) void this.older(); // a page may be empty although older ones are not
  }

  async #addLive(answer: BarsAnswer): Promise<void> {
    if (answer.timezone !== this.timezone) return this.#restart();
    const newest = this.bars.at(-1);
    const oldest = answer.bars.at(-1);
    if (newest && oldest && answer.next !== null && seconds(oldest.start) > newest.start) await this.#catchUp(newest.start);
    if (!this.#end.signal.aborted) this.#add(answer);
  }

  /** Reads everything again: the exchange's zone has become known, and with it other bars of hours and days. */
  #restart(): void {
    this.bars = [];
    this.sessions = null;
    this.#load(PAGE);
  }

  /** Reads the bars that closed while nobody looked. */
  async #catchUp(start: number): Promise<void> {
    try {
      const query = { limit: MOST_BARS, order: "asc", start: timeText(start) };
      const answer = await this.api.get<BarsAnswer>(this.#path(query), this.#end.signal);
      if (!this.#end.signal.aborted) this.#add(answer);
    } catch (error) {
      if (!(error instanceof ApiError) && !this.#end.signal.aborted) throw error;
    }
  }

  #add(answer: BarsAnswer, least: Change = "none"): readonly Bar[] {
    const place = axisTime(this.wanted.resolution, localClock(this.timezone ?? "UTC"));
    const page = answer.bars.map((bar) => chartBar(bar, place));
    const { bars, change } = merged(this.bars, page);
    this.bars = bars;
    if (change !== "none" || least !== "none") this.onChange(least === "many" ? "many" : change);
    return page;
  }

  #addAlerts(answer: AlertsAnswer): void {
    const known = this.#alerts.size;
    for (const alert of answer.alerts) this.#alerts.set(alert.id, chartAlert(alert));
    if (this.#alerts.size > known) this.onChange("many");
  }

  /** Reads the alerts of a page that the poll does not answer. */
  async #loadAlerts(from: number, to: number): Promise<void> {
    const polled = (this.bars.at(-1)?.start ?? to) - POLLED_DAYS * DAY;
    if (from >= polled) return;
    const start = timeText(Math.max(from, to - MOST_DAYS * DAY));
    await this.#extra(async (signal) => {
      const query = { symbol: this.wanted.symbol, start, end: timeText(to), limit: ALERTS };
      this.#addAlerts(await this.api.alerts(query, signal));
    });
  }

  /** Reads the sessions from a time on, up to those that are known. */
  async #loadSessions(from: number): Promise<void> {
    let end = this.sessions?.[0]?.opens ?? (this.bars.at(-1)?.start ?? from) + DAYS_AHEAD * DAY;
    await this.#extra(async (signal) => {
      while (end > from) {
        const start = Math.max(from - DAY, end - MOST_DAYS * DAY);
        const range = { start: timeText(start), end: timeText(end) };
        const found = (await this.api.sessions(this.wanted.symbol, range, signal)).sessions.map(chartSession);
        const known = this.sessions ?? [];
        const earlier = found.filter((each) => known[0] === undefined || each.opens < known[0].opens);
        if (earlier.length === 0) return;
        this.sessions = [...earlier, ...known];
        this.onChange("many");
        end = start;
      }
    });
  }

  /** Runs a request whose failure leaves a chart without marks or gaps, but with its bars. */
  async #extra(request: (signal: AbortSignal) => Promise<void>): Promise<void> {
    try {
      await request(this.#end.signal);
    } catch (error) {
      if (!(error instanceof ApiError) && !this.#end.signal.aborted) throw error;
    }
  }

  #path(query: Record<string, string | number>): string {
    const { symbol, resolution, indicators } = this.wanted;
    return path(["v1", "bars", symbol], { resolution, indicators, ...query });
  }
}
