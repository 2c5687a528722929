/** The controls of a chart: resolution, indicators, and the table beside it. */

import { h } from "../components/dom.ts";
import { DESCRIPTIONS, GROUPS, type Group, isShown, LABELS, type Shown, SMA_SIZES, sizeToggled, toggled } from "./indicators.ts";
import { RESOLUTION_WORDS } from "./summary.ts";
import { RESOLUTIONS, type Resolution } from "./timeline.ts";

export interface Choice {
  readonly resolution: Resolution;
  readonly shown: Shown;
  readonly table: boolean;
}

export class Toolbar {
  readonly element: HTMLElement;
  readonly #resolutions = new Map<Resolution, HTMLButtonElement>();
  readonly #groups = new Map<Group, HTMLButtonElement>();
  readonly #sizes = new Map<number, HTMLButtonElement>();
  readonly #sizeGroup: HTMLElement;
  readonly #table: HTMLButtonElement;
  #choice: Choice;

  constructor(
    choice: Choice,
    private readonly onChoice: (choice: Choice) => void,
    onNewest: () => void,
  ) {
    this.#choice = choice;
    for (const resolution of RESOLUTIONS) {
      const attributes = { "data-testid": `resolution-${resolution}`, title: `${RESOLUTION_WORDS[resolution]} bars` };
      this.#resolutions.set(resolution, button(resolution, attributes, () => this.#choose({ resolution })));
    }
    for (const group of GROUPS) {
      const attributes = { "data-testid": `indicator-${group}`, title: DESCRIPTIONS[group] };
      const toggle = (): void => this.#choose({ shown: toggled(this.#choice.shown, group) });
      this.#groups.set(group, button(LABELS[group], attributes, toggle));
    }
    for (const size of SMA_SIZES) {
      const attributes = { title: `The mean of the last ${size} closes` };
      const toggle = (): void => this.#choose({ shown: sizeToggled(this.#choice.shown, size) });
      this.#sizes.set(size, button(String(size), { ...attributes, class: `size-${size}` }, toggle));
    }
    this.#sizeGroup = h("div", { class: "segmented sizes", role: "group", "aria-label": "Sizes of the averages" }, ...this.#sizes.values());
    this.#table = button("Table", { class: "button", title: "Show the newest bars as a table" }, () => this.#choose({ table: !this.#choice.table }));
    this.element = h(
      "div",
      { class: "toolbar" },
      h("div", { class: "segmented", role: "group", "aria-label": "Resolution" }, ...this.#resolutions.values()),
      h("div", { class: "segmented", role: "group", "aria-label": "Indicators" }, ...this.#groups.values()),
      this.#sizeGroup,
      h(
        "div",
        { class: "spring chart-actions" },
        button("Newest", { class: "button", title: "Go to the newest bar" }, onNewest),
        this.#table,
      ),
    );
    this.#show();
  }

  #choose(change: Partial<Choice>): void {
    this.#choice = { ...this.#choice, ...change };
    this.#show();
    this.onChoice(this.#choice);
  }

  #show(): void {
    const { resolution, shown, table } = this.#choice;
    for (const [each, element] of this.#resolutions) press(element, each === resolution);
    for (const [each, element] of this.#groups) press(element, isShown(shown, each));
    for (const [each, element] of this.#sizes) press(element, shown.smaSizes.includes(each));
    this.#sizeGroup.hidden = !isShown(shown, "sma");
    press(this.#table, table);
  }
}

function button(text: string, attributes: Record<string, string>, onclick: () => void): HTMLButtonElement {
  return h("button", { type: "button", ...attributes, onclick }, text);
}

function press(element: HTMLButtonElement, pressed: boolean): void {
  element.setAttribute("aria-pressed", String(pressed));
}
