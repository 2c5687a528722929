"""Every page for people: its links lead somewhere, and its lines fit into an editor."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deployment.stacks import ALL_STACKS

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page for pattern in ("*.md", "docs/*.md", "docker/**/*.md", "tests/**/*.md") for page in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
WIDTH = 130
"""The most characters of a line of prose. Tables and examples may be wider."""


def prose_of(page: Path) -> list[tuple[int, str]]:
    """The numbered lines of a page, without its examples."""
    lines, inside = [], False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            inside = not inside
        elif not inside:
            lines.append((number, line))
    return lines


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = (match[1] for _, line in prose_of(page) if (match := re.match(r"#+ (.+)$", line)))
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
class TestPage:
    def test_links_lead_to_files_and_sections_that_exist(self, page: Path) -> None:
        for number, line in prose_of(page):
            for link in LINK.findall(line):
                if re.match(r"https?:", link):
                    continue
                path, _, anchor = link.partition("#")
                target = (page.parent / path).resolve() if path else page
                assert target.exists(), f"line {number}: {link}"
                if anchor:
                    assert anchor in anchors_of(target), f"line {number}: {link}"

    def test_prose_is_wrapped(self, page: Path) -> None:
        assert [number for number, line in prose_of(page) if len(line) > WIDTH and not line.startswith("|")] == []


def test_the_deployment_guide_says_of_every_stack_where_it_has_been_tried() -> None:
    tried = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8").partition("## What has been tried")[2]
    named = {name for row in re.findall(r"^\| ([^|]+) \|", tried, re.MULTILINE) for name in re.findall(r"[\w-]+", row)}
    assert set(ALL_STACKS) <= named
