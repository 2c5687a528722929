/** Starts the page: it reads the configuration, connects the parts and shows the view of the address. */

import { Api } from "./api.ts";
import type { App, Mount } from "./app.ts";
import { loadConfig } from "./config.ts";
import { Connection } from "./connection.ts";
import { changed, formatHash, parseHash, type View } from "./router.ts";
import { Theme } from "./theme.ts";
import { Times } from "./times.ts";
import { h } from "./components/dom.ts";

const VIEWS: Readonly<Record<View, () => Promise<{ mount: Mount }>>> = {
  overview: () => import("./views/overview.ts"),
  symbol: () => import("./views/symbol.ts"),
  alerts: () => import("./views/alerts.ts"),
  quality: () => import("./views/quality.ts"),
  unknown: () => import("./views/overview.ts"),
};

async function start(): Promise<void> {
  const root = document.getElementById("app") as HTMLElement;
  const config = await loadConfig(fetch);
  const main = h("main", { id: "main", tabindex: -1 });
  root.append(main);
  const app: App = {
    api: new Api(config.apiBase, { token: async () => null, refused: () => {} }, new Connection()),
    config,
    theme: new Theme(),
    times: new Times(),
    navigate: (hash) => void (location.hash = hash),
    replaceParameters: (changes) =>
      history.replaceState(null, "", formatHash(changed(parseHash(location.hash), changes))),
    announce: () => {},
    onTick: (listener) => {
      const timer = setInterval(() => listener(Date.now()), 1_000);
      return () => clearInterval(timer);
    },
  };
  let leave = (): void => {};
  const show = async (): Promise<void> => {
    const route = parseHash(location.hash);
    const { mount } = await VIEWS[route.view]();
    leave();
    main.replaceChildren();
    leave = mount(main, route, app);
  };
  addEventListener("hashchange", () => void show());
  await show();
}

void start();
