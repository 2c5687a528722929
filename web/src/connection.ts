/** Whether the polls of the page get answers. The header and the banner show it. */

import { Signal } from "./state.ts";

export interface ConnectionState {
  /** `connecting` until the first answer, `live` after answers, `failing` after a failure. */
  readonly kind: "connecting" | "live" | "failing";
  /** Why the last attempt failed. */
  readonly message?: string;
  /** When the next attempt begins, in milliseconds since 1970. */
  readonly retryAt?: number;
}

/** One poll's share in the state. */
export interface Link {
  succeeded(): void;
  failed(message: string, retryAt: number): void;
  close(): void;
}

export class Connection {
  readonly state = new Signal<ConnectionState>({ kind: "connecting" });
  readonly #failures = new Map<Link, ConnectionState>();
  readonly #links = new Set<Link>();
  readonly #sleepers = new Set<() => void>();

  /** Joins a poll. */
  open(): Link {
    const link: Link = {
      succeeded: () => {
        this.#failures.delete(link);
        this.#show();
      },
      failed: (message, retryAt) => {
        if (!this.#links.has(link)) return;
        this.#failures.set(link, { kind: "failing", message, retryAt });
        this.#show();
      },
      close: () => {
        this.#links.delete(link);
        // That the last failing poll ends, as when the view changes, does not mean that the API answers again.
        if (this.#failures.delete(link) && this.#failures.size > 0) this.#show();
      },
    };
    this.#links.add(link);
    return link;
  }

  /** Ends all waiting after failures, so that each failing poll asks again at once. */
  retryNow(): void {
    for (const wake of [...this.#sleepers]) wake();
  }

  /** Waits, until the time is over, the signal aborts or, after a failure, somebody asks to retry. */
  pause(ms: number, afterFailure: boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#sleepers.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      if (afterFailure) this.#sleepers.add(wake);
      signal.addEventListener("abort", wake);
    });
  }

  /** The failure that is retried first, or `live`. */
  #show(): void {
    const first = [...this.#failures.values()].sort((a, b) => (a.retryAt ?? 0) - (b.retryAt ?? 0))[0];
    this.state.set(first ?? LIVE);
  }
}

const LIVE: ConnectionState = { kind: "live" };
