/** Whether the viewer is logged in, and the token for the API. */

import type { Credentials } from "./api.ts";
import type { AuthConfig } from "./config.ts";
import type { Pending, Tokens } from "./oidc.ts";
import { Signal } from "./state.ts";

export type LoginState =
  | { readonly kind: "not-needed" }
  | { readonly kind: "in" }
  /** `message` says why, in words for the viewer. `failed`: something went wrong. */
  | { readonly kind: "out"; readonly message: string; readonly failed: boolean };

/** The parts of the browser that a login uses. */
export interface Browser {
  readonly storage: Pick<Storage, "getItem" | "setItem" | "removeItem">;
  readonly address: () => URL;
  readonly go: (url: string) => void;
  readonly rewrite: (url: string) => void;
}

interface Started extends Pending {
  /** The view that the viewer wanted. */
  readonly hash: string;
}

// The tokens are in the tab's session storage: a reload keeps the login, another tab or a later visit does not see it. A script
// that could read them there could also use the page's own requests, so memory would be no safer; the content policy is
// what keeps foreign scripts out.
const TOKENS = "stockstream.tokens";
const STARTED = "stockstream.login";
const RENEW_BEFORE_MS = 60_000;
const RENEW_AGAIN_MS = 10_000;
const WELCOME = "This feed is private. Log in to read it.";

export class Auth implements Credentials {
  readonly state: Signal<LoginState>;
  #tokens: Tokens | null = null;
  #renewal: Promise<void> | null = null;
  #renewFrom = 0;
  #accepted = false;

  constructor(
    private readonly config: AuthConfig | null,
    private readonly browser: Browser,
  ) {
    this.state = new Signal<LoginState>(config ? { kind: "out", message: WELCOME, failed: false } : { kind: "not-needed" });
  }

  get canLogIn(): boolean {
    return this.config !== null;
  }

  /** Continues a login of this tab: it takes the issuer's answer from the address, or the tokens of before a reload. */
  async resume(): Promise<void> {
    if (this.config === null) return;
    const address = this.browser.address();
    const answered = address.searchParams.has("code") || address.searchParams.has("error");
    if (answered) await this.#finish(this.config, address);
    else {
      this.#tokens = read<Tokens>(this.browser.storage, TOKENS);
      if (this.#tokens) this.state.set({ kind: "in" });
    }
  }

  /** Sends the viewer to the issuer. */
  async login(): Promise<void> {
    if (this.config === null) return;
    const oidc = await import("./oidc.ts");
    try {
      const { url, pending } = await oidc.begin(this.config, this.#redirectUri());
      const started: Started = { ...pending, hash: this.browser.address().hash };
      this.browser.storage.setItem(STARTED, JSON.stringify(started));
      this.browser.go(url);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Forgets the tokens, and ends the login at the issuer if it offers that. */
  async logout(): Promise<void> {
    if (this.config === null) return;
    const tokens = this.#tokens;
    this.#out("You are logged out.", false);
    const oidc = await import("./oidc.ts");
    const url = await oidc.logoutAddress(this.config, tokens, this.#redirectUri()).catch(() => null);
    if (url) this.browser.go(url);
  }

  async token(): Promise<string | null> {
    const tokens = this.#tokens;
    if (this.config === null || tokens === null) return null;
    if (tokens.refresh && Date.now() > Math.max(tokens.ends - RENEW_BEFORE_MS, this.#renewFrom)) {
      this.#renewal ??= this.#renew(this.config, tokens, tokens.refresh).finally(() => void (this.#renewal = null));
      await this.#renewal;
    }
    return this.#tokens?.access ?? null;
  }

  accepted(): void {
    this.#accepted = true;
  }

  refused(): void {
    // Several requests may be refused at once, and a second message must not replace the first.
    if (this.state.value.kind === "out") return;
    if (this.config === null) {
      this.#out("The API asks for a login, but config.json of this page names no issuer.", true);
    } else if (this.#accepted || (this.#tokens?.ends ?? 0) < Date.now()) {
      this.#out("Your login has ended. Log in again to go on where you were.", false);
    } else {
      this.#out("The API refuses the token of the login service. Its issuer or audience may not be those that the API expects.", true);
    }
  }

  async #finish(config: AuthConfig, address: URL): Promise<void> {
    const started = read<Started>(this.browser.storage, STARTED);
    this.browser.storage.removeItem(STARTED);
    this.browser.rewrite(this.#redirectUri() + (started?.hash ?? ""));
    if (started === null) {
      this.#out("This login was not begun in this tab, or it was used already. Log in again.", true);
      return;
    }
    const oidc = await import("./oidc.ts");
    try {
      this.#keep(await oidc.finish(config, started, address, this.#redirectUri()));
      this.state.set({ kind: "in" });
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Renews the tokens. If the issuer cannot be reached, the old ones stay: they may still be good for a minute. */
  async #renew(config: AuthConfig, tokens: Tokens, refresh: string): Promise<void> {
    const oidc = await import("./oidc.ts");
    try {
      const renewed = await oidc.renew(config, tokens, refresh);
      if (this.#tokens === tokens) this.#keep(renewed);
    } catch (error) {
      this.#renewFrom = Date.now() + RENEW_AGAIN_MS;
      if (error instanceof oidc.LoginError && error.over) this.#out("Your login has ended. Log in again to go on where you were.", false);
    }
  }

  #keep(tokens: Tokens): void {
    this.#tokens = tokens;
    this.browser.storage.setItem(TOKENS, JSON.stringify(tokens));
  }

  #fail(error: unknown): void {
    this.#out(error instanceof Error ? error.message : String(error), true);
  }

  #out(message: string, failed: boolean): void {
    this.#tokens = null;
    this.#accepted = false;
    this.#renewFrom = 0;
    this.browser.storage.removeItem(TOKENS);
    this.state.set({ kind: "out", message, failed });
  }

  /** The address of the page without query and hash. The issuer must know it. */
  #redirectUri(): string {
    const { origin, pathname } = this.browser.address();
    return origin + pathname;
  }
}

function read<T>(storage: Browser["storage"], key: string): T | null {
  try {
    return JSON.parse(storage.getItem(key) ?? "null") as T | null;
  } catch {
    return null;
  }
}
