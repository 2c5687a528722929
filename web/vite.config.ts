import { defineConfig } from "vitest/config";

import { mockApi } from "./dev/plugin.ts";

// The headers with which CloudFront and `make demo` serve the page. `npm run preview` sends them too, so that a build that
// breaks the policy is seen here.
const HEADERS = {
  "Content-Security-Policy": [
    "default-src 'self'",
    `connect-src 'self' ${process.env.MOCK_ISSUER ?? ""}`.trim(),
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self' data:",
    "object-src 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
};

export default defineConfig({
  base: "./",
  plugins: [mockApi()],
  preview: { headers: HEADERS },
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // a data: address would break the policy for fonts and scripts
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  // A test that hangs fails after a minute. Five seconds, the default, are too few on a machine that does much else.
  test: { environment: "node", include: ["test/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 },
});
