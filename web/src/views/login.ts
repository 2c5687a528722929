/** The view in place of all others while nobody is logged in. Without an issuer there is nowhere to log in. */

import type { LoginState } from "../auth.ts";
import { h, setText } from "../components/dom.ts";

export function mountLogin(
  root: HTMLElement,
  state: Extract<LoginState, { kind: "out" }>,
  login: (() => Promise<void>) | null,
): () => void {
  const button = h("button", { class: "button primary", type: "button", "data-testid": "login" }, "Log in");
  button.addEventListener("click", () => {
    button.disabled = true;
    setText(button, "Going to the login service …");
    void login?.().finally(() => {
      button.disabled = false;
      setText(button, "Log in");
    });
  });
  root.append(
    h(
      "section",
      { class: "panel login", "aria-labelledby": "login-title" },
      h("h1", { id: "login-title" }, "Log in"),
      h("p", state.failed ? { class: "failure", role: "alert" } : {}, state.message),
      login && button,
    ),
  );
  return () => root.replaceChildren();
}
