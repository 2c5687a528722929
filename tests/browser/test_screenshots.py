"""Writes the screenshots of the documentation where `make screenshots` asks for them, and only then."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect

from replica.pipeline import Pipeline
from tests.support.dashboard import VIEWS, Dashboard
from tests.support.market_feed import MarketFeed
from tests.support.small_png import reduced
from workspace.places import ROOT

VARIABLE = "STOCKSTREAM_SCREENSHOTS"
MAX_BYTES = 60_000
COLOURS = 64
PICTURES: dict[str, tuple[str, Literal["dark", "light"]]] = {
    "overview": ("overview", "dark"),
    "symbol-dark": ("symbol", "dark"),
    "symbol-light": ("symbol", "light"),
    "alerts": ("alerts", "light"),
    "quality": ("quality", "dark"),
}


@pytest.fixture(scope="module")
def folder() -> Path:
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        pytest.skip(f"{VARIABLE} is not set: `make screenshots` writes the screenshots, and other runs change no file")
    folder = ROOT / wanted
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_written_and_small(  # noqa: PLR0917  (fixtures, by name)
    folder: Path, browser: Browser, pipeline: Pipeline, dashboard: Dashboard, feed: MarketFeed, name: str
) -> None:
    view, theme = PICTURES[name]
    with browser.new_context(viewport={"width": 1120, "height": 700}, color_scheme=theme, locale="en-US") as context:
        page = context.new_page()
        now = datetime.now(UTC)
        feed.put_history(now, now + timedelta(seconds=1), timedelta(seconds=1), without="VOD.L")
        assert pipeline.runner.wait_until_caught_up(60)
        page.goto(dashboard.url + VIEWS[view].address)
        expect(page.get_by_test_id(VIEWS[view].shows).locator("tbody tr:not(:has(.none))").first).to_be_attached()
        page.wait_for_load_state("networkidle")
        picture = reduced(context.new_page(), page.screenshot(), COLOURS)
    assert len(picture) < MAX_BYTES
    (folder / f"{name}.png").write_bytes(picture)
