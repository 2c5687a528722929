/** Dark or light: as the system says, until the viewer chooses. */

import { Signal, remember, remembered } from "./state.ts";

export type ThemeName = "dark" | "light";

const KEY = "stockstream.theme";

export class Theme {
  readonly #signal: Signal<ThemeName>;
  #chosen: boolean;

  constructor(private readonly system: MediaQueryList = matchMedia("(prefers-color-scheme: dark)")) {
    const choice = remembered(KEY);
    this.#chosen = choice === "dark" || choice === "light";
    this.#signal = new Signal<ThemeName>(this.#chosen ? (choice as ThemeName) : this.#ofSystem());
    this.#show();
    this.system.addEventListener("change", () => {
      if (!this.#chosen) this.#set(this.#ofSystem());
    });
  }

  get name(): ThemeName {
    return this.#signal.value;
  }

  toggle(): void {
    const other = this.name === "dark" ? "light" : "dark";
    this.#chosen = true;
    remember(KEY, other);
    this.#set(other);
  }

  /** Calls the listener after the page has the colours of another theme. */
  onThemeChange(listener: (name: ThemeName) => void): () => void {
    return this.#signal.onChange(listener);
  }

  /** A colour of the current theme, by the name of its CSS variable, such as `--up`. */
  color(variable: string): string {
    return getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
  }

  #ofSystem(): ThemeName {
    return this.system.matches ? "dark" : "light";
  }

  #set(name: ThemeName): void {
    document.documentElement.dataset.theme = name;
    this.#signal.set(name);
  }

  #show(): void {
    document.documentElement.dataset.theme = this.name;
  }
}
