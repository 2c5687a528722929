/** The client of the query API: typed answers, errors in words, and polls by ETag. */

import type {
  AlertsAnswer,
  BarsAnswer,
  CoverageAnswer,
  GapsAnswer,
  Resolution,
  SessionsAnswer,
} from "./answers.ts";
import { waitSeconds } from "./backoff.ts";
import type { Connection } from "./connection.ts";
import { parseJson } from "./numbers.ts";

/** What the API needs to know about a login. */
export interface Credentials {
  /** The token to send, renewed if it is about to end. Null if nobody needs to log in. */
  token(): Promise<string | null>;
  /** The API has taken the token. */
  accepted(): void;
  /** The API refuses the token. */
  refused(): void;
}

export type Query = Readonly<Record<string, string | number | undefined>>;

export interface Page extends Query {
  readonly start?: string;
  readonly end?: string;
  readonly limit?: number;
  readonly order?: "asc" | "desc";
  readonly cursor?: string;
}

/** Why there is no answer, as a sentence for the viewer. */
export class ApiError extends Error {
  /** `status` is 0 if nothing answered. `kind` is the last part of the problem's type, such as `symbol-unknown`. */
  constructor(
    message: string,
    readonly status: number,
    readonly kind: string = "",
    readonly retryAfter: number = 0,
  ) {
    super(message);
  }
}

interface Fetched {
  readonly text: string;
  readonly etag: string | null;
}

const TIMEOUT_SECONDS = 20;
/** Reading and drawing an answer takes at most one part in so many of a viewer's time, however many symbols there are. */
const REST = 4;

export class Api {
  constructor(
    private readonly base: string,
    private readonly credentials: Credentials,
    private readonly connection: Connection,
  ) {}

  bars(
    symbol: string,
    query: Page & { readonly resolution?: Resolution; readonly indicators?: string } = {},
    signal?: AbortSignal,
  ): Promise<BarsAnswer> {
    return this.get(path(["v1", "bars", symbol], query), signal);
  }
  sessions(symbol: string, range: Pick<Page, "start" | "end"> = {}, signal?: AbortSignal): Promise<SessionsAnswer> {
    return this.get(path(["v1", "sessions", symbol], range as Query), signal);
  }
  gaps(symbol: string, range: Pick<Page, "start" | "end"> = {}, signal?: AbortSignal): Promise<GapsAnswer> {
    return this.get(path(["v1", "gaps", symbol], range as Query), signal);
  }
  coverage(symbol: string, range: Pick<Page, "start" | "end"> = {}, signal?: AbortSignal): Promise<CoverageAnswer> {
    return this.get(path(["v1", "coverage", symbol], range as Query), signal);
  }
  alerts(
    query: Page & { readonly rule?: string; readonly severity?: string; readonly symbol?: string } = {},
    signal?: AbortSignal,
  ): Promise<AlertsAnswer> {
    return this.get(path(["v1", "alerts"], query), signal);
  }

  /** The answer to one request. Throws `ApiError`. */
  async get<T>(pathAndQuery: string, signal?: AbortSignal): Promise<T> {
    const fetched = await this.#fetch(pathAndQuery, null, signal);
    return parsed(fetched?.text ?? "") as T;
  }

  /**
   * Asks again and again, and hands over each answer that differs from the one before.
   *
   * It waits `ms` between two answers, and longer after each failure in a row. While the page is hidden, it asks nothing.
   * The connection shows failures, so `onError` is only for errors that the view explains itself, such as an unknown
   * symbol: if it returns true, the poll ends. Returns a function that ends the poll.
   */
  poll<T>(pathAndQuery: string, ms: number, onData: (answer: T) => void, onError?: (error: ApiError) => boolean): () => void {
    const end = new AbortController();
    const link = this.connection.open();
    const run = async (): Promise<void> => {
      let etag: string | null = null;
      let failures = 0;
      while (!end.signal.aborted) {
        await visible(end.signal);
        if (end.signal.aborted) break;
        let wait = ms;
        try {
          const fetched = await this.#fetch(pathAndQuery, etag, end.signal);
          if (end.signal.aborted) break;
          if (fetched !== null) {
            etag = fetched.etag;
            const began = performance.now();
            onData(parsed(fetched.text) as T);
            wait = Math.max(ms, REST * (performance.now() - began));
          }
          failures = 0;
          link.succeeded();
        } catch (error) {
          if (end.signal.aborted) break;
          const failure = error instanceof ApiError ? error : faultOfPage(error);
          if (onError?.(failure) || failure.status === 401) {
            link.succeeded(); // it is an answer, which is not for the banner to explain
            break;
          }
          failures += 1;
          wait = waitSeconds(failures, Math.random(), failure.retryAfter) * 1_000;
          link.failed(failure.message, Date.now() + wait);
        }
        await this.connection.pause(wait, failures > 0, end.signal);
      }
    };
    void run().finally(() => link.close());
    return () => {
      link.close();
      end.abort();
    };
  }

  /** The answer, or null if it still has this ETag. */
  async #fetch(pathAndQuery: string, etag: string | null, signal?: AbortSignal): Promise<Fetched | null> {
    const headers: Record<string, string> = { Accept: "application/json" };
    const token = await this.credentials.token();
    if (token !== null) headers.Authorization = `Bearer ${token}`;
    if (etag !== null) headers["If-None-Match"] = etag;
    const timeout = AbortSignal.timeout(TIMEOUT_SECONDS * 1_000);
    let response: Response;
    let text: string;
    try {
      response = await fetch(this.base + pathAndQuery, {
        headers,
        // The browser's own cache would hide a 304, and the page would draw an unchanged answer again. A request without an
        // ETag may use it, so that bars of the past are not fetched twice.
        cache: etag === null ? "default" : "no-store",
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      });
      text = await response.text();
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(unreachable(timeout.aborted), 0);
    }
    if (response.status === 401) this.credentials.refused();
    else this.credentials.accepted();
    if (response.status === 304) return null;
    if (!response.ok) throw problem(response, text);
    return { text, etag: response.headers.get("ETag") };
  }
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    throw new ApiError("The API's answer is not JSON. Something else may answer at its address.", 0);
  }
}

export function latestPath(symbols: readonly string[] = []): string {
  return path(["v1", "latest"], symbols.length > 0 ? { symbols: symbols.join(",") } : {});
}

/** An address below the API: each part is encoded, and parameters without a value are left out. */
export function path(parts: readonly string[], query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return `/${parts.map(encodeURIComponent).join("/")}${text && `?${text}`}`;
}

/** An answer that the view cannot show is a mistake of the page. It must not look like a feed that stands still. */
function faultOfPage(error: unknown): ApiError {
  console.error(error);
  return new ApiError("This page cannot show the API's answer. Load the page again; it may be older than the API.", 0);
}

function unreachable(timedOut: boolean): string {
  if (!navigator.onLine) return "This device is offline.";
  return timedOut ? `The API does not answer within ${TIMEOUT_SECONDS} seconds.` : "The API cannot be reached.";
}

function problem(response: Response, text: string): ApiError {
  const retryAfter = Number(response.headers.get("Retry-After")) || 0;
  let document: { type?: unknown; title?: unknown; detail?: unknown } = {};
  try {
    document = Object(JSON.parse(text)) as typeof document;
  } catch {
    // Something between the page and the API answers in another format. The status says enough.
  }
  const kind = typeof document.type === "string" ? (document.type.split(":").pop() ?? "") : "";
  const detail = [document.detail, document.title].find((words) => typeof words === "string");
  return new ApiError(messageOf(response.status, detail as string | undefined), response.status, kind, retryAfter);
}

function messageOf(status: number, detail: string | undefined): string {
  if (status === 401) return "The API asks for a login.";
  if (status === 403) return "Your account may not read this feed. Ask the one who runs it.";
  if (status === 429) return "The API receives too many requests at the moment.";
  return detail ?? (status >= 500 ? `The API has a fault (status ${status}).` : `The API answers with status ${status}.`);
}

/** Resolves when the page is visible, or when the signal ends the waiting. */
function visible(signal: AbortSignal): Promise<void> {
  if (!document.hidden || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      document.removeEventListener("visibilitychange", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    document.addEventListener("visibilitychange", done);
    signal.addEventListener("abort", done);
  });
}
