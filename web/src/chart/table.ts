/** The tables beside a chart: its newest bars, and its alerts. */

import type { App } from "../app.ts";
import { h, setText } from "../components/dom.ts";
import { count, words } from "../format.ts";
import type { Bar } from "./bars.ts";
import { type Column, indicatorDigits } from "./indicators.ts";
import type { ChartAlert } from "./marks.ts";
import { missingZeros } from "../precision.ts";

const ROWS = 60;
const ALERT_ROWS = 50;

/** The newest bars, newest first. Screen readers find it even while it is not shown. */
export class BarTable {
  readonly element: HTMLElement;
  readonly #caption = h("caption");
  readonly #head = h("tr");
  readonly #body = h("tbody");
  #drawn: readonly Bar[] = [];

  constructor() {
    this.element = h(
      "div",
      { class: "table-scroll", tabindex: 0, role: "region", "aria-label": "Newest bars" },
      h("table", { "data-testid": "chart-table", class: "table numbers" }, this.#caption, h("thead", {}, this.#head), this.#body),
    );
  }

  /** Writes the headings, and all rows again at the next `show`. */
  setColumns(caption: string, columns: readonly Column[]): void {
    setText(this.#caption, caption);
    const headings = ["Time", "Open", "High", "Low", "Close", "Volume", ...columns.map((column) => column.heading)];
    this.#head.replaceChildren(...headings.map((heading) => h("th", { scope: "col" }, heading)));
    this.#drawn = [];
  }

  show(bars: readonly Bar[], columns: readonly Column[], digits: number, timeText: (bar: Bar) => string): void {
    const newest = bars.slice(-ROWS).reverse();
    const same = newest.length === this.#drawn.length && newest.every((bar, row) => bar.time === this.#drawn[row]?.time);
    if (!same) this.#body.replaceChildren(...newest.map(() => h("tr", {}, h("th", { scope: "row" }), ...cells(5 + columns.length))));
    newest.forEach((bar, row) => {
      if (same && bar === this.#drawn[row]) return;
      const element = this.#body.rows[row]!;
      element.classList.toggle("is-open", bar.isOpen);
      const prices = [bar.open, bar.high, bar.low, bar.close].map((price) => price.text);
      const texts = [
        timeText(bar),
        ...prices,
        bar.volume === null ? "–" : count(bar.volume),
        ...columns.map(({ name }) => bar.indicators[name]?.toFixed(indicatorDigits(name, digits)) ?? "–"),
      ];
      texts.forEach((text, cell) => setText(element.cells[cell]!, text));
      prices.forEach((price, index) => (element.cells[index + 1]!.dataset.zeros = missingZeros(price, digits)));
    });
    this.#drawn = newest;
  }
}

/** The alerts of a symbol, newest first. Their times lead to their bars. It appears when the bars are loaded. */
export class AlertTable {
  readonly element: HTMLElement;
  readonly #body = h("tbody");
  readonly #more = h("p", { class: "muted", hidden: true });
  readonly #none = h("p", { class: "muted" }, "No alert belongs to the bars that are loaded.");
  readonly #box: HTMLElement;

  constructor(
    private readonly app: App,
    private readonly onChosen: (alert: ChartAlert) => void,
  ) {
    const headings = ["Time", "Severity", "Rule", "What happened"].map((heading) =>
      h("th", { scope: "col", class: heading === "Rule" && "rule" }, heading),
    );
    const table = h("table", { class: "table" }, h("thead", {}, h("tr", {}, ...headings)), this.#body);
    const box = { class: "panel table-scroll", tabindex: 0, role: "region", "aria-label": "Alerts", hidden: true };
    this.#box = h("div", box, table);
    this.element = h(
      "section",
      { class: "symbol-alerts", hidden: true },
      h("h2", {}, "Alerts of these bars"),
      this.#none,
      this.#box,
      this.#more,
    );
  }

  show(alerts: readonly ChartAlert[], timezone: string | undefined): void {
    const newest = [...alerts].sort((one, other) => other.time - one.time);
    this.element.hidden = false;
    this.#none.hidden = newest.length > 0;
    this.#box.hidden = newest.length === 0;
    this.#more.hidden = newest.length <= ALERT_ROWS;
    setText(this.#more, `These are the newest ${ALERT_ROWS} of ${newest.length} alerts.`);
    this.#body.replaceChildren(...newest.slice(0, ALERT_ROWS).map((alert) => this.#row(alert, timezone)));
  }

  #row(alert: ChartAlert, timezone: string | undefined): HTMLElement {
    const time = this.app.times.format(alert.time * 1_000, "minute", timezone);
    const show = h("button", { type: "button", class: "link", title: "Show it in the chart", onclick: () => this.onChosen(alert) }, time);
    const severity = h("span", { class: `badge ${alert.severity}` }, alert.severity);
    return h("tr", {}, h("td", {}, show), h("td", {}, severity), h("td", { class: "rule" }, words(alert.rule)), h("td", {}, alert.subject));
  }
}

function cells(number: number): HTMLElement[] {
  return Array.from({ length: number }, () => h("td"));
}
