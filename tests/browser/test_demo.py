"""The page of a running demo, opened at the address that the demo prints."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.demo_terminal import Demo
from tests.support.waiting import wait_until


def test_the_demo_shows_its_prices_at_the_address_that_it_prints(page: Page, tmp_path: Path) -> None:
    demo = Demo(sys.executable, tmp_path, "--seconds", "60", "--keep", str(tmp_path / "archive"))
    try:
        wait_until(lambda: "running:" in demo.read(), "the demo runs", seconds=60)
        found = re.search(r"dashboard\S* +(http://127\.0\.0\.1:\d+)", demo.output)
        assert found, demo.output
        page.goto(found[1])
        row = page.get_by_test_id("symbols-table").locator("tbody tr").first
        expect(row).to_contain_text(re.compile(r"\d"))
        before = row.inner_text()
        expect(row).not_to_have_text(before)  # the next quotes
    finally:
        demo.end()
