/** The alerts of the feed, newest first, by rule, severity and symbol. */

import { type AlertFilter, SEVERITIES, merged, newAlerts, parseFilter, symbolsOf } from "../alert_list.ts";
import type { Alert, AlertsAnswer, SymbolsAnswer } from "../answers.ts";
import { ApiError, path } from "../api.ts";
import type { App, Mount } from "../app.ts";
import { h, setText } from "../components/dom.ts";
import { price, words } from "../format.ts";
import type { Num } from "../numbers.ts";
import { hashOf } from "../router.ts";

import "../styles/alerts.css";

const POLL_MS = 3_000;
/** The zones of symbols hardly change, but a symbol may be new. */
const SYMBOLS_MS = 60_000;
const PAGE = 50;
const TYPING_MS = 400;
/** How far back to look, in days, and in words. The API looks back 400 days at most. */
const RANGES = new Map([
  [7, "Last 7 days"],
  [30, "Last 30 days"],
  [365, "Last year"],
]);
const DEFAULT_RANGE = 7;

export const mount: Mount = (root, route, app) => {
  const range = Number(route.parameters.get("days"));
  const view = new Alerts(root, parseFilter(route.parameters), RANGES.has(range) ? range : DEFAULT_RANGE, app);
  const stops = [
    app.api.poll<SymbolsAnswer>("/v1/symbols", SYMBOLS_MS, ({ symbols }) =>
      view.nameSymbols(new Map(symbols.map(({ symbol, timezone }) => [symbol, timezone]))),
    ),
    app.times.onZoneChange(() => view.showTimes()),
  ];
  return () => {
    for (const stop of stops) stop();
    view.close();
    root.replaceChildren();
  };
};

class Alerts {
  readonly #body = h("tbody");
  readonly #rows = new Map<string, { readonly element: HTMLElement; readonly time: HTMLTimeElement; readonly alert: Alert }>();
  readonly #note = h("p", { class: "empty" });
  readonly #more = h("button", { class: "button", type: "button", onclick: () => void this.#loadMore() }, "Load older alerts");
  readonly #moreRow = h("div", { class: "more", hidden: true }, this.#more);
  readonly #rule = input("rules", "Any rule");
  readonly #symbol = input("symbols", "Any symbol");
  readonly #severity = h("select", { class: "input" }, h("option", { value: "" }, "Any"), ...SEVERITIES.map((name) => h("option", {}, name)));
  readonly #range = h("select", { class: "input" }, ...[...RANGES].map(([days, text]) => h("option", { value: days }, text)));
  readonly #rules = h("datalist", { id: "rules" });
  readonly #symbols = h("datalist", { id: "symbols" });
  #zones: ReadonlyMap<string, string | undefined> = new Map();
  #alerts: readonly Alert[] = [];
  #next: string | null = null;
  #pages = 0;
  #typing = 0;
  #stopPoll = (): void => {};
  #loading = new AbortController();

  constructor(
    root: HTMLElement,
    private filter: AlertFilter,
    private days: number,
    private readonly app: App,
  ) {
    this.#rule.value = filter.rule;
    this.#symbol.value = filter.symbol;
    this.#severity.value = filter.severity;
    this.#range.value = String(days);
    const apply = (): void => this.#apply();
    for (const field of [this.#rule, this.#symbol, this.#severity, this.#range]) field.addEventListener("change", apply);
    for (const field of [this.#rule, this.#symbol]) {
      field.addEventListener("input", () => {
        clearTimeout(this.#typing);
        this.#typing = window.setTimeout(apply, TYPING_MS);
      });
    }
    root.append(this.#toolbar(), h("div", { class: "panel" }, this.#table(), this.#note, this.#moreRow), this.#rules, this.#symbols);
    this.#start();
  }

  nameSymbols(zones: ReadonlyMap<string, string | undefined>): void {
    this.#zones = zones;
    this.#symbols.replaceChildren(...[...zones.keys()].map((symbol) => h("option", { value: symbol })));
    this.showTimes();
  }

  showTimes(): void {
    for (const { time, alert } of this.#rows.values()) this.#showTime(time, alert);
  }

  close(): void {
    this.#stopPoll();
    this.#loading.abort();
    clearTimeout(this.#typing);
  }

  #apply(): void {
    clearTimeout(this.#typing);
    const typed = this.#symbol.value.trim();
    const symbol = [...this.#zones.keys()].find((name) => name.toLowerCase() === typed.toLowerCase()) ?? typed;
    const filter = { ...parseFilter(new URLSearchParams({ severity: this.#severity.value })), rule: this.#rule.value.trim(), symbol };
    const days = Number(this.#range.value);
    const same = filter.rule === this.filter.rule && filter.severity === this.filter.severity && symbol === this.filter.symbol;
    if (same && days === this.days) return;
    this.filter = filter;
    this.days = days;
    this.app.replaceParameters({ ...filter, days: days === DEFAULT_RANGE ? "" : String(days) });
    this.#start();
  }

  /** Asks for the newest page of the filter, and then for news of it. */
  #start(): void {
    this.#stopPoll();
    this.#loading.abort();
    this.#loading = new AbortController();
    this.#alerts = [];
    this.#next = null;
    this.#pages = 0;
    this.#render("Loading alerts …");
    this.#stopPoll = this.app.api.poll<AlertsAnswer>(
      path(["v1", "alerts"], { ...this.#query(), limit: PAGE }),
      POLL_MS,
      (answer) => this.#receive(answer),
      (error) => this.#refuse(error),
    );
  }

  #query(): Record<string, string | undefined> {
    const start = new Date(Date.now() - this.days * 86_400_000).toISOString().slice(0, 10);
    return { ...this.filter, start: this.days === DEFAULT_RANGE ? undefined : start };
  }

  #receive(answer: AlertsAnswer): void {
    const fresh = newAlerts(this.#alerts, answer.alerts);
    // A full page of news may leave a hole before what is known, so the list starts again from the newest page.
    const hole = this.#pages > 0 && fresh.length === answer.alerts.length && answer.next !== null;
    if (this.#pages > 0 && fresh.length > 0) this.app.announce(fresh.length === 1 ? `New alert: ${fresh[0]?.subject}` : `${fresh.length} new alerts`);
    this.#alerts = merged(hole ? [] : this.#alerts, answer.alerts);
    if (this.#pages <= 1 || hole) {
      this.#next = this.#pages === 0 || hole || fresh.length === 0 ? answer.next : this.#next;
      this.#pages = 1;
    }
    this.#render();
  }

  /** A wrong filter is explained here. Everything else is the banner's to say. */
  #refuse(error: ApiError): boolean {
    if (error.status !== 400) return false;
    this.#render(error.message);
    return true;
  }

  async #loadMore(): Promise<void> {
    if (this.#next === null) return;
    const { signal } = this.#loading;
    this.#more.disabled = true;
    setText(this.#more, "Loading …");
    try {
      const answer = await this.app.api.alerts({ ...this.#query(), limit: PAGE, cursor: this.#next }, signal);
      const before = this.#alerts.length;
      this.#alerts = merged(this.#alerts, answer.alerts);
      this.#next = answer.next;
      this.#pages += 1;
      this.app.announce(`${this.#alerts.length - before} older alerts loaded.`);
    } catch (error) {
      if (signal.aborted) return;
      this.app.announce(error instanceof ApiError ? error.message : String(error));
    } finally {
      this.#more.disabled = false;
      setText(this.#more, "Load older alerts");
    }
    this.#render();
  }

  #render(note?: string): void {
    const shown = new Set(this.#alerts.map(({ id }) => id));
    for (const [id, { element }] of this.#rows) {
      if (shown.has(id)) continue;
      element.remove();
      this.#rows.delete(id);
    }
    let next = this.#body.firstElementChild;
    for (const alert of this.#alerts) {
      const row = this.#rows.get(alert.id) ?? this.#create(alert);
      if (row.element === next) next = next.nextElementSibling;
      else this.#body.insertBefore(row.element, next);
    }
    this.#note.hidden = this.#alerts.length > 0 && note === undefined;
    setText(this.#note, note ?? this.#nothing());
    this.#moreRow.hidden = this.#next === null;
    const rules = [...new Set(this.#alerts.map(({ rule }) => rule))].sort();
    if (rules.length > this.#rules.childElementCount) this.#rules.replaceChildren(...rules.map((rule) => h("option", { value: rule })));
  }

  #nothing(): string {
    const range = RANGES.get(this.days)?.toLowerCase();
    const { rule, severity, symbol } = this.filter;
    return rule || severity || symbol ? `No alert of the ${range} fits the filter.` : `There was no alert in the ${range}.`;
  }

  #create(alert: Alert): { element: HTMLElement; time: HTMLTimeElement; alert: Alert } {
    const time = h("time", { datetime: alert.timestamp });
    const links = symbolsOf(alert).flatMap((symbol, index) => [
      index > 0 && ", ",
      h("a", { href: hashOf("symbol", {}, symbol) }, symbol),
    ]);
    const element = h(
      "tr",
      { "data-id": alert.id },
      h("td", { class: "time" }, time),
      h("td", { class: "severity" }, h("span", { class: `badge ${alert.severity}` }, alert.severity)),
      h("td", { class: "symbols" }, ...links),
      h("td", { class: "about" }, h("div", {}, alert.subject), valuesOf(alert.values)),
      h("td", { class: "rule muted" }, words(alert.rule)),
    );
    const row = { element, time, alert };
    this.#showTime(time, alert);
    this.#rows.set(alert.id, row);
    return row;
  }

  #showTime(time: HTMLTimeElement, alert: Alert): void {
    const zone = this.#zones.get(symbolsOf(alert)[0] ?? "");
    setText(time, this.app.times.format(alert.timestamp, "moment", zone));
    time.title = this.app.times.format(alert.timestamp, "full", zone);
  }

  #toolbar(): HTMLElement {
    return h(
      "div",
      { class: "toolbar" },
      h("h1", {}, "Alerts"),
      field("Severity", this.#severity),
      field("Rule", this.#rule),
      field("Symbol", this.#symbol),
      field("Range", this.#range),
    );
  }

  #table(): HTMLElement {
    const headings = ["Time", "Severity", "Symbol", "Alert", "Rule"].map((text) => h("th", { scope: "col" }, text));
    return h(
      "table",
      { class: "table alerts", "data-testid": "alerts-table" },
      h("caption", { class: "visually-hidden" }, "Alerts, newest first"),
      h("thead", {}, h("tr", {}, ...headings)),
      this.#body,
    );
  }
}

function valuesOf(values: Readonly<Record<string, Num | string>>): HTMLElement {
  const pairs = Object.entries(values).map(([name, value]) =>
    h("div", {}, h("dt", {}, words(name)), h("dd", {}, typeof value === "string" ? value : price(value))),
  );
  return h("dl", { class: "values" }, ...pairs);
}

function input(list: string, placeholder: string): HTMLInputElement {
  return h("input", { class: "input", type: "text", list, placeholder, autocomplete: "off", spellcheck: "false" });
}

function field(text: string, control: HTMLElement): HTMLElement {
  return h("label", { class: "field" }, text, control);
}
