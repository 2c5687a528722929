/** Starts the page: it reads the configuration, connects the parts and shows the view of the address. */

import { Api } from "./api.ts";
import type { App, Mount } from "./app.ts";
import { Auth, type LoginState } from "./auth.ts";
import { h } from "./components/dom.ts";
import { type Shell, createShell } from "./components/shell.ts";
import { type Config, loadConfig } from "./config.ts";
import { Connection } from "./connection.ts";
import { type Route, type View, changed, formatHash, parseHash } from "./router.ts";
import { Theme } from "./theme.ts";
import { ticker } from "./ticker.ts";
import { Times, type Zone } from "./times.ts";
import { mountLogin } from "./views/login.ts";
import { mount as mountUnknown } from "./views/unknown.ts";

const VIEWS: Readonly<Record<View, () => Promise<{ mount: Mount }>>> = {
  overview: () => import("./views/overview.ts"),
  symbol: () => import("./views/symbol.ts"),
  alerts: () => import("./views/alerts.ts"),
  quality: () => import("./views/quality.ts"),
  unknown: () => Promise.resolve({ mount: mountUnknown }),
};
const TITLES: Readonly<Record<View, string>> = {
  overview: "Overview",
  symbol: "Symbol",
  alerts: "Alerts",
  quality: "Data quality",
  unknown: "Not found",
};

async function start(root: HTMLElement): Promise<void> {
  const theme = new Theme();
  // The overview is needed most often, so its code loads while the configuration does.
  if (parseHash(location.hash).view === "overview") void VIEWS.overview().catch(() => undefined);
  let config: Config;
  try {
    config = await loadConfig(fetch);
  } catch (error) {
    showFailure(root, error instanceof Error ? error.message : String(error));
    return;
  }
  const auth = new Auth(config.auth, {
    storage: sessionStorage,
    address: () => new URL(location.href),
    go: (url) => location.assign(url),
    rewrite: (url) => history.replaceState(null, "", url),
  });
  const connection = new Connection();
  const times = new Times();
  addEventListener("online", () => connection.retryNow());
  const replaceParameters = (changes: Readonly<Record<string, string | null>>): void =>
    history.replaceState(null, "", formatHash(changed(parseHash(location.hash), changes)));
  const onZone = (): void => {
    const zone: Zone = times.zone === "exchange" ? "viewer" : "exchange";
    times.setZone(zone, { keep: true });
    replaceParameters({ zone });
  };
  const shell = createShell(root, { config, connection, auth, theme, times, onZone });
  const app: App = {
    api: new Api(config.apiBase, auth, connection),
    config,
    theme,
    times,
    navigate: (hash) => void (location.hash = hash),
    replaceParameters,
    announce: shell.announce,
    onTick: ticker(),
  };
  const show = viewSwitch(shell, app, auth);
  addEventListener("hashchange", () => void show(true));
  await auth.resume();
  auth.state.onChange(() => void show(true));
  await show(false);
}

/** Shows the view of the current address, or the login. The newest call wins. */
function viewSwitch(shell: Shell, app: App, auth: Auth): (moveFocus: boolean) => Promise<void> {
  let leave = (): void => {};
  let newest = 0;
  return async (moveFocus) => {
    const call = ++newest;
    const route = parseHash(location.hash);
    const zone = route.parameters.get("zone");
    if (zone === "exchange" || zone === "viewer") app.times.setZone(zone);
    const mount = await mountOf(route, auth.state.value, auth);
    if (call !== newest) return;
    leave();
    shell.main.replaceChildren();
    shell.showRoute(route);
    document.title = `${route.symbol ?? TITLES[route.view]} · ${app.config.name}`;
    leave = mount(shell.main, route, app);
    if (!moveFocus) return;
    scrollTo(0, 0);
    const heading = shell.main.querySelector("h1");
    heading?.setAttribute("tabindex", "-1");
    (heading ?? shell.main).focus();
  };
}

async function mountOf(route: Route, login: LoginState, auth: Auth): Promise<Mount> {
  if (login.kind === "out") return (root) => mountLogin(root, login, auth.canLogIn ? () => auth.login() : null);
  try {
    return (await VIEWS[route.view]()).mount;
  } catch {
    // The page was replaced by a newer version while it was open, or the network is gone.
    return (root) => {
      showFailure(root, "A part of this page cannot be loaded. It may have been replaced by a newer version.");
      return () => root.replaceChildren();
    };
  }
}

function showFailure(root: HTMLElement, message: string): void {
  root.replaceChildren(
    h(
      "div",
      { class: "panel login", role: "alert" },
      h("h1", {}, "The dashboard cannot start"),
      h("p", { class: "failure" }, message),
      h("button", { class: "button primary", type: "button", onclick: () => location.reload() }, "Load the page again"),
    ),
  );
}

void start(document.getElementById("app") as HTMLElement);
