/** What surrounds each view: header, banner, footer, and the region that speaks to screen readers. */

import type { Auth } from "../auth.ts";
import type { Config } from "../config.ts";
import type { Connection, ConnectionState } from "../connection.ts";
import { type Route, type View, hashOf } from "../router.ts";
import type { Theme } from "../theme.ts";
import type { Times } from "../times.ts";
import { h, setText, svg } from "./dom.ts";

export interface Shell {
  readonly main: HTMLElement;
  /** Marks the current view in the navigation. */
  showRoute(route: Route): void;
  announce(text: string): void;
}

export interface ShellParts {
  readonly config: Config;
  readonly connection: Connection;
  readonly auth: Auth;
  readonly theme: Theme;
  readonly times: Times;
  readonly onZone: () => void;
}

const NAVIGATION: readonly (readonly [View, string])[] = [
  ["overview", "Overview"],
  ["alerts", "Alerts"],
  ["quality", "Data quality"],
];
const LABELS: Readonly<Record<ConnectionState["kind"], string>> = {
  connecting: "Connecting",
  live: "Live",
  failing: "No connection",
};

export function createShell(root: HTMLElement, parts: ShellParts): Shell {
  const main = h("main", { id: "main", class: "main", tabindex: -1 });
  const live = h("div", { class: "visually-hidden", role: "status", "aria-live": "polite" });
  const links = NAVIGATION.map(([view, text]) => [view, h("a", { href: hashOf(view) }, text)] as const);
  const nav = h("nav", { class: "nav", "aria-label": "Views" }, h("ul", {}, ...links.map(([, link]) => h("li", {}, link))));
  const announce = (text: string): void => {
    live.textContent = text;
  };
  const header = h(
    "header",
    { class: "header" },
    h("div", { class: "header-row" }, brand(parts.config), nav, tools(parts)),
    banner(parts.connection, announce),
  );
  // The headings of tables stick below the header, which is higher on a phone and while the banner is shown.
  new ResizeObserver(() => {
    document.documentElement.style.setProperty("--header", `${header.offsetHeight}px`);
  }).observe(header);
  root.replaceChildren(
    h("a", { class: "skip", href: "#main", onclick: (event: Event) => skip(event, main) }, "Skip to the content"),
    header,
    main,
    footer(),
    live,
  );
  return {
    main,
    announce,
    showRoute: (route) => {
      for (const [view, link] of links) {
        if (view === route.view) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
      }
    },
  };
}

/** The address after `#` names the view, so the skip link moves the focus itself. */
function skip(event: Event, main: HTMLElement): void {
  event.preventDefault();
  main.focus();
}

function brand(config: Config): HTMLElement {
  return h(
    "a",
    { class: "brand", href: hashOf("overview") },
    h("img", { src: "icon.svg", alt: "", width: 22, height: 22 }),
    config.name,
    config.stage && h("span", { class: "stage" }, config.stage),
  );
}

function tools({ connection, auth, theme, times, onZone }: ShellParts): HTMLElement {
  const words = h("span", { class: "words" });
  const status = h("span", { class: "connection" }, words);
  const showStatus = (state: ConnectionState): void => {
    status.dataset.kind = state.kind;
    setText(words, LABELS[state.kind]);
  };
  const zone = h("button", { class: "button quiet", type: "button", "data-testid": "zone-toggle", onclick: onZone });
  const showZone = (): void => {
    zone.replaceChildren(times.zone === "exchange" ? "Exchange" : "Local", h("span", { class: "phone-hidden" }, " time"));
    zone.title = times.zone === "exchange" ? "Show times in your zone" : "Show times in the exchange's zone";
  };
  const themeButton = h("button", { class: "button quiet icon", type: "button", "data-testid": "theme-toggle" });
  const showTheme = (): void => {
    const other = theme.name === "dark" ? "light" : "dark";
    themeButton.setAttribute("aria-label", `Switch to ${other} colours`);
    themeButton.title = `Switch to ${other} colours`;
    themeButton.replaceChildren(theme.name === "dark" ? sun() : moon());
  };
  const logout = h("button", { class: "button quiet", type: "button", onclick: () => void auth.logout() }, "Log out");
  const showLogin = (): void => {
    logout.hidden = auth.state.value.kind !== "in";
    status.hidden = auth.state.value.kind === "out";
  };
  themeButton.addEventListener("click", () => theme.toggle());
  connection.state.onChange(showStatus);
  times.onZoneChange(showZone);
  theme.onThemeChange(showTheme);
  auth.state.onChange(showLogin);
  showStatus(connection.state.value);
  showZone();
  showTheme();
  showLogin();
  return h("div", { class: "tools" }, status, zone, themeButton, logout);
}

/** What is wrong and when the page tries again. The seconds count down silently; only a new state is announced. */
function banner(connection: Connection, announce: (text: string) => void): HTMLElement {
  const words = h("span");
  const countdown = h("span");
  const retry = h("button", { class: "button", type: "button", onclick: () => connection.retryNow() }, "Try now");
  const row = h("div", { class: "banner-row" }, words, countdown, retry);
  const element = h("div", { class: "banner", hidden: true, "data-testid": "connection-banner" }, row);
  let timer = 0;
  const count = (): void => {
    const left = Math.ceil(((connection.state.value.retryAt ?? 0) - Date.now()) / 1_000);
    setText(countdown, left > 0 ? `The page tries again in ${left}\u00a0s.` : "The page tries again now.");
  };
  let announced: ConnectionState["kind"] = "connecting";
  connection.state.onChange((state) => {
    clearInterval(timer);
    const failing = state.kind === "failing";
    if (!failing && element.contains(document.activeElement)) document.getElementById("main")?.focus();
    element.hidden = !failing;
    if (failing) {
      setText(words, `${state.message} What you see may be out of date.`);
      count();
      timer = window.setInterval(count, 500);
    }
    if (state.kind !== announced) {
      if (failing) announce(`${state.message} The page tries again by itself.`);
      else if (announced === "failing") announce("The connection is back.");
      announced = state.kind;
    }
  });
  return element;
}

function footer(): HTMLElement {
  return h(
    "footer",
    { class: "footer" },
    h(
      "div",
      { class: "footer-row" },
      h("span", {}, "Prices may be delayed or simulated. They are no advice to trade."),
      h(
        "span",
        {},
        "TradingView Lightweight Charts™ Copyright © 2026 TradingView, Inc. ",
        h("a", { href: "https://www.tradingview.com/", rel: "noreferrer" }, "https://www.tradingview.com/"),
        " · ",
        h("a", { href: "licenses.txt" }, "Licences"),
      ),
    ),
  );
}

function sun(): SVGElement {
  const rays = "M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6l1.4 1.4M17 17l1.4 1.4M5.6 18.4L7 17M17 7l1.4-1.4";
  return icon(svg("circle", { cx: 12, cy: 12, r: 4 }), svg("path", { d: rays }));
}

function moon(): SVGElement {
  return icon(svg("path", { d: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z" }));
}

function icon(...shapes: readonly SVGElement[]): SVGElement {
  return svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, ...shapes);
}
