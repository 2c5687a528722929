/** The area of a chart: the drawing, the values at the pointer, the texts of alerts, and the keyboard. */

import type { App } from "../app.ts";
import { h, setText } from "../components/dom.ts";
import { type Bar, indexAt } from "./bars.ts";
import { CandleChart, type Look, type Picture } from "./canvas.ts";
import { legend } from "./legend.ts";
import { type Mark, markText } from "./marks.ts";
import { barText, type Words } from "./summary.ts";
import type { Gap } from "./timeline.ts";

const ZOOM = 1.3;
const FEWEST_PLACES = 10;
const LEAP = 10;
/** When fewer places than this are left of the view, older bars are read. */
const NEAR_OLDEST = 80;
const TIP_WIDTH = 260;

export interface PanelPicture extends Picture {
  readonly gaps: readonly Gap[];
}

export class Panel {
  readonly element: HTMLElement;
  readonly summary = h("p", { class: "visually-hidden", id: "chart-summary" });
  readonly #canvas = h("div", { class: "chart-canvas", "aria-hidden": "true" });
  readonly #legend = h("div", { class: "chart-legend", "aria-hidden": "true" });
  readonly #tip = h("div", { class: "chart-tip", "aria-hidden": "true", hidden: true });
  readonly #state = h("div", { class: "chart-state" });
  #chart: CandleChart | null = null;
  #look: Look | null = null;
  #picture: PanelPicture = { bars: [], empty: [], missing: [], marks: [], digits: 2, gaps: [] };
  /** The time of the bar at the pointer or at the keyboard's cursor. Null is the newest. */
  #pointed: number | null = null;
  /** Whether the keyboard's cursor is shown. It stays until the pointer moves. */
  #byKeys = false;

  constructor(
    symbol: string,
    private readonly app: App,
    private readonly words: Words,
    private readonly onNearOldest: () => void,
  ) {
    this.element = h(
      "div",
      {
        class: "chart",
        "data-testid": "chart",
        tabindex: 0,
        role: "application",
        "aria-roledescription": "chart",
        "aria-label": `Chart of ${symbol}. Arrow keys move from bar to bar, plus and minus zoom, Home and End go to the ends.`,
        "aria-describedby": this.summary.id,
        onkeydown: (event: KeyboardEvent) => this.#onKey(event),
        onblur: () => this.#unpoint(),
      },
      this.#canvas,
      this.#legend,
      this.#tip,
      this.#state,
    );
  }

  /** Shows a text in place of the chart. Without content, the chart is seen. */
  setState(...content: readonly (Node | string)[]): void {
    this.#state.replaceChildren(...content);
    this.#state.hidden = content.length === 0;
  }

  /** Makes the chart anew in another look. What is in view stays in view, unless `keep` is false. */
  setLook(look: Look, keep: boolean): void {
    const range = keep ? (this.#chart?.range ?? null) : null;
    this.#unpoint();
    this.#chart?.remove();
    this.#look = look;
    this.#chart = new CandleChart(this.#canvas, look, {
      onPoint: (time) => this.#pointAt(time),
      onMove: () => this.#moved(),
    });
    this.#chart.draw(this.#picture);
    if (range !== null) this.#chart.range = range;
    else this.#chart.showNewest();
    this.#describe();
  }

  draw(picture: PanelPicture): void {
    this.#picture = picture;
    this.#chart?.draw(picture);
    this.#repoint();
    this.#describe();
    this.#moved();
  }

  /** Draws a change of the newest bar. */
  drawNewest(picture: PanelPicture): void {
    this.#picture = picture;
    const newest = picture.bars.at(-1);
    if (newest) this.#chart?.redrawNewest(newest);
    this.#repoint();
    this.#describe();
  }

  showNewest(): void {
    this.#chart?.showNewest();
    this.#unpoint();
  }

  /** Points at the bar of a time, and moves it into view. */
  showTime(time: number): void {
    const index = indexAt(this.#picture.bars, time);
    if (index >= 0) this.#point(index);
  }

  remove(): void {
    this.#chart?.remove();
    this.#chart = null;
  }

  #onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.#picture.bars.length - 1;
    const at = this.#pointed === null ? last + 1 : indexAt(this.#picture.bars, this.#pointed);
    const step = event.shiftKey ? LEAP : 1;
    if (last < 0) return;
    if (event.key === "ArrowLeft") this.#point(Math.max(0, at - step), true);
    else if (event.key === "ArrowRight") this.#point(Math.min(last, at + step), true);
    else if (event.key === "Home") this.#point(0, true);
    else if (event.key === "End") {
      this.#chart?.showNewest();
      this.#point(last, true);
    } else if (event.key === "+" || event.key === "=") this.#zoom(1 / ZOOM);
    else if (event.key === "-" || event.key === "_") this.#zoom(ZOOM);
    else if (event.key === "Escape") this.#unpoint();
    else return;
    event.preventDefault();
  }

  /** Zooms around the pointed bar, or around the right edge. */
  #zoom(factor: number): void {
    const range = this.#chart?.range;
    if (!range) return;
    const width = Math.max(FEWEST_PLACES, (range.to - range.from) * factor);
    const share = this.#pointed === null ? 1 : this.#shareOf(this.#pointed);
    const anchor = range.from + (range.to - range.from) * share;
    this.#chart!.range = { from: anchor - width * share, to: anchor + width * (1 - share) };
    this.#repoint();
    this.app.announce(`${Math.round(width)} bars in view`);
  }

  #shareOf(time: number): number {
    const x = this.#chart?.coordinate(time) ?? 0;
    return Math.min(1, Math.max(0, x / this.#canvas.clientWidth));
  }

  #point(index: number, aloud = false): void {
    const bar = this.#picture.bars[index];
    if (!bar) return;
    this.#pointed = bar.time;
    this.#byKeys = true;
    this.#chart?.pointAt(bar);
    this.#repoint();
    this.#describe();
    if (!aloud) return;
    const gap = this.#picture.gaps.find((each) => each.to === bar.time);
    const after = gap ? `After a gap of ${this.words.count(gap.missing)}: ` : "";
    this.app.announce(after + barText(bar, this.#markOf(bar), this.words));
  }

  #unpoint(): void {
    this.#pointed = null;
    this.#byKeys = false;
    this.#chart?.unpoint();
    this.#describe();
  }

  /** Draws the keyboard's cursor again, after the view has moved or the scale has changed. */
  #repoint(): void {
    requestAnimationFrame(() => {
      const bar = this.#byKeys ? this.#barAt(this.#pointed) : undefined;
      if (bar) this.#chart?.pointAt(bar);
    });
  }

  /** The pointer has moved. */
  #pointAt(time: number | null): void {
    if (time === null && this.#byKeys) return;
    this.#byKeys = false;
    this.#pointed = time;
    this.#describe();
  }

  #barAt(time: number | null): Bar | undefined {
    const { bars } = this.#picture;
    return time === null ? bars.at(-1) : bars[indexAt(bars, time)];
  }

  #moved(): void {
    const range = this.#chart?.range;
    if (range && range.from < NEAR_OLDEST) this.onNearOldest();
  }

  /** Writes the values at the pointer, or of the newest bar. */
  #describe(): void {
    const bar = this.#barAt(this.#pointed);
    if (!this.#look || !bar) return this.#legend.replaceChildren();
    const pointed = this.#pointed;
    const missing = pointed !== null && bar.time !== pointed;
    const [shown, values] = missing ? [null, null] : [bar, bar.isOpen ? (this.#picture.bars.at(-2) ?? bar) : bar];
    const { rows, panes } = legend(shown, values, this.#look, this.#picture.digits, this.words.count);
    const when = pointed === null ? "" : `${this.#look.timeText(pointed)}${missing ? ": no bar" : ""}`;
    this.#legend.replaceChildren(...(when ? [h("span", { class: "legend-time" }, when)] : []), ...rows);
    this.#chart?.label(panes);
    this.#showTip(pointed !== null && !missing ? this.#markOf(bar) : undefined);
  }

  #markOf(bar: Bar): Mark | undefined {
    return this.#picture.marks.find((mark) => mark.time === bar.time);
  }

  #showTip(mark: Mark | undefined): void {
    const x = mark ? (this.#chart?.coordinate(mark.time) ?? null) : null;
    this.#tip.hidden = !mark || x === null;
    if (!mark || x === null) return;
    setText(this.#tip, markText(mark));
    this.#tip.className = `chart-tip ${mark.severity}`;
    const width = this.#canvas.clientWidth;
    this.#tip.style.left = `${Math.max(8, Math.min(x + 12, width - TIP_WIDTH - 72))}px`;
  }
}
