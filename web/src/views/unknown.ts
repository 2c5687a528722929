/** An address that names no view. */

import type { Mount } from "../app.ts";
import { h } from "../components/dom.ts";
import { hashOf } from "../router.ts";

export const mount: Mount = (root) => {
  root.append(
    h(
      "div",
      { class: "panel login" },
      h("h1", {}, "There is no such page"),
      h("p", {}, `The address ${location.hash} names no view of this dashboard.`),
      h("p", {}, h("a", { href: hashOf("overview") }, "Go to the overview")),
    ),
  );
  return () => root.replaceChildren();
};
