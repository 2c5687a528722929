"""The table of a run of `benchmarks.pipeline` in a page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.pipeline_run import Result
from benchmarks.pipeline_table import table

MARK = "<!-- python -m benchmarks.pipeline -->"
BLOCK = re.compile(rf"({re.escape(MARK)}\n```text\n).*?(```\n)", re.DOTALL)


def problem_of(page: Path) -> str | None:
    """Why no table can be written to a page. None if it can."""
    try:
        has_block = BLOCK.search(page.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return f"{page} cannot be read: {error}"
    return None if has_block else f"{page} has no block for the table: the line {MARK}, and then a block of text"


def with_table(page: str, results: Sequence[Result]) -> str:
    """The page with the table of these results in its block."""
    lines = "".join(f"{line}\n" for line in table(results))
    return BLOCK.sub(lambda found: f"{found[1]}{lines}{found[2]}", page)


def write(page: Path, results: Sequence[Result]) -> None:
    """Replace the table of a page."""
    page.write_text(with_table(page.read_text(encoding="utf-8"), results), encoding="utf-8")
