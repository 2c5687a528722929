"""The page is there at once, follows the feed, and says so when the API is away."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from quotes import Quote, whole_milliseconds
from replica.pipeline import Pipeline
from tests.support.dashboard import Dashboard
from tests.support.market_feed import MarketFeed
from tests.support.waiting import wait_until

UPDATE_SECONDS = 2.0
"""How long a stored quote may take until it is on the page."""
USABLE_MILLISECONDS = 1_000
LOADS = 4
FIRST_ROW = """() => {
  const look = () => {
    if (!document.querySelector("[data-testid=symbols-table] tbody tr td")) return
    observer.disconnect()
    requestAnimationFrame(() => setTimeout(() => (window.firstRow = performance.now())))
  }
  const observer = new MutationObserver(look)
  observer.observe(document, { childList: true, subtree: true })
}"""
"""Notes when the browser has painted the first row, in milliseconds since the navigation began."""
HAS_TEXT = "([selector, text]) => document.querySelector(selector)?.textContent.includes(text)"
ROW, PRICE = "[data-testid=symbol-row-AMD]", "[data-testid=last-price]"
NEWEST_BAR = "[data-testid=chart-table] tbody tr"


def odd_quote(symbol: str, price: str) -> Quote:
    """A quote of this moment, whose price no other quote has."""
    now = whole_milliseconds(datetime.now(UTC))
    return Quote(
        symbol=symbol,
        event_time=now,
        ingest_time=now,
        price=Decimal(price),
        source="synthetic",
        previous_close=Decimal(100),
        market_state="REGULAR",
        currency="USD",
        exchange="NMS",
    )


def stored_at(pipeline: Pipeline, quote: Quote) -> float:
    """When a quote was found in the table, by the monotonic clock."""
    key = {"symbol": {"S": quote.symbol}}
    found: list[object] = []

    def is_stored() -> bool:
        answer = pipeline.emulator.client("dynamodb").query(
            TableName=pipeline.outputs["QuotesTable"],
            KeyConditionExpression="symbol = :symbol",
            ExpressionAttributeValues={":symbol": key["symbol"]},
            ScanIndexForward=False,
            Limit=1,
            ConsistentRead=True,
        )
        found[:] = [item for item in answer["Items"] if item["price"]["N"] == str(quote.price)]
        return bool(found)

    wait_until(is_stored, "the quote is stored", seconds=30)
    return time.monotonic()


def wait_for_text(page: Page, selector: str, text: str) -> None:
    """Wait until the first such element has a text. It looks in each frame, and `expect` up to a second later."""
    page.wait_for_function(HAS_TEXT, arg=[selector, text])


@pytest.mark.timed
def test_a_stored_quote_is_on_the_page_within_two_seconds(
    page: Page, dashboard: Dashboard, pipeline: Pipeline, feed: MarketFeed
) -> None:
    feed.put(odd_quote("AMD", "101.001"))
    page.goto(dashboard.url)
    wait_for_text(page, ROW, "101.001")
    quote = odd_quote("AMD", "102.002")
    feed.put(quote)
    at = stored_at(pipeline, quote)
    wait_for_text(page, ROW, "102.002")
    assert time.monotonic() - at < UPDATE_SECONDS

    page.goto(f"{dashboard.url}/#/symbol/AMD?resolution=1m")
    wait_for_text(page, PRICE, "102.002")
    quote = odd_quote("AMD", "103.003")
    feed.put(quote)
    at = stored_at(pipeline, quote)
    wait_for_text(page, PRICE, "103.003")
    wait_for_text(page, NEWEST_BAR, "103.003")
    assert time.monotonic() - at < UPDATE_SECONDS


@pytest.mark.timed
def test_the_first_row_is_painted_within_a_second(page: Page, dashboard: Dashboard) -> None:
    """The fastest of some loads counts. The first one warms the function."""
    page.add_init_script(f"({FIRST_ROW})()")
    page.goto(dashboard.url)
    painted = []
    for _ in range(LOADS):
        expect(page.get_by_test_id("symbols-table").locator("tbody tr").first).to_be_visible()
        painted.append(page.wait_for_function("() => window.firstRow").json_value())
        page.reload()
    assert min(painted[1:]) < USABLE_MILLISECONDS


def test_the_page_says_that_the_api_is_away_and_recovers(page: Page, dashboard: Dashboard) -> None:
    page.goto(dashboard.url)
    banner = page.get_by_test_id("connection-banner")
    row = page.get_by_test_id("symbol-row-AAPL")
    expect(row).to_be_visible()
    expect(banner).to_be_hidden()
    dashboard.stop()
    try:
        expect(banner).to_be_visible()
        expect(banner).to_contain_text(re.compile("cannot be reached"))
        expect(row).to_be_visible()  # what was known stays
    finally:
        dashboard.start()
    expect(banner).to_be_hidden(timeout=30_000)
    expect(row).to_be_visible()


def test_a_page_that_is_opened_while_the_api_fails_fills_itself_later(page: Page, dashboard: Dashboard) -> None:
    page.route("**/v1/**", lambda route: route.fulfill(status=503, headers={"Retry-After": "1"}))
    page.goto(dashboard.url)
    expect(page.get_by_test_id("connection-banner")).to_be_visible()
    page.unroute("**/v1/**")
    expect(page.get_by_test_id("symbol-row-AAPL")).to_be_visible(timeout=30_000)
    expect(page.get_by_test_id("connection-banner")).to_be_hidden()
