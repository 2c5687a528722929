import { describe, expect, it } from "vitest";

import type { AlertsAnswer, Bar, BarsAnswer, SessionsAnswer } from "../../src/answers.ts";
import { ApiError } from "../../src/api.ts";
import type { Change } from "../../src/chart/bars.ts";
import { Feed, type FeedApi } from "../../src/chart/feed.ts";

const MINUTE = 60;
const DAY_MS = 86_400_000;
const START = Date.parse("2026-11-27T15:00:00Z") / 1_000;

function num(value: number): { text: string; value: number } {
  return { text: String(value), value };
}

function bar(minute: number, close = 10 + minute): Bar {
  const start = new Date((START + minute * MINUTE) * 1_000).toISOString();
  return { start, open: num(close), high: num(close), low: num(close), close: num(close), volume: num(5) };
}

/** An API that holds one bar a minute, and answers polls when the test says so. */
class FakeApi implements FeedApi {
  stored: Bar[] = [];
  alertsStored: AlertsAnswer = { alerts: [], next: null };
  failure: ApiError | null = null;
  timezone = "America/New_York";
  readonly asked: string[] = [];
  readonly #polls = new Map<number, { address: string; onData: (answer: never) => void; onError?: (error: ApiError) => boolean }>();
  #count = 0;

  poll<T>(address: string, _ms: number, onData: (answer: T) => void, onError?: (error: ApiError) => boolean): () => void {
    const id = (this.#count += 1);
    this.#polls.set(id, { address, onData: onData as (answer: never) => void, ...(onError ? { onError } : {}) });
    return () => void this.#polls.delete(id);
  }

  async get<T>(address: string): Promise<T> {
    this.asked.push(address);
    if (this.failure) throw this.failure;
    return this.#answer(address) as T;
  }

  async alerts(): Promise<AlertsAnswer> {
    return this.alertsStored;
  }

  async sessions(_symbol: string, range: { start?: string; end?: string } = {}): Promise<SessionsAnswer> {
    const [start, end] = [Date.parse(range.start!), Date.parse(range.end!)];
    if (end - start > 400 * DAY_MS) throw new ApiError("The range is too long.", 400);
    const sessions = [];
    for (let day = Math.floor(start / DAY_MS); day * DAY_MS < end; day += 1) {
      const name = new Date(day * DAY_MS).toISOString().slice(0, 10);
      sessions.push({ day: name, opens: `${name}T14:30:00Z`, closes: `${name}T18:00:00Z` });
    }
    return { symbol: "AAPL", sessions };
  }

  /** Answers each poll once, and lets all that follows from it happen. */
  async tick(): Promise<void> {
    for (const [id, { address, onData, onError }] of [...this.#polls]) {
      if (!this.failure) onData(this.#answer(address) as never);
      else if (onError?.(this.failure)) this.#polls.delete(id);
    }
    await settled();
  }

  get polled(): string[] {
    return [...this.#polls.values()].map(({ address }) => address);
  }

  #answer(address: string): BarsAnswer | AlertsAnswer {
    const url = new URL(address, "http://api");
    if (url.pathname === "/v1/alerts") return this.alertsStored;
    const limit = Number(url.searchParams.get("limit"));
    const after = url.searchParams.get("start");
    const before = url.searchParams.get("cursor");
    const found = this.stored.filter((each) => (!after || Date.parse(each.start) >= Date.parse(after)) && (!before || each.start < before));
    const page = after ? found.slice(0, limit) : [...found].reverse().slice(0, limit);
    const next = found.length > limit ? page.at(-1)!.start : null;
    return { symbol: "AAPL", resolution: "1m", timezone: this.timezone, currency: "USD", bars: page, next };
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

function started(bars: number): { api: FakeApi; feed: Feed; changes: Change[] } {
  const api = new FakeApi();
  api.stored = Array.from({ length: bars }, (_, minute) => bar(minute));
  const changes: Change[] = [];
  const feed = new Feed(api, { symbol: "AAPL", resolution: "1m", indicators: "none" }, (change) => changes.push(change));
  feed.start();
  return { api, feed, changes };
}

const minutes = (feed: Feed): number[] => feed.bars.map((each) => (each.start - START) / MINUTE);
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

describe("a feed of bars", () => {
  it("begins with the newest page, and then polls only the newest bars", async () => {
    const { api, feed } = started(600);
    await api.tick();
    expect(minutes(feed)).toEqual(range(100, 600));
    expect(feed.currency).toBe("USD");
    expect(feed.sessions!.map((session) => session.day * 1_000)).toContain(Date.parse("2026-11-27"));
    expect(api.polled.filter((address) => address.includes("/bars/"))).toEqual(["/v1/bars/AAPL?resolution=1m&indicators=none&limit=5"]);
  });

  it("reads older pages by cursor, each bar once, until there are none", async () => {
    const { api, feed } = started(1_200);
    await api.tick();
    await Promise.all([feed.older(), feed.older()]);
    await settled();
    expect(minutes(feed)).toEqual(range(200, 1_200));
    await feed.older();
    await feed.older();
    expect(minutes(feed)).toEqual(range(0, 1_200));
    expect(api.asked).toHaveLength(2);
  });

  it("takes the changes of the open bar as changes of the newest", async () => {
    const { api, feed, changes } = started(10);
    await api.tick();
    changes.length = 0;
    api.stored[9] = { ...bar(9, 99), is_open: true };
    await api.tick();
    expect(changes).toEqual(["newest"]);
    expect(feed.bars.at(-1)?.close.value).toBe(99);
    await api.tick();
    expect(changes).toEqual(["newest"]);
  });

  it("reads what it has missed while the page was hidden", async () => {
    const { api, feed } = started(10);
    await api.tick();
    api.stored = Array.from({ length: 60 }, (_, minute) => bar(minute));
    await api.tick();
    expect(minutes(feed)).toEqual(range(0, 60));
  });

  it("says that a symbol is unknown, and stops asking", async () => {
    const { api, feed } = started(0);
    api.failure = new ApiError("Nothing is stored of AAPL.", 404, "symbol-unknown");
    await api.tick();
    expect(feed.status).toBe("unknown");
    expect(api.polled.filter((address) => address.includes("/bars/"))).toEqual([]);
  });

  it("goes on asking while the API is down, and says why there are no bars", async () => {
    const { api, feed } = started(10);
    api.failure = new ApiError("The API cannot be reached.", 0);
    await api.tick();
    expect([feed.status, feed.problem]).toEqual(["loading", "The API cannot be reached."]);
    api.failure = null;
    await api.tick();
    expect([feed.status, feed.problem]).toEqual(["ready", ""]);
    expect(minutes(feed)).toEqual(range(0, 10));
  });

  it("says that older bars are missing if their page fails, and keeps the others", async () => {
    const { api, feed } = started(600);
    await api.tick();
    api.failure = new ApiError("The API cannot be reached.", 0);
    await feed.older();
    expect(feed.problem).toBe("Older bars are missing: The API cannot be reached.");
    expect(feed.bars).toHaveLength(500);
  });

  it("waits for the first bar of an empty history", async () => {
    const { api, feed } = started(0);
    await api.tick();
    expect([feed.status, feed.bars.length]).toEqual(["ready", 0]);
    api.stored = [bar(0)];
    await api.tick();
    expect(minutes(feed)).toEqual([0]);
  });

  it("keeps its bars while it reads them with other indicators", async () => {
    const { api, feed } = started(600);
    await api.tick();
    await feed.older();
    feed.setIndicators("sma_20");
    expect(feed.bars).toHaveLength(600);
    expect(api.polled).toContain("/v1/bars/AAPL?resolution=1m&indicators=sma_20&limit=600");
  });

  it("reads everything again when the exchange's zone becomes known", async () => {
    const { api, feed } = started(10);
    api.timezone = "UTC";
    await api.tick();
    api.timezone = "America/New_York";
    await api.tick();
    await api.tick();
    expect(feed.timezone).toBe("America/New_York");
    expect(minutes(feed)).toEqual(range(0, 10));
  });

  it("reads the sessions of years in parts, each once and in order", async () => {
    const { api, feed } = started(0);
    api.stored = [0, 200, 900].map((day) => bar(day * 1_440));
    await api.tick();
    const opens = feed.sessions!.map((session) => session.opens);
    expect([...new Set(opens)].sort((one, other) => one - other)).toEqual(opens);
    expect(opens.length).toBeGreaterThan(900);
  });

  it("holds each alert once", async () => {
    const { api, feed, changes } = started(10);
    const alert = { id: "a", rule: "rise", severity: "info", symbol: "AAPL", timestamp: bar(3).start, subject: "A rise", values: {} } as const;
    api.alertsStored = { alerts: [alert], next: null };
    await api.tick();
    await api.tick();
    changes.length = 0;
    await api.tick();
    expect(feed.alerts.map((each) => each.id)).toEqual(["a"]);
    expect(changes).toEqual([]);
  });

  it("changes nothing after its end", async () => {
    const { api, feed, changes } = started(600);
    await api.tick();
    feed.stop();
    changes.length = 0;
    expect(api.polled).toEqual([]);
    await api.tick();
    expect(changes).toEqual([]);
  });
});
