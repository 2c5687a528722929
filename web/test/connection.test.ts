import { expect, test } from "vitest";

import { Connection } from "../src/connection.ts";

test("a failing poll that ends, as when the view changes, does not mean that the API answers again", () => {
  const connection = new Connection();
  const poll = connection.open();
  poll.failed("The API cannot be reached.", 1);
  poll.close();
  expect(connection.state.value.kind).toBe("failing");
  const next = connection.open();
  next.succeeded();
  expect(connection.state.value.kind).toBe("live");
});

test("the failure that is retried first is shown, until every poll has an answer", () => {
  const connection = new Connection();
  const [one, other] = [connection.open(), connection.open()];
  one.failed("late", 2_000);
  other.failed("soon", 1_000);
  expect(connection.state.value.message).toBe("soon");
  other.close();
  expect(connection.state.value.message).toBe("late");
  one.succeeded();
  expect(connection.state.value.kind).toBe("live");
});
