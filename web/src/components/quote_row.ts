/** One row of the overview. Only texts that differ are written, so thousands of rows stay quick. */

import type { Freshness, LatestQuote } from "../answers.ts";
import { duration, percent, price, signed } from "../format.ts";
import { missingZeros, scaleDigits } from "../precision.ts";
import { hashOf } from "../router.ts";
import type { Times } from "../times.ts";
import { h, setText } from "./dom.ts";
import type { Sparkline } from "./sparklines.ts";

const STATES: Readonly<Record<Freshness, string>> = { fresh: "Live", stale: "⚠ Stale", closed: "Closed" };
const FLASH_MS = 700;
const still = matchMedia("(prefers-reduced-motion: reduce)");

export class QuoteRow {
  readonly link: HTMLAnchorElement;
  readonly element: HTMLTableRowElement;
  readonly #exchange = h("td", { class: "wide muted" });
  readonly #price = h("td", { class: "num price" });
  readonly #change = h("td", { class: "num wide" });
  readonly #percent = h("td", { class: "num" });
  readonly #age = h("time");
  readonly #state = h("span");
  #quote: LatestQuote | null = null;
  #title = "";

  constructor(
    readonly symbol: string,
    readonly sparkline: Sparkline,
  ) {
    this.link = h("a", { href: hashOf("symbol", {}, symbol), title: symbol }, symbol);
    this.element = h(
      "tr",
      { "data-testid": `symbol-row-${symbol}`, "data-symbol": symbol },
      h("th", { scope: "row" }, this.link),
      this.#exchange,
      this.#price,
      this.#change,
      this.#percent,
      h("td", { class: "spark" }, sparkline.element),
      h("td", { class: "num age" }, this.#age),
      h("td", { class: "state" }, this.#state),
    );
  }

  show(quote: LatestQuote): void {
    const shown = this.#quote;
    this.#quote = quote;
    setText(this.#exchange, [quote.exchange, quote.currency].filter(Boolean).join(" · "));
    setText(this.#price, price(quote.price));
    setText(this.#change, signed(quote.change));
    setText(this.#percent, percent(quote.change_percent));
    const { price: last, previous_close: before, change } = quote;
    const digits = scaleDigits([last, before, change].map((number) => number?.text ?? ""));
    this.#price.dataset.zeros = missingZeros(last.text, digits);
    this.#change.dataset.zeros = change ? missingZeros(change.text, digits) : "";
    const direction = Math.sign(quote.change?.value ?? 0);
    for (const cell of [this.#change, this.#percent]) {
      cell.classList.toggle("up", direction > 0);
      cell.classList.toggle("down", direction < 0);
    }
    if (shown?.freshness !== quote.freshness) {
      this.element.dataset.state = quote.freshness;
      this.#state.className = quote.freshness === "fresh" ? "live" : `badge ${quote.freshness}`;
      setText(this.#state, STATES[quote.freshness]);
    }
    this.sparkline.showPrice(quote.price, direction);
    if (shown && shown.price.value !== quote.price.value) this.#flash();
  }

  /** Brings the age up to date. */
  tick(now: number, times: Times, zone: string | undefined): void {
    if (!this.#quote) return;
    const time = this.#quote.event_time;
    setText(this.#age, duration((now - Date.parse(time)) / 1_000));
    const title = times.format(time, "full", zone);
    if (title === this.#title) return;
    this.#title = title;
    this.#age.title = title;
    this.#age.dateTime = time;
  }

  #flash(): void {
    if (still.matches || document.hidden) return;
    this.#price.animate([{ backgroundColor: "var(--flash)" }, { backgroundColor: "transparent" }], FLASH_MS);
  }
}
