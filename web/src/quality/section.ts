/** A part of the quality view: what its figures mean, the figures, and what to do about them. */

import { h } from "../components/dom.ts";
import type { Explanation } from "./words.ts";

export function section(explanation: Explanation, id: string, ...content: readonly HTMLElement[]): HTMLElement {
  const { title, meaning, action, runbook } = explanation;
  const names = runbook.flatMap((name, index) => [index > 0 ? ", " : "", h("code", {}, name)]);
  return h(
    "section",
    { class: "panel quality-section", "data-testid": `quality-${id}`, "aria-labelledby": `quality-${id}` },
    h("h2", { id: `quality-${id}` }, title),
    h("p", { class: "muted" }, meaning),
    ...content,
    h("p", { class: "quality-action" }, action, " Runbook (docs/runbook.md): ", ...names, "."),
  );
}

/** A table in a box that scrolls sideways on a narrow screen. Until its first rows are filled in, it says that it loads. */
export function table(label: string, headings: readonly string[], body: HTMLElement): HTMLElement {
  if (!body.hasChildNodes()) fill(body, [], headings.length, "Loading …");
  return h(
    "div",
    { class: "table-scroll", tabindex: 0, role: "region", "aria-label": `Table: ${label}` },
    h(
      "table",
      { class: "table numbers" },
      h("caption", { class: "visually-hidden" }, label),
      h("thead", {}, h("tr", {}, ...headings.map((heading) => h("th", { scope: "col" }, heading)))),
      body,
    ),
  );
}

export function row(first: Node | string, ...cells: readonly (Node | string)[]): HTMLTableRowElement {
  return h("tr", {}, h("th", { scope: "row" }, first), ...cells.map((cell) => h("td", {}, cell)));
}

/** Rows, or a sentence in their place. */
export function fill(body: HTMLElement, rows: readonly HTMLElement[], columns: number, none: string): void {
  const empty = h("tr", {}, h("td", { colspan: columns, class: "none" }, none));
  body.replaceChildren(...(rows.length > 0 ? rows : [empty]));
}
