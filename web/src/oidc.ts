/**
 * The OIDC authorization code flow with PKCE, for a public client. It is loaded only where viewers log in.
 *
 * oauth4webapi (certified by the OpenID Foundation, no dependencies) checks what the issuer sends: the discovery document,
 * the state, the issuer of the answer, the nonce and the claims of the ID token.
 */

import * as oauth from "oauth4webapi";

import type { AuthConfig } from "./config.ts";

/** Why a login failed, as sentences for the viewer. */
export class LoginError extends Error {
  /** `over`: the issuer will not take these tokens again, so only a new login helps. */
  constructor(
    message: string,
    readonly over = false,
  ) {
    super(message);
  }
}

/** What the page must remember while the viewer is at the issuer. */
export interface Pending {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

export interface Tokens {
  readonly access: string;
  /** When the access token ends, in milliseconds since 1970. */
  readonly ends: number;
  readonly refresh?: string;
  readonly id?: string;
}

const DEFAULT_LIFE_SECONDS = 300;
const FAULT = "The login service has a fault. Try again in a minute.";
const REFUSALS: Readonly<Record<string, string>> = {
  access_denied: "You cancelled the login, or your account may not use this page.",
  login_required: "The login service asks you to log in again.",
  invalid_scope: "The login service does not know a scope that this page asks for. Check auth.scope in config.json.",
  invalid_client: "The login service does not know this page. Check auth.clientId in config.json.",
  unauthorized_client: "The login service does not let this page log in by a code with PKCE. Check its settings of the client.",
  invalid_grant: "The login has expired. Log in again.",
  temporarily_unavailable: "The login service is overloaded. Try again in a minute.",
  server_error: FAULT,
};

/** The address at the issuer where the viewer logs in, and what to remember until the answer. */
export async function begin(config: AuthConfig, redirectUri: string): Promise<{ url: string; pending: Pending }> {
  if (!globalThis.crypto?.subtle) throw new LoginError("Login needs HTTPS. Open this page by its https:// address.");
  const server = await discovered(config);
  if (!server.authorization_endpoint) throw new LoginError(`The login service at ${config.issuer} names no page for logins.`);
  const pending = {
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    verifier: oauth.generateRandomCodeVerifier(),
  };
  const url = new URL(server.authorization_endpoint);
  const parameters = {
    response_type: "code",
    client_id: config.clientId,
    redirect_uri: redirectUri,
    scope: config.scope,
    state: pending.state,
    ...(asksForIdToken(config) ? { nonce: pending.nonce } : {}),
    code_challenge: await oauth.calculatePKCECodeChallenge(pending.verifier),
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return { url: url.href, pending };
}

/** The tokens for the code with which the issuer sent the viewer back to `callback`. */
export function finish(config: AuthConfig, pending: Pending, callback: URL, redirectUri: string): Promise<Tokens> {
  return explained(config, async () => {
    const server = await discovered(config);
    const parameters = oauth.validateAuthResponse(server, clientOf(config), callback, pending.state);
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      clientOf(config),
      oauth.None(),
      parameters,
      redirectUri,
      pending.verifier,
      optionsOf(config),
    );
    const idToken = asksForIdToken(config);
    return tokensOf(
      await oauth.processAuthorizationCodeResponse(server, clientOf(config), response, {
        requireIdToken: idToken,
        ...(idToken ? { expectedNonce: pending.nonce } : {}),
      }),
    );
  });
}

/** New tokens for a refresh token. An issuer that sends no new refresh token lets the old one be used again. */
export function renew(config: AuthConfig, tokens: Tokens, refresh: string): Promise<Tokens> {
  return explained(config, async () => {
    const server = await discovered(config);
    const response = await oauth.refreshTokenGrantRequest(server, clientOf(config), oauth.None(), refresh, optionsOf(config));
    return { ...tokens, ...tokensOf(await oauth.processRefreshTokenResponse(server, clientOf(config), response)) };
  });
}

/** The address at the issuer that ends the login there too, if it has one. */
export async function logoutAddress(config: AuthConfig, tokens: Tokens | null, redirectUri: string): Promise<string | null> {
  const { end_session_endpoint: endpoint } = await discovered(config);
  if (!endpoint) return null;
  const url = new URL(endpoint);
  url.searchParams.set("client_id", config.clientId);
  url.searchParams.set("post_logout_redirect_uri", redirectUri);
  url.searchParams.set("logout_uri", redirectUri); // Cognito's name for it
  if (tokens?.id) url.searchParams.set("id_token_hint", tokens.id);
  return url.href;
}

let known: { issuer: string; server: oauth.AuthorizationServer } | null = null;

async function discovered(config: AuthConfig): Promise<oauth.AuthorizationServer> {
  if (known?.issuer === config.issuer) return known.server;
  const issuer = new URL(config.issuer);
  let response: Response;
  try {
    response = await oauth.discoveryRequest(issuer, optionsOf(config));
  } catch {
    throw new LoginError(`The login service at ${config.issuer} cannot be reached. Try again in a minute.`);
  }
  if (response.status >= 500) throw new LoginError(FAULT);
  try {
    const server = await oauth.processDiscoveryResponse(issuer, response);
    known = { issuer: config.issuer, server };
    return server;
  } catch (error) {
    throw new LoginError(
      `The login service at ${config.issuer} sends no valid discovery document (${reason(error)}). Check auth.issuer in config.json.`,
    );
  }
}

/** Runs a step of the flow, and says in words why it failed. */
async function explained<T>(config: AuthConfig, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof LoginError) throw error;
    if (error instanceof oauth.AuthorizationResponseError || error instanceof oauth.ResponseBodyError) {
      const words = REFUSALS[error.error] ?? `The login service refuses the login (${error.error}).`;
      const detail = error.error_description ? ` It says: ${error.error_description}` : "";
      throw new LoginError(words + detail, error.error === "invalid_grant");
    }
    const { cause } = error as { cause?: unknown };
    if (cause instanceof Response && cause.status >= 500) throw new LoginError(FAULT);
    if (error instanceof oauth.OperationProcessingError) {
      throw new LoginError(`The answer of the login service fails a check: ${reason(error)}. Log in again.`, true);
    }
    throw new LoginError(`The login service at ${config.issuer} cannot be reached. Try again in a minute.`);
  }
}

function tokensOf(answer: oauth.TokenEndpointResponse): Tokens {
  return {
    access: answer.access_token,
    ends: Date.now() + (answer.expires_in ?? DEFAULT_LIFE_SECONDS) * 1_000,
    ...(answer.refresh_token ? { refresh: answer.refresh_token } : {}),
    ...(answer.id_token ? { id: answer.id_token } : {}),
  };
}

function clientOf(config: AuthConfig): oauth.Client {
  return { client_id: config.clientId };
}

function asksForIdToken(config: AuthConfig): boolean {
  return config.scope.split(" ").includes("openid");
}

/** An issuer on this machine may answer without TLS; any other must not. */
function optionsOf(config: AuthConfig): { [oauth.allowInsecureRequests]?: boolean; signal: AbortSignal } {
  const { protocol, hostname } = new URL(config.issuer);
  const local = protocol === "http:" && ["127.0.0.1", "localhost", "[::1]"].includes(hostname);
  return { signal: AbortSignal.timeout(15_000), ...(local ? { [oauth.allowInsecureRequests]: true } : {}) };
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
