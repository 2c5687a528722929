/** The symbols that are stale: which, and for how long they have been silent. */

import type { SymbolInfo } from "../answers.ts";
import type { App } from "../app.ts";
import { h } from "../components/dom.ts";
import { duration } from "../format.ts";
import { hashOf } from "../router.ts";
import { fill, row, section, table } from "./section.ts";
import { STALE } from "./words.ts";

const HEADINGS = ["Symbol", "Exchange", "Last quote", "Silent for"];

export class StaleParts {
  readonly element: HTMLElement;
  readonly #body = h("tbody");
  #stale: readonly SymbolInfo[] = [];

  constructor(private readonly app: App) {
    this.element = section(STALE, "stale", table(STALE.title, HEADINGS, this.#body));
  }

  show(symbols: readonly SymbolInfo[]): void {
    this.#stale = symbols.filter((each) => each.freshness === "stale");
    this.showTimes();
  }

  /** Writes the rows again: ages grow, and the zone may have changed. */
  showTimes(now = Date.now()): void {
    const rows = this.#stale.map(({ symbol, exchange, event_time: time, timezone }) => {
      const link = h("a", { href: hashOf("symbol", {}, symbol) }, symbol);
      if (time === undefined) return row(link, exchange ?? "–", "never", "–");
      const age = duration((now - Date.parse(time)) / 1_000);
      return row(link, exchange ?? "–", this.app.times.format(time, "minute", timezone), age);
    });
    fill(this.#body, rows, HEADINGS.length, "No symbol is stale.");
  }
}
