/** The coverage of one symbol: for each day, how many minutes are stored, where they come from, and what is missing. */

import type { CoverageAnswer, CoverageDay } from "../answers.ts";
import { ApiError } from "../api.ts";
import type { App } from "../app.ts";
import { h, svg } from "../components/dom.ts";
import { count } from "../format.ts";
import { coverageText, partsOf, type State, STATES } from "./days.ts";
import { fill, row, section, table } from "./section.ts";
import { COVERAGE } from "./words.ts";

const HEADINGS = ["Day", "Missing", "Minutes", "Expected", "As they arrived", "Rebuilt", "Backfilled", "No trade"];
const NAMES: Readonly<Record<State, string>> = {
  stream: "as they arrived",
  rebuild: "rebuilt",
  backfill: "backfilled",
  without_trades: "no trade at the source",
  missing: "missing",
};
const WIDTH = 1_000;
/** How wide missing minutes are drawn at least, so that they are seen. */
const LEAST = 6;

export class CoverageParts {
  readonly element: HTMLElement;
  readonly #detail = h("div", { class: "coverage-detail", "aria-live": "polite" }, h("p", { class: "muted" }, "Loading …"));
  #symbol = "";
  #loading = new AbortController();

  constructor(private readonly app: App) {
    this.element = section(COVERAGE, "coverage", this.#detail);
  }

  /** Reads the coverage of a symbol and shows it. */
  show(symbol: string): void {
    if (symbol !== this.#symbol) this.#detail.replaceChildren(h("p", { class: "muted" }, `Reading the coverage of ${symbol} …`));
    this.#symbol = symbol;
    this.#loading.abort();
    this.#loading = new AbortController();
    void this.#load(symbol, this.#loading.signal);
  }

  /** Says that there is no symbol to show. */
  showNone(): void {
    this.#detail.replaceChildren(h("p", { class: "muted" }, "No symbol is stored yet."));
  }

  stop(): void {
    this.#loading.abort();
  }

  async #load(symbol: string, signal: AbortSignal): Promise<void> {
    try {
      const answer = await this.app.api.coverage(symbol, {}, signal);
      if (!signal.aborted) this.#showDays(answer);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      const unknown = error.kind === "sessions-unknown";
      this.#detail.replaceChildren(h("p", { class: unknown ? "muted" : "failure" }, error.message));
    }
  }

  #showDays({ symbol, timezone, days }: CoverageAnswer): void {
    const body = h("tbody");
    fill(body, [...days].reverse().map(dayRow), HEADINGS.length, "No day of the last 30 has a session that is known.");
    const list = table(`Coverage of ${symbol}`, HEADINGS, body);
    list.classList.add("coverage-list");
    const keys = STATES.map((state) => h("span", { class: `strip-key ${state}` }, NAMES[state]));
    this.#detail.replaceChildren(
      h("p", {}, `${symbol}, days of ${timezone}: ${coverageText(days)}`),
      h("p", { class: "strip-legend" }, ...keys),
      list,
    );
  }
}

function dayRow(day: CoverageDay): HTMLTableRowElement {
  const counts = [day.expected, day.stream, day.rebuild, day.backfill, day.without_trades].map((each) => count(each));
  const element = row(day.day, count(day.missing), h("div", {}, drawing(day)), ...counts);
  element.classList.toggle("is-bad", day.missing.value > 0);
  return element;
}

function drawing(day: CoverageDay): SVGSVGElement {
  const label = `${day.day}: ${count(day.missing)} of ${count(day.expected)} minutes are missing`;
  const box = { class: "strip", viewBox: `0 0 ${WIDTH} 10`, preserveAspectRatio: "none", role: "img", "aria-label": label };
  const picture = svg("svg", box);
  for (const { state, from, to } of partsOf(day)) {
    const width = Math.max((to - from) * WIDTH, state === "missing" ? LEAST : 0);
    picture.append(svg("rect", { class: state, x: Math.min(from * WIDTH, WIDTH - width), y: 0, width, height: 10 }));
  }
  return picture;
}
