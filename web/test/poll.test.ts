import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Api, type ApiError } from "../src/api.ts";
import { Connection } from "../src/connection.ts";

const asked: { path: string; headers: Record<string, string> }[] = [];
let answers: (() => Response | Promise<Response>)[] = [];
let refusals = 0;
let connection: Connection;
let api: Api;

beforeEach(() => {
  asked.length = 0;
  refusals = 0;
  vi.stubGlobal("document", Object.assign(new EventTarget(), { hidden: false }));
  vi.stubGlobal("navigator", { onLine: true });
  vi.stubGlobal("fetch", async (path: string, { headers }: { headers: Record<string, string> }) => {
    asked.push({ path, headers });
    return (answers.shift() ?? unchanged)();
  });
  connection = new Connection();
  const credentials = { token: async () => "secret", accepted: () => undefined, refused: () => void (refusals += 1) };
  api = new Api("", credentials, connection);
});
afterEach(() => vi.unstubAllGlobals());

const unchanged = (): Response => new Response(null, { status: 304 });
const answer = (body: string, etag: string) => (): Response => new Response(body, { headers: { ETag: etag } });
const refusal = (status: number, detail: string) => (): Response =>
  new Response(JSON.stringify({ type: "urn:stockstream:symbol-unknown", status, detail }), { status });
const unreachable = (): Response => {
  throw new TypeError("no network");
};

/** Polls without a pause, and returns what arrived when so many requests were made. */
async function polled(requests: number): Promise<unknown[]> {
  const seen: unknown[] = [];
  const stop = api.poll("/v1/latest", 0, (document) => seen.push(document));
  await vi.waitFor(() => expect(asked.length).toBeGreaterThanOrEqual(requests), { timeout: 20_000, interval: 2 });
  stop();
  return seen;
}

test("a poll sends the last ETag, and hands over only what has changed", async () => {
  answers = [answer('{"a":1}', '"1"'), unchanged, answer('{"a":2}', '"2"'), unchanged];
  expect(await polled(5)).toEqual([{ a: { text: "1", value: 1 } }, { a: { text: "2", value: 2 } }]);
  expect(asked.slice(0, 4).map(({ headers }) => headers["If-None-Match"])).toEqual([undefined, '"1"', '"1"', '"2"']);
  expect(asked[0]?.headers.Authorization).toBe("Bearer secret");
  expect(connection.state.value.kind).toBe("live");
});

test("a failure is shown with its reason and the time of the next attempt, and ends with the next answer", async () => {
  const states: [string, string | undefined][] = [];
  connection.state.onChange(({ kind, message, retryAt }) => {
    states.push([kind, message]);
    if (kind !== "failing") return;
    expect(retryAt).toBeGreaterThan(Date.now());
    queueMicrotask(() => setTimeout(() => connection.retryNow()));
  });
  answers = [unreachable, refusal(503, "The tables are throttled."), answer("{", '"0"'), answer("{}", '"1"')];
  await polled(5);
  expect(states).toEqual([
    ["failing", "The API cannot be reached."],
    ["failing", "The tables are throttled."],
    ["failing", expect.stringContaining("not JSON")],
    ["live", undefined],
  ]);
});

test("a view that fails over an answer does not look alive", async () => {
  const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
  answers = [answer("{}", '"1"')];
  const stop = api.poll("/v1/latest", 0, () => {
    throw new Error("a mistake of the view");
  });
  await vi.waitFor(() => expect(connection.state.value.kind).toBe("failing"));
  stop();
  expect(connection.state.value.kind).toBe("failing");
  await polled(2);
  expect(connection.state.value.kind).toBe("live"); // the view that follows has an answer
  log.mockRestore();
});

test("a refused token is reported, and ends the poll", async () => {
  answers = [refusal(401, "no")];
  const stop = api.poll("/v1/status", 0, () => undefined);
  await vi.waitFor(() => expect(refusals).toBe(1));
  await polled(5);
  stop();
  expect(asked.filter(({ path }) => path === "/v1/status")).toHaveLength(1);
});

test("a view may explain an error itself and end the poll", async () => {
  const errors: ApiError[] = [];
  answers = [refusal(404, "Nothing is stored of the symbol X.")];
  const stop = api.poll("/v1/bars/X", 0, () => undefined, (error) => errors.push(error) > 0);
  await vi.waitFor(() => expect(errors).toHaveLength(1));
  await polled(5);
  stop();
  expect(asked.filter(({ path }) => path === "/v1/bars/X")).toHaveLength(1);
  expect(errors[0]).toMatchObject({ status: 404, kind: "symbol-unknown", message: "Nothing is stored of the symbol X." });
});

test("a hidden page asks for nothing until it is seen again", async () => {
  Object.assign(document, { hidden: true });
  const stop = api.poll("/v1/latest", 0, () => undefined);
  await Promise.resolve();
  expect(asked).toHaveLength(0);
  Object.assign(document, { hidden: false });
  document.dispatchEvent(new Event("visibilitychange"));
  await vi.waitFor(() => expect(asked.length).toBeGreaterThan(0));
  stop();
});
