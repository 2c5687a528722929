/** The sparklines of a table: each loads when its row comes into view, a few at a time. */

import { type Api, ApiError } from "../api.ts";
import type { Num } from "../numbers.ts";
import { lastSession, pathOf } from "../sparkline.ts";
import { svg } from "./dom.ts";

export const WIDTH = 96;
export const HEIGHT = 24;
/** A day of bars of 15 minutes, for what trades around the clock. */
const BARS = 96;
/** A session with fewer bars of 15 minutes has just begun, so its minutes make the line. */
const FEW = 8;
/** Few, since the prices of the table go first. */
const AT_ONCE = 2;
const REFRESH_MS = 5 * 60_000;
const REFRESH_YOUNG_MS = 60_000; // a minute has one close, and the end of the line is the newest price anyway

export interface Sparkline {
  readonly element: SVGSVGElement;
  /** Moves the end of the line to the newest price. The line has the colour of the change: above, below or at 0. */
  showPrice(price: Num, change: number): void;
}

interface Line extends Sparkline {
  readonly symbol: string;
  /** When to ask for its bars again. */
  staleAt: number;
  draw(closes: readonly number[]): void;
}

/** The closes of each symbol live longer than the view, so that it is complete at once when the viewer comes back. */
const closesOf = new Map<string, { readonly closes: readonly number[]; readonly staleAt: number }>();

export class Sparklines {
  readonly #lines = new Map<Element, Line>();
  readonly #visible = new Set<Line>();
  readonly #waiting: Line[] = [];
  readonly #end = new AbortController();
  readonly #observer: IntersectionObserver;
  readonly #refresh: number;
  #running = 0;

  constructor(private readonly api: Api) {
    this.#observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: "200px" });
    this.#refresh = window.setInterval(() => {
      for (const line of this.#visible) this.#want(line);
    }, 30_000);
  }

  create(symbol: string): Sparkline {
    const path = svg("path", { class: "line" });
    const element = svg("svg", { class: "sparkline", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT }, path);
    element.setAttribute("aria-hidden", "true");
    let closes: readonly number[] = [];
    let price: Num | null = null;
    const draw = (): void => {
      const values = price === null || closes.length === 0 ? closes : [...closes.slice(0, -1), price.value];
      path.setAttribute("d", pathOf(values, WIDTH, HEIGHT));
      const first = values[0];
      if (first === undefined) return;
      element.setAttribute("role", "img");
      element.removeAttribute("aria-hidden");
      element.setAttribute("aria-label", `${symbol}: from ${first} to ${price?.text ?? values.at(-1)}, low ${Math.min(...values)}, high ${Math.max(...values)}`);
    };
    const line: Line = {
      symbol,
      element,
      staleAt: 0,
      draw: (loaded) => {
        closes = loaded;
        draw();
      },
      showPrice: (newest, change) => {
        element.classList.toggle("rising", change > 0);
        element.classList.toggle("falling", change < 0);
        if (newest.text === price?.text) return;
        price = newest;
        if (closes.length > 0) draw();
      },
    };
    this.#lines.set(element, line);
    this.#observer.observe(element);
    return line;
  }

  remove(sparkline: Sparkline): void {
    const line = this.#lines.get(sparkline.element);
    this.#observer.unobserve(sparkline.element);
    this.#lines.delete(sparkline.element);
    if (line) this.#visible.delete(line);
  }

  close(): void {
    this.#end.abort();
    this.#observer.disconnect();
    clearInterval(this.#refresh);
  }

  #seen(entries: readonly IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of entries) {
      const line = this.#lines.get(target);
      if (!line) continue;
      if (isIntersecting) {
        this.#visible.add(line);
        this.#want(line);
      } else this.#visible.delete(line);
    }
  }

  #want(line: Line): void {
    const known = closesOf.get(line.symbol);
    if (known && line.staleAt < known.staleAt) {
      line.staleAt = known.staleAt;
      line.draw(known.closes);
    }
    if (Date.now() < line.staleAt || this.#waiting.includes(line) || document.hidden) return;
    this.#waiting.push(line);
    this.#next();
  }

  /** Starts waiting requests, those of rows that have left the view last. */
  #next(): void {
    while (this.#running < AT_ONCE && this.#waiting.length > 0) {
      const seen = this.#waiting.findIndex((line) => this.#visible.has(line));
      const [line] = this.#waiting.splice(Math.max(seen, 0), 1);
      if (!line || !this.#visible.has(line)) continue;
      this.#running += 1;
      void this.#load(line).finally(() => {
        this.#running -= 1;
        this.#next();
      });
    }
  }

  /** A line that cannot be loaded stays empty until the next refresh. While nothing answers, no other is asked for. */
  async #load(line: Line): Promise<void> {
    line.staleAt = Date.now() + REFRESH_MS;
    try {
      let closes = await this.#closes(line.symbol, "15m");
      if (closes.length < FEW) {
        closes = await this.#closes(line.symbol, "1m");
        line.staleAt = Date.now() + REFRESH_YOUNG_MS;
      }
      closesOf.set(line.symbol, { closes, staleAt: line.staleAt });
      line.draw(closes);
    } catch (error) {
      line.staleAt = 0;
      if (!(error instanceof ApiError) || error.status === 0 || error.status >= 500) this.#waiting.length = 0;
    }
  }

  async #closes(symbol: string, resolution: "15m" | "1m"): Promise<number[]> {
    const { bars } = await this.api.bars(symbol, { resolution, limit: BARS }, this.#end.signal);
    return lastSession(bars);
  }
}
