/** What the figures of the quality view mean, and where the runbook says what to do. Pure. */

/** The part of a page that explains one figure. `runbook` names sections of docs/runbook.md. */
export interface Explanation {
  readonly title: string;
  readonly meaning: string;
  readonly action: string;
  readonly runbook: readonly string[];
}

export const LANES: Explanation = {
  title: "Freshness by lane",
  meaning:
    "A lane is a group of symbols whose quotes stay in order. Its clock is the time up to which the producer has " +
    "reported. Everything up to “complete to” has been stored. “Last batch” is when the stream last received something " +
    "for the lane; the producer sends at least a heartbeat a minute.",
  action:
    "A lane whose clock stands still gets nothing from the producer, or the function behind the stream does not get on.",
  runbook: ["ProducerSilent", "ProcessorBehind", "BatchesFailing"],
};

export const STALE: Explanation = {
  title: "Stale symbols",
  meaning:
    "A symbol is stale if its exchange is open and it has been silent for more than four times its longest usual pause, " +
    "or if its lane has been silent for more than three minutes.",
  action:
    "A single stale symbol is usually halted, renamed or thinly traded. Many at once mean that the source fails.",
  runbook: ["SymbolsMissing", "NoQuotesAccepted", "SourceFailing"],
};

export const GAPS: Explanation = {
  title: "Gaps in the session",
  meaning:
    "The minutes of the exchange's session for which no bar is stored, up to the time to which everything has arrived. " +
    "A minute without a trade has no bar either, so thinly traded symbols have gaps by nature.",
  action: "A gap at the same time in many symbols was an outage of the source or of the producer.",
  runbook: ["StreamGap", "SourceFailing", "ProducerDown"],
};

export const COVERAGE: Explanation = {
  title: "Coverage by day",
  meaning:
    "The minutes of the chosen symbol on each day of its exchange, by where their bars come from: made of quotes as they " +
    "arrived, rebuilt from the archive, or backfilled from the source's history. “No trade” means that a backfill asked " +
    "and the source has no bar either.",
  action:
    "The daily backfill fills what the source still has. “stockstream backfill” does so at once, and “stockstream " +
    "rebuild” corrects bars whose quotes are in the archive.",
  runbook: ["StreamGap", "ProducerDown"],
};

export const QUARANTINE: Explanation = {
  title: "Quarantine",
  meaning:
    "Lines that the function refused, for example because their time is in the future. They wait in a queue with their " +
    "bytes and the reason. Their neighbours are stored.",
  action: "List them with “stockstream quarantine list”, remove the cause, then replay or drop them.",
  runbook: ["QuarantineNotEmpty", "QuarantineRising"],
};

export const COUNTS: Explanation = {
  title: "Late and repeated quotes",
  meaning:
    "Quotes by the UTC day on which they arrived. A late quote is older than a minute that is closed, or than the last " +
    "quote of its symbol: it becomes a row, but changes no bar. A repeated quote came twice and is stored once.",
  action:
    "Some repeated quotes are normal after a restart of the producer. Many late ones mean that two producers write to " +
    "the stream, or that a clock is wrong.",
  runbook: ["ClockWrong", "StreamGap"],
};

/** A share of a whole in percent, such as "0.3 %". It rounds neither something to nothing nor almost all to all. */
export function shareText(part: number, whole: number): string {
  if (part === 0 || whole === 0) return "0 %";
  const percent = (100 * part) / whole;
  if (percent < 0.1) return "under 0.1 %";
  if (percent > 99 && part < whole) return "over 99 %";
  return `${percent.toFixed(percent < 10 ? 1 : 0)} %`;
}
