/** Every symbol of the feed, with its last price, its change, the line of its session and its age. */

import type { LatestAnswer, LatestQuote, SymbolsAnswer } from "../answers.ts";
import { latestPath } from "../api.ts";
import type { App, Mount } from "../app.ts";
import { type Arrangement, type Column, type Shown, arrange, counted, parametersOf, parseArrangement, sortedBy } from "../arrangement.ts";
import { h, setText } from "../components/dom.ts";
import { QuoteRow } from "../components/quote_row.ts";
import { Sparklines } from "../components/sparklines.ts";
import { count } from "../format.ts";

import "../styles/overview.css";

const POLL_MS = 1_000;
/** The zones of symbols hardly change, but a symbol may be new. */
const SYMBOLS_MS = 60_000;
/** How many rows are added at a time. Few viewers scroll through thousands of symbols, so most rows are never built. */
const STEP = 100;

interface Heading {
  readonly column: Column | null;
  readonly text: string;
  readonly className?: string;
}
const HEADINGS: readonly Heading[] = [
  { column: "symbol", text: "Symbol" },
  { column: "exchange", text: "Exchange", className: "wide" },
  { column: "price", text: "Last", className: "num" },
  { column: "change", text: "Change", className: "num wide" },
  { column: "percent", text: "Change %", className: "num" },
  { column: null, text: "Session", className: "spark" },
  { column: "age", text: "Age", className: "num" },
  { column: "state", text: "State" },
];
const SHOWN: Readonly<Record<Shown, string>> = { all: "All", fresh: "Live", stale: "Stale", closed: "Closed" };

/** What the view showed last, so that it is complete at once when the viewer comes back to it. */
let last: { answer: LatestAnswer; opened: string | null } | null = null;

export const mount: Mount = (root, route, app) => {
  const view = new Overview(root, parseArrangement(route.parameters), app);
  const stops = [
    app.api.poll<LatestAnswer>(latestPath(), POLL_MS, (answer) => view.receive(answer)),
    app.api.poll<SymbolsAnswer>("/v1/symbols", SYMBOLS_MS, ({ symbols }) =>
      view.nameZones(new Map(symbols.map(({ symbol, timezone }) => [symbol, timezone]))),
    ),
    app.onTick((now) => view.tick(now)),
    app.times.onZoneChange(() => view.tick(Date.now())),
  ];
  return () => {
    for (const stop of stops) stop();
    view.close();
    root.replaceChildren();
  };
};

class Overview {
  readonly #rows = new Map<string, QuoteRow>();
  readonly #sparklines: Sparklines;
  readonly #body = h("tbody");
  readonly #empty = h("p", { class: "empty" }, "Loading prices …");
  readonly #more = h("button", { class: "button", type: "button" }, "Show more symbols");
  readonly #moreRow = h("div", { class: "more", hidden: true }, this.#more);
  readonly #filter = h("input", {
    class: "input",
    type: "search",
    placeholder: "Filter by symbol or exchange",
    "aria-label": "Filter by symbol or exchange",
    "data-testid": "filter",
    autocomplete: "off",
    spellcheck: "false",
  });
  readonly #headings = new Map<Column, HTMLElement>();
  readonly #buttons = new Map<Shown, HTMLButtonElement>();
  readonly #scrolled: IntersectionObserver;
  #zones: ReadonlyMap<string, string | undefined> = new Map();
  #quotes: readonly LatestQuote[] = [];
  #order: readonly LatestQuote[] = [];
  #limit = STEP;

  constructor(
    root: HTMLElement,
    private arrangement: Arrangement,
    private readonly app: App,
  ) {
    this.#sparklines = new Sparklines(app.api);
    this.#filter.value = arrangement.filter;
    this.#filter.addEventListener("input", () => this.#arrangeAs({ ...this.arrangement, filter: this.#filter.value }));
    this.#body.addEventListener("keydown", (event) => this.#moveFocus(event));
    this.#body.addEventListener("click", (event) => {
      if (last) last.opened = (event.target as Element).closest("tr")?.dataset.symbol ?? null;
    });
    this.#more.addEventListener("click", () => this.#showMore());
    this.#scrolled = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.#showMore(), {
      rootMargin: "600px",
    });
    this.#scrolled.observe(this.#moreRow);
    root.append(this.#toolbar(), h("div", { class: "panel" }, this.#table(), this.#empty, this.#moreRow));
    this.#showArrangement();
    if (last) {
      this.receive(last.answer);
      // The heading takes the focus after this, so the row that was opened gets it a moment later.
      const opened = last.opened;
      if (opened) queueMicrotask(() => this.#rows.get(opened)?.link.focus());
      last.opened = null;
    }
  }

  receive(answer: LatestAnswer): void {
    last = { answer, opened: last?.opened ?? null };
    this.#quotes = answer.quotes;
    const counts = counted(answer.quotes);
    for (const [shown, button] of this.#buttons) setText(button, `${SHOWN[shown]} ${count(counts[shown])}`);
    // Rows keep their places while the viewer points at one of them or has the focus on one.
    this.#render(!this.#body.matches(":hover, :focus-within"));
  }

  nameZones(zones: ReadonlyMap<string, string | undefined>): void {
    this.#zones = zones;
    this.tick(Date.now());
  }

  tick(now: number): void {
    for (const row of this.#rows.values()) row.tick(now, this.app.times, this.#zones.get(row.symbol));
  }

  close(): void {
    this.#sparklines.close();
    this.#scrolled.disconnect();
  }

  #arrangeAs(arrangement: Arrangement): void {
    this.arrangement = arrangement;
    this.#limit = STEP;
    this.app.replaceParameters(parametersOf(arrangement));
    this.#showArrangement();
    this.#render(true);
  }

  #showMore(): void {
    if (this.#limit >= this.#order.length) return;
    this.#limit += STEP;
    this.#render(false);
  }

  /** Brings the table up to date. Without a new order, rows stay where they are and only their texts change. */
  #render(reorder: boolean): void {
    const arranged = arrange(this.#quotes, this.arrangement);
    if (!reorder) {
      const bySymbol = new Map(arranged.map((quote) => [quote.symbol, quote]));
      const kept = this.#order.flatMap(({ symbol }) => bySymbol.get(symbol) ?? []);
      const places = new Set(kept.map(({ symbol }) => symbol));
      this.#order = [...kept, ...arranged.filter(({ symbol }) => !places.has(symbol))];
    } else this.#order = arranged;
    this.#place(this.#order.slice(0, this.#limit));
    this.#moreRow.hidden = this.#order.length <= this.#limit;
    this.#empty.hidden = this.#order.length > 0;
    if (last) setText(this.#empty, this.#quotes.length === 0 ? NO_QUOTES : "No symbol fits the filter.");
  }

  /** Makes these the rows of the table. An element moves only if its place changes, and the focus stays where it is. */
  #place(quotes: readonly LatestQuote[]): void {
    const focused = document.activeElement;
    const wanted = new Set(quotes.map(({ symbol }) => symbol));
    for (const [symbol, row] of this.#rows) {
      if (wanted.has(symbol)) continue;
      this.#sparklines.remove(row.sparkline);
      row.element.remove();
      this.#rows.delete(symbol);
    }
    const now = Date.now();
    let next = this.#body.firstElementChild;
    for (const quote of quotes) {
      let row = this.#rows.get(quote.symbol);
      if (!row) {
        row = new QuoteRow(quote.symbol, this.#sparklines.create(quote.symbol));
        this.#rows.set(quote.symbol, row);
      }
      row.show(quote);
      row.tick(now, this.app.times, this.#zones.get(quote.symbol));
      if (row.element === next) next = next.nextElementSibling;
      else this.#body.insertBefore(row.element, next);
    }
    if (focused instanceof HTMLElement && focused !== document.activeElement && this.#body.contains(focused)) focused.focus();
  }

  /** The arrow keys, Home and End go from symbol to symbol. */
  #moveFocus(event: KeyboardEvent): void {
    const row = (event.target as Element).closest("tr");
    const rows = [...this.#body.children];
    const index = row ? rows.indexOf(row) : -1;
    const to = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (to === undefined || index < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    rows[to]?.querySelector("a")?.focus();
  }

  #showArrangement(): void {
    const { column, descending, shown } = this.arrangement;
    for (const [name, heading] of this.#headings) {
      if (name === column) heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else heading.removeAttribute("aria-sort");
    }
    for (const [name, button] of this.#buttons) button.setAttribute("aria-pressed", String(name === shown));
  }

  #toolbar(): HTMLElement {
    for (const shown of Object.keys(SHOWN) as (keyof typeof SHOWN)[]) {
      const button = h("button", { type: "button", class: shown, "data-testid": `show-${shown}` }, SHOWN[shown]);
      button.addEventListener("click", () => this.#arrangeAs({ ...this.arrangement, shown }));
      this.#buttons.set(shown, button);
    }
    return h(
      "div",
      { class: "toolbar" },
      h("h1", {}, "Overview"),
      h("div", { class: "segmented", role: "group", "aria-label": "Show symbols by state" }, ...this.#buttons.values()),
      h("div", { class: "spring overview-filter" }, this.#filter),
    );
  }

  #table(): HTMLElement {
    const cells = HEADINGS.map(({ column, text, className }) => {
      const cell = h("th", { scope: "col", class: className });
      if (column === null) cell.append(text);
      else {
        const sort = (): void => this.#arrangeAs(sortedBy(this.arrangement, column));
        cell.append(h("button", { type: "button", class: "sort", onclick: sort }, text));
        this.#headings.set(column, cell);
      }
      return cell;
    });
    return h(
      "table",
      { class: "table overview", "data-testid": "symbols-table" },
      h("caption", { class: "visually-hidden" }, "The last price of each symbol. The buttons in the headings sort the table."),
      h("thead", {}, h("tr", {}, ...cells)),
      this.#body,
    );
  }
}

const NO_QUOTES = "The feed has no prices yet. They appear here when the first quotes are stored.";

