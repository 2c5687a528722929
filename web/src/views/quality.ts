/** Data quality: what arrives, what is missing, what was refused, and what to do about it. */

import "../styles/quality.css";

import type { StatusAnswer, SymbolsAnswer } from "../answers.ts";
import type { Mount } from "../app.ts";
import { h, setText } from "../components/dom.ts";
import { CoverageParts } from "../quality/coverage.ts";
import { GapParts } from "../quality/gaps.ts";
import { StaleParts } from "../quality/stale.ts";
import { StatusParts } from "../quality/status.ts";

const STATUS_MS = 2_000;
const SYMBOLS_MS = 5_000;
const AGES_EVERY = 5;

export const mount: Mount = (root, route, app) => {
  const status = new StatusParts(app);
  const stale = new StaleParts(app);
  const coverage = new CoverageParts(app);
  const gaps = new GapParts(app, route.parameters.get("symbol") ?? "", (symbol) => coverage.show(symbol));
  const asOf = h("p", { class: "muted" }, "Loading …");
  let as_of: string | null | undefined;
  const showAsOf = (): void => {
    if (as_of === undefined) return;
    const words = as_of ? `The feed's own clock says ${app.times.format(as_of, "full")}.` : "The feed has stored nothing yet.";
    setText(asOf, words);
  };
  root.append(
    h(
      "div",
      { class: "quality-view" },
      h("div", { class: "quality-head" }, h("h1", {}, "Data quality"), asOf),
      status.problems,
      status.lanes,
      gaps.element,
      coverage.element,
      h("div", { class: "quality-pair" }, stale.element, status.quarantine),
      status.counts,
    ),
  );
  let ticks = 0;
  const ends = [
    app.api.poll<StatusAnswer>("/v1/status", STATUS_MS, (answer) => {
      as_of = answer.as_of;
      showAsOf();
      status.show(answer);
    }),
    app.api.poll<SymbolsAnswer>("/v1/symbols", SYMBOLS_MS, ({ symbols }) => {
      gaps.setSymbols(symbols);
      if (symbols.length === 0) coverage.showNone();
      stale.show(symbols);
    }),
    app.times.onZoneChange(() => {
      showAsOf();
      status.showLanes();
      stale.showTimes();
      gaps.showTimes();
    }),
    app.onTick((now) => {
      ticks += 1;
      if (ticks % AGES_EVERY !== 0) return;
      status.showLanes(now);
      stale.showTimes(now);
    }),
  ];
  return () => {
    for (const end of ends) end();
    gaps.stop();
    coverage.stop();
  };
};
