/**
 * The query API and config.json for `make web-dev` and `npm run preview`, so that the page can be changed without a feed.
 *
 * MOCK_SYMBOLS=3000 sets how many symbols there are. MOCK_ISSUER=http://127.0.0.1:9000 lets the page log in at that issuer.
 * POST /mock/down?seconds=20 lets the API fail for a while.
 */

import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";

import type { Plugin } from "vite";

import { answer } from "./answers.ts";

export function mockApi(): Plugin {
  let downUntil = 0;
  const serve = (request: IncomingMessage, response: ServerResponse, next: () => void): void => {
    const url = new URL(request.url ?? "/", "http://mock");
    if (url.pathname === "/config.json") {
      const issuer = process.env.MOCK_ISSUER;
      const auth = issuer ? { issuer, clientId: "dashboard", scope: "openid offline_access" } : null;
      send(response, 200, JSON.stringify({ name: "stockstream", stage: "mock", apiBase: "", auth }));
    } else if (url.pathname === "/mock/down") {
      downUntil = Date.now() + Number(url.searchParams.get("seconds") ?? 20) * 1_000;
      send(response, 200, "{}");
    } else if (url.pathname.startsWith("/v1/")) {
      if (Date.now() < downUntil) return send(response, 503, "{}", { "Retry-After": "1" });
      if (process.env.MOCK_ISSUER && !request.headers.authorization) return send(response, 401, "{}");
      const { status, body } = answer(url, Number(process.env.MOCK_SYMBOLS ?? 40));
      const etag = `"${createHash("sha256").update(body).digest("hex").slice(0, 16)}"`;
      if (request.headers["if-none-match"] === etag) return send(response, 304, "", { ETag: etag });
      send(response, status, body, { ETag: etag, "Cache-Control": "private, no-cache" });
    } else next();
  };
  return {
    name: "mock-api",
    configureServer: (server) => void server.middlewares.use(serve),
    configurePreviewServer: (server) => void server.middlewares.use(serve),
  };
}

function send(response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}): void {
  const type = status < 400 ? "application/json" : "application/problem+json";
  response.writeHead(status, { "Content-Type": type, ...headers }).end(body);
}
