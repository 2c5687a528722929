"""Each view shows what the API says, and its address restores it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.dashboard import Dashboard
from tests.support.market_feed import SYMBOLS

MINUS = "\N{MINUS SIGN}"
RESOLUTIONS = ("1m", "5m", "15m", "1h", "1d")


def shown(number: str | int) -> str:
    """A number of the API as the page writes it: the same digits, with a true minus sign."""
    return str(number).replace("-", MINUS)


def rows_of(table: Locator) -> Locator:
    return table.locator("tbody tr")


class TestOverview:
    def test_each_symbol_has_its_last_price_and_its_change(self, page: Page, dashboard: Dashboard) -> None:
        page.goto(dashboard.url)
        quotes = dashboard.get("/v1/latest")["quotes"]
        assert {quote["symbol"] for quote in quotes} >= set(SYMBOLS)
        expect(rows_of(page.get_by_test_id("symbols-table"))).to_have_count(len(quotes))
        for quote in quotes:
            row = page.get_by_test_id(f"symbol-row-{quote['symbol']}")
            expect(row).to_contain_text(shown(quote["price"]))
            expect(row).to_contain_text(f"{abs(float(quote['change_percent'])):.2f}")

    def test_the_filter_leaves_what_matches_and_is_in_the_address(self, page: Page, dashboard: Dashboard) -> None:
        page.goto(dashboard.url)
        table = page.get_by_test_id("symbols-table")
        expect(rows_of(table).nth(len(SYMBOLS) - 1)).to_be_visible()
        page.get_by_test_id("filter").fill("nv")
        expect(rows_of(table)).to_have_count(1)
        expect(page.get_by_test_id("symbol-row-NVDA")).to_be_visible()
        page.reload()
        expect(page.get_by_test_id("filter")).to_have_value("nv")
        expect(rows_of(table)).to_have_count(1)

    def test_a_column_sorts_the_table_and_the_address_keeps_the_order(self, page: Page, dashboard: Dashboard) -> None:
        page.goto(dashboard.url)
        table = page.get_by_test_id("symbols-table")
        expect(rows_of(table).nth(len(SYMBOLS) - 1)).to_be_visible()
        price = table.get_by_role("columnheader", name="Last")
        price.get_by_role("button").click()
        first = price.get_attribute("aria-sort")
        assert first in {"ascending", "descending"}
        prices = {quote["symbol"]: float(quote["price"]) for quote in dashboard.get("/v1/latest")["quotes"]}
        expected = sorted(prices, key=lambda symbol: prices[symbol], reverse=first == "descending")
        expect(rows_of(table).first).to_contain_text(expected[0])
        page.reload()
        expect(price).to_have_attribute("aria-sort", first)
        expect(rows_of(table).first).to_contain_text(expected[0])

    def test_a_row_leads_to_its_symbol(self, page: Page, dashboard: Dashboard) -> None:
        page.goto(dashboard.url)
        page.get_by_test_id("symbol-row-BTC-USD").get_by_role("link").first.click()
        expect(page.get_by_role("heading", name="BTC-USD")).to_be_visible()
        expect(page).to_have_url(re.compile(r"#/symbol/BTC-USD"))


class TestSymbol:
    @pytest.mark.parametrize("symbol", ["AAPL", "^GSPC", "EURUSD=X"])
    def test_the_last_price_has_the_digits_of_the_row(self, page: Page, dashboard: Dashboard, symbol: str) -> None:
        page.goto(f"{dashboard.url}/#/symbol/{symbol}")
        [quote] = dashboard.get(f"/v1/latest?symbols={symbol.replace('^', '%5E')}")["quotes"]
        expect(page.get_by_test_id("last-price")).to_contain_text(shown(quote["price"]))

    @pytest.mark.parametrize("resolution", RESOLUTIONS)
    def test_the_table_beside_the_chart_has_the_bars(self, page: Page, dashboard: Dashboard, resolution: str) -> None:
        page.goto(f"{dashboard.url}/#/symbol/AAPL?resolution={resolution}")
        bars = dashboard.get(f"/v1/bars/AAPL?resolution={resolution}&limit=5")["bars"]
        assert bars
        for bar, row in zip(bars, rows_of(page.get_by_test_id("chart-table")).all(), strict=False):
            for name in ("open", "high", "low", "close"):
                expect(row).to_contain_text(shown(bar[name]))

    def test_the_address_keeps_resolution_and_indicators(self, page: Page, dashboard: Dashboard) -> None:
        page.goto(f"{dashboard.url}/#/symbol/AAPL")
        page.get_by_test_id("resolution-5m").click()
        chosen = ("sma", "bollinger", "rsi", "macd")
        before = [page.get_by_test_id(f"indicator-{name}").get_attribute("aria-pressed") for name in chosen]
        for name in chosen:
            page.get_by_test_id(f"indicator-{name}").click()
        page.reload()
        expect(page.get_by_test_id("resolution-5m")).to_have_attribute("aria-pressed", "true")
        for name, was in zip(chosen, before, strict=True):
            toggled = "false" if was == "true" else "true"
            expect(page.get_by_test_id(f"indicator-{name}")).to_have_attribute("aria-pressed", toggled)

    def test_the_chart_is_drawn(self, page: Page, dashboard: Dashboard) -> None:
        page.goto(f"{dashboard.url}/#/symbol/AAPL?resolution=1m")
        canvas = page.get_by_test_id("chart").locator("canvas").first
        expect(canvas).to_be_visible()
        expect(rows_of(page.get_by_test_id("chart-table")).first).to_contain_text(re.compile(r"\d"))
        box = canvas.bounding_box()
        assert box is not None
        assert box["width"] > 300
        assert box["height"] > 150

    def test_an_unknown_symbol_is_said_in_words(self, page: Page, dashboard: Dashboard) -> None:
        page.goto(f"{dashboard.url}/#/symbol/NOSUCH")
        expect(page.locator("main")).to_contain_text("Nothing is stored of NOSUCH")
        page.get_by_role("link", name="Overview").first.click()
        expect(page.get_by_test_id("symbols-table")).to_be_visible()


class TestAlerts:
    def test_the_alerts_of_the_api_are_listed_newest_first(self, page: Page, dashboard: Dashboard) -> None:
        alerts = dashboard.get("/v1/alerts?limit=20")["alerts"]
        assert len(alerts) > 3, "the simulated market raises alerts"
        page.goto(f"{dashboard.url}/#/alerts")
        rows = rows_of(page.get_by_test_id("alerts-table"))
        expect(rows.first).to_be_visible()
        for alert, row in zip(alerts, rows.all(), strict=False):
            expect(row).to_contain_text(alert["symbol"])
            expect(row).to_contain_text(alert["severity"])

    def test_a_filter_in_the_address_leaves_what_matches(self, page: Page, dashboard: Dashboard) -> None:
        alerts = dashboard.get("/v1/alerts?limit=1000")["alerts"]
        symbol = alerts[0]["symbol"]
        expected = [alert for alert in alerts if symbol in {alert["symbol"], *alert.get("symbols", ())}]
        assert 0 < len(expected) < len(alerts)
        page.goto(f"{dashboard.url}/#/alerts?symbol={symbol}")
        rows = rows_of(page.get_by_test_id("alerts-table"))
        expect(rows).to_have_count(min(len(expected), 100))
        for row in rows.all():
            expect(row).to_contain_text(symbol)


class TestQuality:
    def test_each_lane_and_the_gaps_of_a_symbol_are_shown(self, page: Page, dashboard: Dashboard) -> None:
        page.goto(f"{dashboard.url}/#/quality?symbol=AAPL")
        status = dashboard.get("/v1/status")
        expect(rows_of(page.get_by_test_id("quality-lanes"))).to_have_count(len(status["lanes"]))
        gaps = dashboard.get("/v1/gaps/AAPL")
        expect(page.get_by_test_id("quality-gaps")).to_contain_text(str(gaps["stored_minutes"]))
        days = dashboard.get("/v1/coverage/AAPL")["days"]
        coverage = page.get_by_test_id("quality-coverage")
        expect(rows_of(coverage)).to_have_count(len(days))
        expect(coverage).to_contain_text(days[-1]["day"])
        expect(page.locator("main")).to_contain_text(re.compile("quarantine", re.IGNORECASE))
        expect(page.locator("main")).to_contain_text(re.compile("repeated", re.IGNORECASE))


def test_an_address_that_leads_nowhere_is_said_in_words(page: Page, dashboard: Dashboard) -> None:
    page.goto(f"{dashboard.url}/#/nowhere")
    expect(page.locator("main")).to_contain_text(re.compile("no (such )?(view|page)|not", re.IGNORECASE))
    page.get_by_role("link", name="Overview").first.click()
    expect(page.get_by_test_id("symbols-table")).to_be_visible()


def test_zone_and_theme_are_kept(page: Page, dashboard: Dashboard) -> None:
    page.goto(dashboard.url)
    expect(page.get_by_test_id("symbols-table")).to_be_visible()
    zone = page.get_by_test_id("zone-toggle")
    before, theme = zone.inner_text(), page.locator("html").get_attribute("data-theme")
    zone.click()
    page.get_by_test_id("theme-toggle").click()
    expect(zone).not_to_have_text(before)
    after = zone.inner_text()
    page.reload()
    expect(zone).to_have_text(after)
    assert page.locator("html").get_attribute("data-theme") != theme
