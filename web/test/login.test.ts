import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import { Auth, type Browser } from "../src/auth.ts";
import type { AuthConfig } from "../src/config.ts";
import { type Issuer, startIssuer } from "./issuer.ts";

let issuer: Issuer;

beforeAll(async () => {
  issuer = await startIssuer();
});
afterAll(() => issuer.stop());
beforeEach(() => issuer.behave({}));

/** A tab of a browser: its address, its session storage, and where it was sent. */
class Tab implements Browser {
  readonly #stored = new Map<string, string>();
  sentTo: string | null = null;
  href = "http://127.0.0.1:8000/?#/symbol/AAPL?resolution=5m";

  readonly storage = {
    getItem: (key: string): string | null => this.#stored.get(key) ?? null,
    setItem: (key: string, value: string): void => void this.#stored.set(key, value),
    removeItem: (key: string): void => void this.#stored.delete(key),
  };
  address = (): URL => new URL(this.href);
  go = (url: string): void => void (this.sentTo = url);
  rewrite = (url: string): void => void (this.href = url);

  get isEmpty(): boolean {
    return this.#stored.size === 0;
  }

  /** Visits the address that the page went to, and comes back to where the issuer sends the viewer. */
  async visitIssuer(change: (url: URL) => void = () => undefined): Promise<void> {
    const url = new URL(this.sentTo ?? "");
    change(url);
    const answer = await fetch(url, { redirect: "manual" });
    expect(answer.status).toBe(302);
    this.href = answer.headers.get("Location") ?? "";
  }
}

const configOf = (changes: Partial<AuthConfig> = {}): AuthConfig => ({
  issuer: issuer.url,
  clientId: "dashboard",
  scope: "openid offline_access",
  ...changes,
});

/** A tab that has logged in, and the page in it. */
async function loggedIn(): Promise<{ tab: Tab; auth: Auth }> {
  const tab = new Tab();
  await new Auth(configOf(), tab).login();
  await tab.visitIssuer();
  const auth = new Auth(configOf(), tab);
  await auth.resume();
  return { tab, auth };
}

const claimsOf = (token: string | null): Record<string, unknown> =>
  JSON.parse(Buffer.from((token ?? "").split(".")[1] ?? "", "base64url").toString()) as Record<string, unknown>;

test("a page without an issuer needs no login and sends no token", async () => {
  const auth = new Auth(null, new Tab());
  await auth.resume();
  expect(auth.state.value.kind).toBe("not-needed");
  expect(await auth.token()).toBeNull();
});

test("a login asks for a code with PKCE, state and nonce, which differ each time", async () => {
  const seen = new Set<string | null>();
  for (let login = 0; login < 2; login++) {
    const tab = new Tab();
    await new Auth(configOf(), tab).login();
    const query = new URL(tab.sentTo ?? "").searchParams;
    expect(Object.fromEntries(query)).toMatchObject({
      response_type: "code",
      client_id: "dashboard",
      redirect_uri: "http://127.0.0.1:8000/",
      scope: "openid offline_access",
      code_challenge_method: "S256",
    });
    for (const name of ["state", "nonce", "code_challenge"]) seen.add(query.get(name));
  }
  expect(seen.size).toBe(6);
});

test("a login ends where it began, without the code in the address, and with a token of the issuer", async () => {
  const { tab, auth } = await loggedIn();
  expect(auth.state.value.kind).toBe("in");
  expect(tab.href).toBe("http://127.0.0.1:8000/#/symbol/AAPL?resolution=5m");
  expect(claimsOf(await auth.token())).toMatchObject({ iss: issuer.url, client_id: "dashboard" });
});

test("a reload keeps the login, and a new tab does not have it", async () => {
  const { tab, auth } = await loggedIn();
  const reloaded = new Auth(configOf(), tab);
  await reloaded.resume();
  expect(await reloaded.token()).toBe(await auth.token());
  const other = new Auth(configOf(), new Tab());
  await other.resume();
  expect(other.state.value).toMatchObject({ kind: "out", failed: false });
});

test("a token that is about to end is renewed once for many requests", async () => {
  await issuer.behave({ lifetime_seconds: 30 });
  const { auth } = await loggedIn();
  await issuer.behave({});
  const tokens = await Promise.all([auth.token(), auth.token(), auth.token()]);
  expect(new Set(tokens).size).toBe(1);
  const { iat, exp } = claimsOf(tokens[0] ?? null);
  expect(Number(exp) - Number(iat)).toBe(3_600);
  expect(await auth.token()).toBe(tokens[0]);
});

test("an issuer that is down does not end the login", async () => {
  await issuer.behave({ lifetime_seconds: 30 });
  const { auth } = await loggedIn();
  await issuer.behave({ down: true });
  expect(await auth.token()).not.toBeNull();
  expect(auth.state.value.kind).toBe("in");
});

test("a refused refresh token ends the login", async () => {
  await issuer.behave({ lifetime_seconds: 30 });
  const { tab, auth } = await loggedIn();
  await issuer.behave({ token_error: "invalid_grant" });
  expect(await auth.token()).toBeNull();
  expect(auth.state.value).toMatchObject({ kind: "out", failed: false });
  expect(tab.isEmpty).toBe(true);
});

test("a token that the API took before and refuses now leads to the login", async () => {
  const { auth } = await loggedIn();
  auth.accepted();
  auth.refused();
  expect(auth.state.value).toMatchObject({ kind: "out", message: expect.stringContaining("has ended") });
  expect(await auth.token()).toBeNull();
});

test("a new token that the API refuses is a fault of the settings, and no loop", async () => {
  const { tab, auth } = await loggedIn();
  tab.sentTo = null;
  auth.refused();
  expect(auth.state.value).toMatchObject({ failed: true, message: expect.stringContaining("audience") });
  expect(tab.sentTo).toBeNull();
});

test("a logout forgets the tokens and ends the login at the issuer", async () => {
  const { tab, auth } = await loggedIn();
  await auth.logout();
  expect(tab.isEmpty).toBe(true);
  const url = new URL(tab.sentTo ?? "");
  expect(url.origin + url.pathname).toBe(`${issuer.url}/logout`);
  expect(url.searchParams.get("post_logout_redirect_uri")).toBe("http://127.0.0.1:8000/");
});

test.each([
  ["access_denied", "You cancelled the login"],
  ["invalid_scope", "auth.scope"],
  ["something_else", "refuses the login (something_else)"],
])("the issuer's error %s is said in words", async (error, words) => {
  await issuer.behave({ authorize_error: error });
  const { tab, auth } = await loggedIn();
  expect(auth.state.value).toMatchObject({ kind: "out", failed: true, message: expect.stringContaining(words) });
  expect(tab.href).not.toContain("error=");
});

test.each([
  [{ token_error: "invalid_client" }, "auth.clientId"],
  [{ token_error: "unauthorized_client" }, "PKCE"],
  [{ token_error: "invalid_grant" }, "expired"],
  [{ nonce: "another" }, "fails a check"],
])("a token that is refused or wrong gives no login: %o", async (behaviour, words) => {
  await issuer.behave(behaviour);
  const { auth } = await loggedIn();
  expect(auth.state.value).toMatchObject({ kind: "out", failed: true, message: expect.stringContaining(words) });
  expect(await auth.token()).toBeNull();
});

test("an answer with another state gives no login", async () => {
  const tab = new Tab();
  await new Auth(configOf(), tab).login();
  await tab.visitIssuer((url) => url.searchParams.set("state", "forged"));
  const auth = new Auth(configOf(), tab);
  await auth.resume();
  expect(auth.state.value).toMatchObject({ kind: "out", failed: true, message: expect.stringContaining("state") });
});

test("a code that was intercepted is useless in another tab", async () => {
  const tab = new Tab();
  await new Auth(configOf(), tab).login();
  await tab.visitIssuer();
  const thief = new Tab();
  thief.href = tab.href;
  const auth = new Auth(configOf(), thief);
  await auth.resume();
  expect(auth.state.value).toMatchObject({ failed: true, message: expect.stringContaining("not begun in this tab") });
});

test("a code is useless with another verifier", async () => {
  const tab = new Tab();
  await new Auth(configOf(), tab).login();
  await tab.visitIssuer();
  const started = JSON.parse(tab.storage.getItem("stockstream.login") ?? "") as object;
  tab.storage.setItem("stockstream.login", JSON.stringify({ ...started, verifier: "x".repeat(43) }));
  const auth = new Auth(configOf(), tab);
  await auth.resume();
  expect(auth.state.value).toMatchObject({ kind: "out", failed: true });
});

test("an issuer that is down, or another one, is named before the viewer leaves the page", async () => {
  const other = await startIssuer();
  try {
    await other.behave({ issuer: "https://another.example" });
    for (const [url, words] of [
      ["http://127.0.0.1:1", "cannot be reached"],
      [other.url, "auth.issuer"],
    ] as const) {
      const tab = new Tab();
      const auth = new Auth(configOf({ issuer: url }), tab);
      await auth.login();
      expect(auth.state.value).toMatchObject({ failed: true, message: expect.stringContaining(words) });
      expect(tab.sentTo).toBeNull();
    }
  } finally {
    other.stop();
  }
});

test("an issuer on another machine must use TLS", async () => {
  const tab = new Tab();
  const auth = new Auth(configOf({ issuer: "http://issuer.example" }), tab);
  await auth.login();
  expect(auth.state.value).toMatchObject({ failed: true });
  expect(tab.sentTo).toBeNull();
});
