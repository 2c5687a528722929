import { describe, expect, it } from "vitest";

import { hourMarks, strip } from "../../src/quality/session.ts";
import { shareText } from "../../src/quality/words.ts";

const session = { start: 0, end: 1000 };
const pieces = (...args: Parameters<typeof strip>): [string, number, number][] =>
  strip(...args).pieces.map((piece) => [piece.state, piece.start, piece.end]);

describe("the strip of a session", () => {
  it("is one piece if nothing is missing", () => {
    expect(pieces(session, [], 1000)).toEqual([["stored", 0, 1000]]);
  });

  it("has a hole for each gap, and shows what is still to come", () => {
    expect(pieces(session, [{ start: 300, end: 400 }], 600)).toEqual([
      ["stored", 0, 300],
      ["missing", 300, 400],
      ["stored", 400, 600],
      ["ahead", 600, 1000],
    ]);
  });

  it("cuts gaps at its ends and at the time that is known", () => {
    const gaps = [
      { start: 500, end: 700 },
      { start: -50, end: 100 },
      { start: 100, end: 200 },
    ];
    expect(pieces(session, gaps, 600)).toEqual([
      ["missing", 0, 100],
      ["missing", 100, 200],
      ["stored", 200, 500],
      ["missing", 500, 600],
      ["ahead", 600, 1000],
    ]);
  });

  it("has no hole before the feed began", () => {
    expect(pieces(session, [{ start: 500, end: 550 }], 600, 400)).toEqual([
      ["before", 0, 400],
      ["stored", 400, 500],
      ["missing", 500, 550],
      ["stored", 550, 600],
      ["ahead", 600, 1000],
    ]);
    expect(pieces(session, [], 300, 400)).toEqual([
      ["before", 0, 400],
      ["ahead", 400, 1000],
    ]);
    expect(pieces(session, [], 1000, -400)).toEqual([["stored", 0, 1000]]);
  });

  it("is all ahead before the session begins", () => {
    expect(pieces(session, [{ start: 0, end: 100 }], -5)).toEqual([["ahead", 0, 1000]]);
  });

  it("places its pieces by shares of its length", () => {
    const [, hole] = strip(session, [{ start: 250, end: 500 }], 1000).pieces;
    expect([hole?.from, hole?.to]).toEqual([0.25, 0.5]);
  });
});

describe("the axis of a strip", () => {
  it("has marks at full hours of the local clock", () => {
    const open = Date.UTC(2026, 10, 27, 14, 30) / 1000;
    const marks = hourMarks({ start: open, end: open + 6.5 * 3600 }, 8, -5 * 3600);
    expect(marks.map((mark) => new Date(mark.time * 1000).getUTCHours())).toEqual([15, 16, 17, 18, 19, 20, 21]);
    expect(marks.at(-1)?.at).toBe(1);
  });

  it("has few marks on a long session", () => {
    expect(hourMarks({ start: 0, end: 86400 }, 8).length).toBeLessThanOrEqual(9);
  });
});

describe("a share in words", () => {
  it("never rounds something to nothing, nor almost all to all", () => {
    expect(shareText(0, 10)).toBe("0 %");
    expect(shareText(1, 100000)).toBe("under 0.1 %");
    expect(shareText(3, 1000)).toBe("0.3 %");
    expect(shareText(50, 100)).toBe("50 %");
    expect(shareText(0, 0)).toBe("0 %");
    expect(shareText(970, 973)).toBe("over 99 %");
    expect(shareText(973, 973)).toBe("100 %");
  });
});
