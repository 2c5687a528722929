/** The parts of the quality view that follow from the API's status: lanes, quarantine and counts by day. */

import type { StatusAnswer } from "../answers.ts";
import type { App } from "../app.ts";
import { h, setText } from "../components/dom.ts";
import { count, duration } from "../format.ts";
import { fill, row, section, table } from "./section.ts";
import { COUNTS, LANES, QUARANTINE, shareText } from "./words.ts";

const LANE_HEADINGS = ["Lane", "Symbols", "Stale", "Clock", "Complete to", "Last batch", "Newest quote"];
const COUNT_HEADINGS = ["Day (UTC)", "Quotes", "Late", "Share", "Repeated", "Share"];
const QUIET_SECONDS = 180;

export class StatusParts {
  readonly problems = h("section", { class: "panel quality-section", "data-testid": "quality-problems", "aria-label": "Problems", hidden: true });
  readonly lanes: HTMLElement;
  readonly quarantine: HTMLElement;
  readonly counts: HTMLElement;
  readonly #lanes = h("tbody");
  readonly #counts = h("tbody");
  readonly #waiting = h("dd", {}, "–");
  readonly #flying = h("dd", {}, "–");
  #status: StatusAnswer | null = null;

  constructor(private readonly app: App) {
    this.lanes = section(LANES, "lanes", table(LANES.title, LANE_HEADINGS, this.#lanes));
    this.counts = section(COUNTS, "counts", table(COUNTS.title, COUNT_HEADINGS, this.#counts));
    const figures = h(
      "dl",
      { class: "figures" },
      h("div", {}, h("dt", {}, "Messages that wait"), this.#waiting),
      h("div", {}, h("dt", {}, "Being looked at"), this.#flying),
    );
    this.quarantine = section(QUARANTINE, "quarantine", figures);
  }

  show(status: StatusAnswer): void {
    this.#status = status;
    this.#showProblems(status.problems);
    setText(this.#waiting, count(status.quarantine?.messages));
    setText(this.#flying, count(status.quarantine?.in_flight));
    this.#waiting.classList.toggle("is-bad", (status.quarantine?.messages.value ?? 0) > 0);
    const days = [...status.counts].reverse().map(({ day, quotes, late, repeated }) => {
      const shares = [late, repeated].map((part) => shareText(part.value, quotes.value));
      return row(day, count(quotes), count(late), shares[0]!, count(repeated), shares[1]!);
    });
    fill(this.#counts, days, COUNT_HEADINGS.length, "No quote has arrived yet.");
    this.showLanes();
  }

  /** Writes the lanes again: their ages grow, and the zone may have changed. */
  showLanes(now = Date.now()): void {
    const lanes = this.#status?.lanes ?? [];
    const time = (text: string | null | undefined): HTMLElement => {
      if (!text) return h("span", { class: "muted" }, "not yet");
      const age = (now - Date.parse(text)) / 1_000;
      const ago = h("span", { class: age > QUIET_SECONDS ? "ago is-old" : "ago" }, `${duration(age)} ago`);
      return h("span", {}, this.app.times.format(text, age > 86_400 ? "minute" : "time"), " ", ago);
    };
    const rows = lanes.map((lane) => {
      const stale = lane.stale.value > 0 ? h("span", { class: "badge stale" }, count(lane.stale)) : "0";
      const name = typeof lane.lane === "string" ? lane.lane : lane.lane.text;
      const times = [lane.clock, lane.complete_to, lane.arrival, lane.newest_event_time].map(time);
      return row(name, count(lane.symbols), stale, ...times);
    });
    fill(this.#lanes, rows, LANE_HEADINGS.length, "No lane has received anything yet. Start a producer.");
  }

  #showProblems(problems: readonly string[]): void {
    const bad = problems.length > 0;
    this.problems.hidden = false;
    this.problems.classList.toggle("has-problems", bad);
    this.problems.classList.toggle("is-fine", !bad);
    this.problems.replaceChildren(
      h("h2", {}, bad ? "Needs attention" : "Nothing needs attention"),
      bad
        ? h("ul", {}, ...problems.map((problem) => h("li", {}, problem)))
        : h("p", { class: "muted" }, "Each lane receives quotes, no symbol is stale, and the quarantine is empty."),
    );
  }
}
