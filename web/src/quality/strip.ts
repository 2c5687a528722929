/** The drawing of a session: a strip with a hole for each gap, above an axis of hours. */

import { svg } from "../components/dom.ts";
import type { Strip } from "./session.ts";

const WIDTH = 1_000;

/** A strip as wide as its place. A hole is at least so wide that it is seen. */
export function stripDrawing(strip: Strip, label: string): SVGSVGElement {
  const drawing = svg("svg", {
    class: "strip",
    viewBox: `0 0 ${WIDTH} 10`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": label,
  });
  const least = { before: 0, stored: 0, missing: 3, ahead: 0 };
  const holes = strip.pieces.filter((piece) => piece.state === "missing");
  for (const piece of [...strip.pieces.filter((each) => each.state !== "missing"), ...holes]) {
    const width = Math.max((piece.to - piece.from) * WIDTH, least[piece.state]);
    drawing.append(svg("rect", { class: piece.state, x: piece.from * WIDTH, y: 0, width, height: 10 }));
  }
  return drawing;
}
