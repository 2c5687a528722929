/** Gaps against the exchange's sessions: of every symbol that is in view, and of the chosen one in detail. */

import type { GapsAnswer, SessionsAnswer, SymbolInfo } from "../answers.ts";
import { ApiError } from "../api.ts";
import type { App } from "../app.ts";
import { localClock } from "../chart/clock.ts";
import { seconds, timeText } from "../chart/wire.ts";
import { h, setText } from "../components/dom.ts";
import { count } from "../format.ts";
import { hashOf } from "../router.ts";
import { fill, row, section, table } from "./section.ts";
import { hourMarks, type Span, strip } from "./session.ts";
import { stripDrawing } from "./strip.ts";
import { GAPS, shareText } from "./words.ts";

const phone = matchMedia("(max-width: 600px)");
/** How many requests for gaps run at the same time. */
const AT_ONCE = 3;
const DAY = 86_400;
const LIST_HEADINGS = ["Symbol", "Expected", "Stored", "Missing", "Share", "Session"];
const EARLIER = "Minutes before its first bar do not count.";
const GAP_HEADINGS = ["From", "To", "Minutes"];

interface Found {
  readonly gaps: GapsAnswer;
  /** The session that the gaps belong to, in one or two parts. */
  readonly spans: readonly Span[];
}

export class GapParts {
  readonly element: HTMLElement;
  readonly #select = h(
    "select",
    { class: "input", disabled: true, onchange: () => this.#choose(this.#select.value) },
    h("option", { value: "" }, "Loading …"),
  );
  readonly #detail = h("div", { class: "gap-detail", "aria-live": "polite" });
  readonly #list = h("tbody");
  readonly #rows = new Map<string, HTMLTableRowElement>();
  readonly #found = new Map<string, Found>();
  readonly #waiting = new Set<string>();
  readonly #watcher: IntersectionObserver;
  readonly #end = new AbortController();
  #running = 0;
  #symbols: ReadonlyMap<string, SymbolInfo> = new Map();

  constructor(
    private readonly app: App,
    private chosen: string,
    private readonly onShow: (symbol: string) => void,
  ) {
    const again = h("button", { type: "button", class: "button", onclick: () => this.refresh() }, "Look again");
    const label = h("label", { class: "field" }, "Symbol ", this.#select);
    const list = table("Gaps of all symbols", LIST_HEADINGS, this.#list);
    list.classList.add("gap-list");
    this.element = section(
      GAPS,
      "gaps",
      h("div", { class: "toolbar" }, label, again),
      this.#detail,
      h("h3", {}, "All symbols"),
      list,
    );
    this.#watcher = new IntersectionObserver((entries) => this.#seen(entries), { root: list, rootMargin: "60px" });
  }

  setSymbols(symbols: readonly SymbolInfo[]): void {
    const names = symbols.map((each) => each.symbol);
    const same = names.length === this.#symbols.size && names.every((name) => this.#symbols.has(name));
    this.#symbols = new Map(symbols.map((each) => [each.symbol, each]));
    if (same && names.length > 0) return;
    this.#watcher.disconnect();
    this.#rows.clear();
    for (const name of names) this.#rows.set(name, row(this.#link(name), ...LIST_HEADINGS.slice(1).map(() => "")));
    fill(this.#list, [...this.#rows.values()], LIST_HEADINGS.length, "No symbol is stored yet.");
    for (const element of this.#rows.values()) this.#watcher.observe(element);
    const options = names.map((name) => h("option", { value: name }, name));
    this.#select.replaceChildren(...(options.length > 0 ? options : [h("option", { value: "" }, "None yet")]));
    this.#select.disabled = options.length === 0;
    const first = names[0];
    if (first !== undefined) this.#choose(this.#symbols.has(this.chosen) ? this.chosen : first);
  }

  /** Reads again what is shown. */
  refresh(): void {
    if (this.#rows.size === 0) return;
    this.#found.clear();
    this.#watcher.disconnect();
    for (const element of this.#rows.values()) this.#watcher.observe(element);
    this.#want(this.chosen);
    this.onShow(this.chosen);
  }

  /** Writes the times again, after the zone has changed. */
  showTimes(): void {
    this.#showDetail();
  }

  stop(): void {
    this.#end.abort();
    this.#watcher.disconnect();
  }

  #choose(symbol: string): void {
    this.chosen = symbol;
    this.#select.value = symbol;
    this.app.replaceParameters({ symbol });
    this.#showDetail();
    this.#want(symbol);
    this.onShow(symbol);
  }

  #link(symbol: string): HTMLElement {
    const choose = (): void => this.#choose(symbol);
    return h("button", { type: "button", class: "link", title: "Show its gaps", onclick: choose }, symbol);
  }

  #seen(entries: readonly IntersectionObserverEntry[]): void {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      this.#watcher.unobserve(entry.target);
      for (const [symbol, element] of this.#rows) if (element === entry.target) this.#want(symbol);
    }
  }

  #want(symbol: string): void {
    if (this.#found.has(symbol)) return;
    this.#waiting.add(symbol);
    this.#next();
  }

  #next(): void {
    while (this.#running < AT_ONCE && this.#waiting.size > 0) {
      const symbol = this.#waiting.has(this.chosen) ? this.chosen : this.#waiting.values().next().value!;
      this.#waiting.delete(symbol);
      this.#running += 1;
      void this.#load(symbol).finally(() => {
        this.#running -= 1;
        this.#next();
      });
    }
  }

  async #load(symbol: string): Promise<void> {
    const signal = this.#end.signal;
    try {
      const gaps = await this.app.api.gaps(symbol, {}, signal);
      const range = { start: timeText(seconds(gaps.start) - DAY), end: timeText(seconds(gaps.end) + DAY) };
      const sessions = await this.app.api.sessions(symbol, range, signal);
      this.#found.set(symbol, { gaps, spans: spansOf(gaps, sessions) });
      this.#showRow(symbol);
      if (symbol === this.chosen) this.#showDetail();
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      const unknown = error.kind === "sessions-unknown";
      const cells = this.#rows.get(symbol)?.cells;
      if (cells) setText(cells[cells.length - 1]!, unknown ? "sessions unknown" : "no answer");
      if (symbol === this.chosen) this.#detail.replaceChildren(h("p", { class: unknown ? "muted" : "failure" }, error.message));
    }
  }

  #showRow(symbol: string): void {
    const element = this.#rows.get(symbol);
    const found = this.#found.get(symbol);
    if (!element || !found) return;
    const { expected_minutes: expected, stored_minutes: stored } = found.gaps;
    const missing = expected.value - stored.value;
    const texts = [count(expected), count(stored), count(missing), shareText(missing, expected.value)];
    texts.forEach((text, index) => setText(element.cells[index + 1]!, text));
    element.classList.toggle("is-bad", missing > 0);
    const drawings = found.spans.map((span) => this.#drawing(found, span, `${symbol}: ${count(missing)} minutes are missing`));
    element.cells[5]!.replaceChildren(h("div", { class: "strips" }, ...drawings));
  }

  #showDetail(): void {
    const found = this.#found.get(this.chosen);
    const info = this.#symbols.get(this.chosen);
    if (!found) return this.#detail.replaceChildren(h("p", { class: "muted" }, `Reading the gaps of ${this.chosen} …`));
    const { gaps, spans } = found;
    const { expected_minutes: expected, stored_minutes: stored } = gaps;
    const missing = expected.value - stored.value;
    const zone = this.app.times.zoneName(info?.timezone);
    const begun = spans.some((span) => span.start < seconds(gaps.start));
    const from = this.app.times.format(gaps.start, "minute", info?.timezone);
    const to = this.app.times.format(gaps.end, "minute", info?.timezone);
    const sentence =
      expected.value === 0
        ? `No minute of a session is over since its first bar. ${EARLIER}`
        : `From ${from} to ${to} (${zone}), ${count(stored)} of ${count(expected)} minutes are stored. ` +
          (missing > 0 ? `${count(missing)} are missing, in ${plural(gaps.gaps.length, "gap")}.` : "None is missing.") +
          (begun ? ` ${EARLIER}` : "");
    const body = h("tbody");
    const time = (text: string): string => this.app.times.format(text, "minute", info?.timezone);
    const rows = gaps.gaps.map((gap) => row(time(gap.start), time(gap.end), count(gap.minutes)));
    fill(body, rows, GAP_HEADINGS.length, "No minute is missing.");
    const clock = localClock(zone);
    this.#detail.replaceChildren(
      h("p", {}, h("a", { href: hashOf("symbol", {}, this.chosen) }, this.chosen), ": ", sentence),
      ...spans.map((span) => h("div", { class: "strip-box" }, this.#drawing(found, span, sentence), axis(span, clock))),
      legend(begun),
      table(`Gaps of ${this.chosen}`, GAP_HEADINGS, body),
    );
  }

  #drawing({ gaps }: Found, span: Span, label: string): SVGSVGElement {
    const holes = gaps.gaps.map((gap) => ({ start: seconds(gap.start), end: seconds(gap.end) }));
    return stripDrawing(strip(span, holes, seconds(gaps.end), seconds(gaps.start)), label);
  }
}

/** The parts of the session that the gaps are about. Without known sessions, what the answer covers. */
function spansOf(gaps: GapsAnswer, { sessions }: SessionsAnswer): Span[] {
  const [start, end] = [seconds(gaps.start), seconds(gaps.end)];
  const days = new Set(
    sessions.filter((each) => seconds(each.opens) < Math.max(end, start + 1) && seconds(each.closes) > start).map((each) => each.day),
  );
  const spans = sessions
    .filter((each) => days.has(each.day))
    .map((each) => ({ start: seconds(each.opens), end: seconds(each.closes) }));
  return spans.length > 0 ? spans : end > start ? [{ start, end }] : [];
}

function axis(span: Span, clock: (time: number) => number): HTMLElement {
  const offset = clock(span.start) - span.start;
  const marks = hourMarks(span, phone.matches ? 4 : 8, offset).map(({ time, at }) => {
    const mark = h("span", {}, new Date((time + offset) * 1_000).toISOString().slice(11, 16));
    mark.style.left = `${100 * at}%`;
    mark.dataset.edge = at < 0.03 ? "start" : at > 0.97 ? "end" : "none";
    return mark;
  });
  return h("div", { class: "strip-axis", "aria-hidden": "true" }, ...marks);
}

function legend(begun: boolean): HTMLElement {
  const item = (state: string, text: string): HTMLElement => h("span", { class: `strip-key ${state}` }, text);
  return h("p", { class: "strip-legend" }, begun && item("before", "before the first bar"), item("stored", "stored"), item("missing", "missing"), item("ahead", "still to come"));
}

function plural(number: number, noun: string): string {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}
