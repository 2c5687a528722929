"""The table of a run of `benchmarks.pipeline` in a page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.pipeline_run import Result
from benchmarks.pipeline_table import table

BLOCK = re.compile(r"(<!-- python -m benchmarks.pipeline -->\n```text\n).*?(```\n)", re.DOTALL)


def with_table(page: str, results: Sequence[Result]) -> str:
    """The page with the table of these results in its block."""
    lines = "".join(f"{line}\n" for line in table(results))
    return BLOCK.sub(lambda found: f"{found[1]}{lines}{found[2]}", page)


def write(page: Path, results: Sequence[Result]) -> None:
    """Replace the table of a page."""
    page.write_text(with_table(page.read_text(encoding="utf-8"), results), encoding="utf-8")
