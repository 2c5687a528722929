"""Everybody can use the page: by keyboard alone, with a screen reader, in both themes, and on a phone."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.dashboard import VIEWS, Dashboard

FOCUSABLE = "a[href], button, input, select, textarea, [tabindex]:not([tabindex='-1'])"
FOCUSED = """() => {
  const element = document.activeElement
  if (!element || element === document.body) return null
  const style = getComputedStyle(element)
  return {
    name: element.outerHTML.slice(0, 120),
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== "none",
  }
}"""
REACHABLE = """(focusable) => [...document.querySelectorAll(focusable)]
  .filter((each) => each.checkVisibility() && !each.disabled).map((each) => each.outerHTML.slice(0, 120))"""


def open_view(page: Page, dashboard: Dashboard, view: str) -> None:
    """Open a view, and wait until it shows what the API says."""
    page.goto(dashboard.url + VIEWS[view].address)
    expect(page.get_by_test_id(VIEWS[view].shows).locator("tbody tr:not(:has(.none))").first).to_be_attached()


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(page: Page, dashboard: Dashboard, axe: str, view: str, theme: str) -> None:
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    open_view(page, dashboard, view)
    page.evaluate(axe)
    found: list[dict[str, Any]] = page.evaluate("() => axe.run()")["violations"]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found] == []


@pytest.mark.parametrize("view", VIEWS)
def test_the_keyboard_reaches_every_control_and_shows_where_it_is(page: Page, dashboard: Dashboard, view: str) -> None:
    open_view(page, dashboard, view)
    expected = set(page.evaluate(REACHABLE, FOCUSABLE))
    reached: dict[str, bool] = {}
    for _ in range(3 * len(expected)):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:
            break
        reached[focused["name"]] = focused["outlined"]
    assert expected - reached.keys() == set()
    assert [name for name, outlined in reached.items() if not outlined] == []


def test_the_keyboard_alone_leads_from_the_overview_to_a_chart_and_its_indicators(
    page: Page, dashboard: Dashboard
) -> None:
    open_view(page, dashboard, "overview")
    page.get_by_test_id("filter").focus()
    page.keyboard.type("nvda")
    link = page.get_by_test_id("symbol-row-NVDA").get_by_role("link").first
    tab_to(page, link)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="NVDA")).to_be_visible()
    for name in ("resolution-15m", "indicator-rsi"):
        control = page.get_by_test_id(name)
        before = control.get_attribute("aria-pressed")
        tab_to(page, control)
        page.keyboard.press("Space")
        expect(control).to_have_attribute("aria-pressed", "true" if before == "false" else "false")


def tab_to(page: Page, control: Any) -> None:
    """Press the tab key until a control has the focus."""
    for _ in range(80):
        if control.evaluate("(element) => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"the tab key does not reach {control}")


@pytest.mark.parametrize("view", VIEWS)
def test_a_phone_needs_no_scrolling_to_the_side(page: Page, dashboard: Dashboard, view: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    open_view(page, dashboard, view)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
