/** One symbol: its header, its chart with controls, the same bars as a table, and its alerts. */

import "../styles/symbol.css";

import type { LatestAnswer } from "../answers.ts";
import { latestPath } from "../api.ts";
import type { App, Mount } from "../app.ts";
import { h, setText } from "../components/dom.ts";
import { count } from "../format.ts";
import { scaleDigits } from "../precision.ts";
import { hashOf, type Route } from "../router.ts";
import { localClock } from "../chart/clock.ts";
import type { Bar, Change } from "../chart/bars.ts";
import { Feed } from "../chart/feed.ts";
import { Header } from "../chart/header.ts";
import { columns, parametersOf, requested, shownBy } from "../chart/indicators.ts";
import { marks } from "../chart/marks.ts";
import { palette } from "../chart/palette.ts";
import { Panel, type PanelPicture } from "../chart/panel.ts";
import { RESOLUTION_WORDS, summaryText } from "../chart/summary.ts";
import { AlertTable, BarTable } from "../chart/table.ts";
import { type Resolution, RESOLUTIONS, timeline } from "../chart/timeline.ts";
import { type Choice, Toolbar } from "../chart/toolbar.ts";
import { axisTime } from "../chart/wire.ts";

const LATEST_MS = 1_000;
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const DEFAULT_RESOLUTION: Resolution = "1m";

export const mount: Mount = (root, route, app) => new SymbolView(root, route, app).start();

class SymbolView {
  readonly #symbol: string;
  readonly #header: Header;
  readonly #panel: Panel;
  readonly #bars = new BarTable();
  readonly #alerts: AlertTable;
  readonly #view = h("div", { class: "symbol-view" });
  readonly #stage = h("div", { class: "symbol-stage" });
  readonly #note = h("p", { class: "chart-note" });
  #choice: Choice;
  #feed: Feed;
  #latest: LatestAnswer | null = null;
  #picture: PanelPicture = { bars: [], empty: [], missing: [], marks: [], digits: 2, gaps: [] };
  /** Which alerts the table shows: how many are known, and from when on. */
  #alertsDrawn = "";
  /** The exchange's zone that is drawn. */
  #timezone: string | undefined;

  constructor(
    root: HTMLElement,
    route: Route,
    private readonly app: App,
  ) {
    this.#symbol = route.symbol ?? "";
    const { parameters } = route;
    this.#choice = {
      resolution: RESOLUTIONS.find((each) => each === parameters.get("resolution")) ?? DEFAULT_RESOLUTION,
      shown: shownBy(parameters),
      table: parameters.get("table") === "1",
    };
    this.#header = new Header(this.#symbol, app);
    const words = { at: (bar: Bar) => this.#timeOf(bar), count };
    this.#panel = new Panel(this.#symbol, app, words, () => void this.#feed.older());
    this.#alerts = new AlertTable(app, (alert) => {
      this.#panel.showTime(this.#place(alert.time));
      this.#panel.element.focus({ preventScroll: true });
      this.#panel.element.scrollIntoView({ block: "nearest" });
    });
    this.#feed = this.#newFeed();
    const toolbar = new Toolbar(this.#choice, (choice) => this.#choose(choice), () => this.#panel.showNewest());
    this.#stage.append(
      h("div", { class: "panel chart-card" }, toolbar.element, this.#panel.element, this.#panel.summary, this.#note),
      h("section", { class: "panel bar-table" }, this.#bars.element),
    );
    this.#view.append(this.#header.element, this.#stage, this.#alerts.element);
    root.append(this.#view);
  }

  start(): () => void {
    this.#showTable();
    this.#panel.setState("Loading bars …");
    this.#feed.start();
    const ends = [
      this.app.api.poll<LatestAnswer>(latestPath([this.#symbol]), LATEST_MS, (answer) => {
        this.#latest = answer;
        this.#showHeader();
      }),
      this.app.theme.onThemeChange(() => this.#restyle(true)),
      this.app.times.onZoneChange(() => {
        this.#restyle(true);
        this.#header.showTimes();
        this.#alertsDrawn = "";
        this.#draw("many");
      }),
      this.app.onTick((now) => this.#header.showTimes(now)),
    ];
    return () => {
      for (const end of ends) end();
      this.#feed.stop();
      this.#panel.remove();
    };
  }

  #newFeed(): Feed {
    const { resolution, shown } = this.#choice;
    const wanted = { symbol: this.#symbol, resolution, indicators: requested(shown) };
    return new Feed(this.app.api, wanted, (change) => this.#draw(change));
  }

  #choose(choice: Choice): void {
    const before = this.#choice;
    this.#choice = choice;
    const { resolution, shown, table } = choice;
    this.app.replaceParameters({
      resolution: resolution === DEFAULT_RESOLUTION ? null : resolution,
      ...parametersOf(shown),
      table: table ? "1" : null,
    });
    if (table !== before.table) this.#showTable();
    if (resolution !== before.resolution) {
      this.#feed.stop();
      this.#feed = this.#newFeed();
      this.#alertsDrawn = "";
      this.#picture = { ...this.#picture, bars: [], empty: [], missing: [], marks: [], gaps: [] };
      this.#panel.setState(`Loading ${RESOLUTION_WORDS[resolution]} bars …`);
      this.#panel.draw(this.#picture);
      this.#feed.start();
    } else if (shown !== before.shown) {
      this.#restyle(true);
      this.#feed.setIndicators(requested(shown));
    }
  }

  /** Makes the chart anew, as the theme, the zone, the resolution or the indicators ask for. */
  #restyle(keep: boolean): void {
    if (this.#feed.status !== "ready") return;
    const { resolution, shown } = this.#choice;
    const clock = localClock(resolution === "1d" ? "UTC" : this.app.times.zoneName(this.#feed.timezone));
    const timeText = (time: number): string => this.#timeText(time);
    this.#panel.setLook({ resolution, shown, palette: palette(this.app.theme), clock, timeText }, keep);
    this.#bars.setColumns(`Newest ${RESOLUTION_WORDS[resolution]} bars of ${this.#symbol}. ${this.#zoneText()}`, columns(shown));
    this.#showBars();
  }

  #draw(change: Change): void {
    const feed = this.#feed;
    const { resolution } = this.#choice;
    if (feed.status !== "ready") return this.#showState();
    const fresh = this.#picture.bars.length === 0 || this.#timezone !== feed.timezone;
    this.#timezone = feed.timezone;
    const digits = scaleDigits(feed.bars.flatMap((bar) => [bar.open.text, bar.high.text, bar.low.text, bar.close.text]));
    if (change === "newest" && digits === this.#picture.digits) {
      this.#picture = { ...this.#picture, bars: feed.bars };
      this.#panel.drawNewest(this.#picture);
    } else if (change !== "none") {
      const { empty, missing, gaps } = timeline(feed.bars, resolution, feed.sessions);
      const found = marks(feed.alerts, feed.bars, (time) => this.#place(time));
      this.#picture = { bars: feed.bars, empty, missing, gaps, marks: found, digits };
      this.#panel.draw(this.#picture);
      if (fresh) this.#restyle(false);
    }
    this.#showState();
    this.#showBars();
    this.#showHeader();
    const oldest = feed.bars[0]?.start ?? 0;
    if (this.#alertsDrawn !== `${feed.alerts.length} ${oldest}`) {
      this.#alertsDrawn = `${feed.alerts.length} ${oldest}`;
      this.#alerts.show(feed.alerts.filter((alert) => alert.time >= oldest), feed.timezone);
    }
  }

  /** Says why there is no chart, or what is missing in it. */
  #showState(): void {
    const { status, problem, bars } = this.#feed;
    this.#view.dataset.status = status;
    const overview = h("a", { href: hashOf("overview") }, "Show all symbols");
    if (status === "unknown") {
      this.#panel.setState(h("strong", {}, `Nothing is stored of ${this.#symbol}.`), h("p", {}, "Check its spelling. "), overview);
    } else if (status === "refused") this.#panel.setState(h("strong", {}, "The API refuses the question."), h("p", {}, problem));
    else if (status === "loading") this.#panel.setState(problem ? h("p", {}, problem) : "Loading bars …");
    else if (bars.length === 0) {
      const words = "The first bar appears when the first quote of its minute is stored.";
      this.#panel.setState(h("strong", {}, `There are no bars of ${this.#symbol} yet.`), h("p", {}, words));
    } else this.#panel.setState();
    const { gaps, marks: found } = this.#picture;
    const about = { symbol: this.#symbol, resolution: this.#choice.resolution, currency: this.#feed.currency };
    const words = { at: (bar: Bar) => this.#timeOf(bar), count };
    setText(this.#panel.summary, status === "ready" ? summaryText({ ...about, bars, gaps, marks: found }, words) : "");
    const missing = gaps.reduce((sum, gap) => sum + gap.missing, 0);
    const note = missing > 0 ? ` ${count(missing)} missing ${missing === 1 ? "bar is" : "bars are"} left blank.` : "";
    setText(this.#note, status === "ready" ? problem || `${this.#zoneText()}${note}` : "");
  }

  #showBars(): void {
    const { bars, digits } = this.#picture;
    this.#bars.show(bars, columns(this.#choice.shown), digits, (bar) => this.#timeOf(bar));
  }

  #showHeader(): void {
    const quote = this.#latest?.quotes.find((each) => each.symbol === this.#symbol);
    if (quote) this.#header.show(quote, this.#picture.digits, this.#feed.timezone);
  }

  #showTable(): void {
    this.#stage.dataset.table = this.#choice.table ? "shown" : "hidden";
  }

  #zoneText(): string {
    if (this.#choice.resolution === "1d") return "Days are those of the exchange.";
    return `Times are in the zone ${this.app.times.zoneName(this.#feed.timezone)}.`;
  }

  #place(time: number): number {
    return axisTime(this.#choice.resolution, localClock(this.#feed.timezone ?? "UTC"))(time);
  }

  #timeOf(bar: Bar): string {
    return this.#timeText(bar.time);
  }

  /** A place of the time axis in words: a day, or a time in the zone that the page shows. */
  #timeText(time: number): string {
    if (this.#choice.resolution === "1d") return DAY.format(time * 1_000);
    return this.app.times.format(time * 1_000, "minute", this.#feed.timezone);
  }
}
