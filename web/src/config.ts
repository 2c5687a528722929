/** `/config.json`, which says which feed this page shows. Whoever serves the page writes it. */

export interface AuthConfig {
  readonly issuer: string;
  readonly clientId: string;
  readonly scope: string;
}

export interface Config {
  readonly name: string;
  readonly stage: string;
  /** What precedes `/v1/…`: empty if the API has the page's origin. */
  readonly apiBase: string;
  /** How viewers log in. Null if nobody needs to. */
  readonly auth: AuthConfig | null;
}

/** What is wrong with the configuration, in words for the one who deployed the page. */
export class ConfigError extends Error {}

export async function loadConfig(fetcher: typeof fetch): Promise<Config> {
  let document: unknown;
  try {
    const response = await fetcher("config.json", { cache: "no-cache" });
    if (!response.ok) throw new Error(`the server answers with status ${response.status}`);
    document = await response.json();
  } catch (error) {
    throw new ConfigError(`The page cannot read its config.json: ${error instanceof Error ? error.message : String(error)}.`);
  }
  return parseConfig(document);
}

/** Checks the document and fills in defaults. */
export function parseConfig(document: unknown): Config {
  if (!isRecord(document)) throw new ConfigError("config.json must hold an object.");
  return {
    name: text(document, "name", "stockstream"),
    stage: text(document, "stage", ""),
    apiBase: text(document, "apiBase", "").replace(/\/+$/, ""),
    auth: document.auth == null ? null : parseAuth(document.auth),
  };
}

function parseAuth(auth: unknown): AuthConfig {
  if (!isRecord(auth)) throw new ConfigError("config.json: auth must be null or an object.");
  const issuer = text(auth, "issuer", "");
  const clientId = text(auth, "clientId", "");
  if (!URL.canParse(issuer)) throw new ConfigError("config.json: auth.issuer must be the address of the OIDC issuer.");
  if (!clientId) throw new ConfigError("config.json: auth.clientId is missing.");
  return { issuer, clientId, scope: text(auth, "scope", "openid") };
}

function text(document: Record<string, unknown>, name: string, fallback: string): string {
  const value = document[name] ?? fallback;
  if (typeof value !== "string") throw new ConfigError(`config.json: ${name} must be a text.`);
  return value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
