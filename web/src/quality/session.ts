/** A session as a strip from its open to its close: what is stored, what is missing, and what is still to come. Pure. */

/** A span of time in Unix seconds; `end` is not part of it. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export type State = "before" | "stored" | "missing" | "ahead";

export interface Piece extends Span {
  readonly state: State;
  /** The place on the strip, as shares of its length between 0 and 1. */
  readonly from: number;
  readonly to: number;
}

export interface Strip extends Span {
  readonly pieces: readonly Piece[];
}

/**
 * The strip of a session with its gaps. What lies after `until` (the time up to which everything has arrived) is still
 * to come, and what lies before `since` (when the feed began) was never asked for. Gaps outside the session are cut off.
 */
export function strip(session: Span, gaps: readonly Span[], until: number, since = session.start): Strip {
  const known = Math.min(session.end, Math.max(session.start, until));
  const pieces: Piece[] = [];
  let last = Math.min(session.end, Math.max(session.start, since));
  if (last > session.start) pieces.push(piece(session, session.start, last, "before"));
  for (const gap of [...gaps].sort((one, other) => one.start - other.start)) {
    const start = Math.max(gap.start, last);
    const end = Math.min(gap.end, known);
    if (start >= end) continue;
    if (start > last) pieces.push(piece(session, last, start, "stored"));
    pieces.push(piece(session, start, end, "missing"));
    last = end;
  }
  if (known > last) pieces.push(piece(session, last, known, "stored"));
  if (session.end > Math.max(known, last)) pieces.push(piece(session, Math.max(known, last), session.end, "ahead"));
  return { ...session, pieces };
}

/** The full hours of a strip's axis, and its shares: at most `most` marks. */
export function hourMarks(session: Span, most: number, offset = 0): { time: number; at: number }[] {
  const length = session.end - session.start;
  const steps = [900, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400];
  const step = steps.find((seconds) => length / seconds <= most) ?? steps.at(-1)!;
  const marks: { time: number; at: number }[] = [];
  const first = Math.ceil((session.start + offset) / step) * step - offset;
  for (let time = first; time <= session.end; time += step) marks.push({ time, at: (time - session.start) / length });
  return marks;
}

function piece(session: Span, start: number, end: number, state: State): Piece {
  const length = session.end - session.start;
  return { start, end, state, from: (start - session.start) / length, to: (end - session.start) / length };
}
