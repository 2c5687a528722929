/** The address of a view, which is the part of the page's address after `#`. Pure. */

export type View = "overview" | "symbol" | "alerts" | "quality" | "unknown";

export interface Route {
  readonly view: View;
  /** The symbol of the view `symbol`. */
  readonly symbol?: string;
  readonly parameters: URLSearchParams;
}

/** The route of a hash such as `#/symbol/BTC-USD?resolution=5m`. */
export function parseHash(hash: string): Route {
  const [path = "", query = ""] = split(hash.replace(/^#/, ""));
  const parameters = new URLSearchParams(query);
  const parts = path.split("/").filter((part) => part !== "");
  if (parts.length === 0) return { view: "overview", parameters };
  if (parts.length === 1 && parts[0] === "alerts") return { view: "alerts", parameters };
  if (parts.length === 1 && parts[0] === "quality") return { view: "quality", parameters };
  if (parts.length === 2 && parts[0] === "symbol") {
    const symbol = decoded(parts[1] ?? "");
    if (symbol !== null) return { view: "symbol", symbol, parameters };
  }
  return { view: "unknown", parameters };
}

/** The hash of a route. Parameters without a value are left out. */
export function formatHash(route: Route): string {
  const path =
    route.view === "symbol" ? `/symbol/${encodeURIComponent(route.symbol ?? "")}` : route.view === "overview" ? "/" : `/${route.view}`;
  const kept = new URLSearchParams([...route.parameters].filter(([, value]) => value !== ""));
  const query = kept.toString();
  return `#${path}${query && `?${query}`}`;
}

/** The hash of a view with the given parameters. */
export function hashOf(view: View, parameters: Record<string, string> = {}, symbol?: string): string {
  return formatHash({ view, parameters: new URLSearchParams(parameters), ...(symbol === undefined ? {} : { symbol }) });
}

/** The route with other values for some parameters. An empty value or null removes a parameter. */
export function changed(route: Route, changes: Readonly<Record<string, string | null>>): Route {
  const parameters = new URLSearchParams(route.parameters);
  for (const [name, value] of Object.entries(changes)) {
    if (value) parameters.set(name, value);
    else parameters.delete(name);
  }
  return { ...route, parameters };
}

function split(text: string): [string, string] {
  const mark = text.indexOf("?");
  return mark < 0 ? [text, ""] : [text.slice(0, mark), text.slice(mark + 1)];
}

function decoded(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}
