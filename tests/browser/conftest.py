"""A pipeline with a simulated market, the dashboard in front of it, and Chromium, shared by all tests here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from replica.pipeline import Pipeline
from tests.support.browsing import Watched, watched
from tests.support.dashboard import AXE, DIST, Dashboard
from tests.support.market_feed import SYMBOLS, MarketFeed

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HISTORY = timedelta(hours=3)
HOLE, HOLE_LASTS = timedelta(minutes=100), timedelta(minutes=12)
"""When no quote came at all, before now, and how long."""
SILENT, SILENCE = "VOD.L", timedelta(minutes=10)
"""The symbol that is stale, and for how long."""
STEP = timedelta(seconds=15)
PATIENCE = 60.0
expect.set_options(timeout=20_000)  # what has to be fast is measured by tests of its own


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.skip(f"there is no Chromium: none of {', '.join(CHROMIUM)} is on the path")
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Chromium, for one file: while Playwright runs, no other test of the process can run an event loop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def pipeline(chromium: str) -> Iterator[Pipeline]:  # noqa: ARG001  (without Chromium, nothing needs to run)
    """A pipeline that holds some hours of a simulated market."""
    if not (DIST / "index.html").is_file():
        pytest.skip(f"the page is not built: {DIST} has no index.html. Run `make web`")
    with Pipeline(lambda _: None, serves_api=True) as running:
        yield running


@pytest.fixture(scope="session")
def feed(pipeline: Pipeline) -> MarketFeed:
    """The market: some hours of history. A test puts what comes after it."""
    feed = MarketFeed(
        pipeline.emulator.client("kinesis"),
        pipeline.outputs["StreamName"],
        SYMBOLS,
        seed=7,
    )
    feed.put_calendars(pipeline.emulator.client("dynamodb"), pipeline.outputs["CalendarsTable"])
    now = datetime.now(UTC)
    feed.put_history(now - HISTORY, now - HOLE, STEP)
    feed.put_history(now - HOLE + HOLE_LASTS, now - SILENCE, STEP)
    feed.put_history(now - SILENCE, now, STEP, without=SILENT)
    assert pipeline.runner.wait_until_caught_up(PATIENCE)
    return feed


@pytest.fixture(scope="session")
def dashboard(
    pipeline: Pipeline,
    feed: MarketFeed,  # noqa: ARG001  (the page shows its quotes)
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Dashboard]:
    """The page and the API behind one address."""
    with Dashboard(pipeline.api_url, tmp_path_factory.mktemp("dashboard") / "log") as running:
        yield running


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which finds what keeps people from using a page."""
    if not AXE.is_file():
        pytest.skip(f"axe-core is not installed: there is no {AXE}. Run `make web-check`, which needs npm")
    return AXE.read_text(encoding="utf-8")


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser without cookies, cache and settings of earlier tests."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light", locale="en-US")
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """An empty tab. The test fails if a page in it breaks its policy, has an uncaught error or leaves this machine."""
    with watched(context) as seen:
        yield context.new_page()
    assert seen == Watched()
