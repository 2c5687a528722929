import type { Mount } from "../app.ts";
import { h } from "../components/dom.ts";

export const mount: Mount = (root) => {
  root.append(h("h1", {}, "Symbol"));
  return () => root.replaceChildren();
};
