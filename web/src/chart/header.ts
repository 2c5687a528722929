/** The header of a symbol: its last price, how it moved, and how fresh it is. */

import type { LatestQuote } from "../answers.ts";
import type { App } from "../app.ts";
import { h, setText } from "../components/dom.ts";
import { count, duration, percent, price, signed } from "../format.ts";
import { missingZeros } from "../precision.ts";

const FRESHNESS = {
  fresh: ["Live", "Quotes of this symbol arrive as usual."],
  stale: ["Stale", "The exchange is open, but no quote of this symbol has arrived for unusually long."],
  closed: ["Closed", "The exchange is closed."],
} as const;

export class Header {
  readonly element: HTMLElement;
  readonly #place = h("p", { class: "symbol-place" });
  readonly #badge = h("span", { hidden: true });
  readonly #price = h("span", { class: "last-price", "data-testid": "last-price" });
  readonly #currency = h("span", { class: "last-currency" });
  readonly #change = h("span", { class: "last-change" });
  readonly #percent = h("span", { class: "last-change" });
  readonly #facts = new Map<string, HTMLElement>();
  #quote: LatestQuote | null = null;
  #timezone: string | undefined;

  constructor(
    symbol: string,
    private readonly app: App,
  ) {
    const fact = (name: string): HTMLElement => {
      const value = h("dd", {}, "–");
      this.#facts.set(name, value);
      return h("div", {}, h("dt", {}, name), value);
    };
    this.element = h(
      "header",
      { class: "symbol-header" },
      h("div", { class: "symbol-name" }, h("h1", {}, symbol), this.#badge, this.#place),
      h("p", { class: "symbol-quote" }, this.#price, this.#currency, this.#change, this.#percent),
      h("dl", { class: "symbol-facts" }, ...["Previous close", "Day", "Volume", "Last quote", "Age"].map(fact)),
    );
  }

  show(quote: LatestQuote, digits: number, timezone: string | undefined): void {
    this.#quote = quote;
    this.#timezone = timezone;
    setText(this.#price, price(quote.price));
    this.#price.dataset.zeros = missingZeros(quote.price.text, digits);
    setText(this.#currency, quote.currency ?? "");
    const moved = quote.change?.value ?? 0;
    const direction = moved > 0 ? "up" : moved < 0 ? "down" : "muted";
    for (const part of [this.#change, this.#percent]) part.className = `last-change ${direction}`;
    setText(this.#change, quote.change ? signed(quote.change) : "");
    this.#change.dataset.zeros = quote.change ? missingZeros(quote.change.text, digits) : "";
    setText(this.#percent, quote.change_percent ? `(${percent(quote.change_percent)})` : "");
    const delay = quote.delay_minutes?.value ?? 0;
    const place = [quote.exchange, delay > 0 ? `delayed by ${count(delay)} min` : ""].filter(Boolean).join(" · ");
    setText(this.#place, place);
    const [label, meaning] = FRESHNESS[quote.freshness];
    setText(this.#badge, label);
    this.#badge.hidden = false;
    this.#badge.title = meaning;
    this.#badge.className = `badge ${quote.freshness}`;
    this.#fact("Previous close", price(quote.previous_close), quote.previous_close && missingZeros(quote.previous_close.text, digits));
    this.#fact("Volume", count(quote.volume));
    this.showTimes();
  }

  /** Writes the times again, after the zone has changed or a second has passed. */
  showTimes(now = Date.now()): void {
    const quote = this.#quote;
    if (quote === null) return;
    this.#fact("Day", this.app.times.format(quote.event_time, "day", this.#timezone));
    this.#fact("Last quote", this.app.times.format(quote.event_time, "time", this.#timezone));
    this.#fact("Age", duration((now - Date.parse(quote.event_time)) / 1_000));
  }

  #fact(name: string, text: string, zeros = ""): void {
    const value = this.#facts.get(name)!;
    setText(value, text);
    value.dataset.zeros = zeros;
  }
}
