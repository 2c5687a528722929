/** What a view gets. */

import type { Api } from "./api.ts";
import type { Config } from "./config.ts";
import type { Route } from "./router.ts";
import type { Theme } from "./theme.ts";
import type { Times } from "./times.ts";

export interface App {
  readonly api: Api;
  readonly config: Config;
  readonly theme: Theme;
  readonly times: Times;
  /** Goes to an address such as `#/symbol/AAPL`. The view is mounted anew. */
  navigate(hash: string): void;
  /** Changes parameters of the current address and leaves the view as it is. An empty value removes a parameter. */
  replaceParameters(changes: Readonly<Record<string, string | null>>): void;
  /** Tells a screen reader something that the eye sees anyway. */
  announce(text: string): void;
  /** Calls the listener each second while the page is visible, with the milliseconds since 1970. */
  onTick(listener: (now: number) => void): () => void;
}

/** Fills the root with a view, and returns what ends it. */
export type Mount = (root: HTMLElement, route: Route, app: App) => () => void;
